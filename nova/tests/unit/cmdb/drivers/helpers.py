#    Licensed under the Apache License, Version 2.0 (the "License"); you may
#    not use this file except in compliance with the License. You may obtain
#    a copy of the License at
#
#         http://www.apache.org/licenses/LICENSE-2.0
#
#    Unless required by applicable law or agreed to in writing, software
#    distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
#    WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
#    License for the specific language governing permissions and limitations
#    under the License.

"""What the tests of the drivers share."""

import datetime
import logging
import os

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization
from cryptography import x509
from cryptography.x509 import oid
import fixtures
from oslo_utils import timeutils

from nova.tests.fixtures import http_cmdb

ID_1 = '1a2b3c4d-5e6f-4a1b-8c2d-000000000001'
ID_2 = '2a2b3c4d-5e6f-4a1b-8c2d-000000000002'
ID_3 = '3a2b3c4d-5e6f-4a1b-8c2d-000000000003'


def record(server_id=ID_1, **changes):
    """The record of a server, as the agent makes it."""
    return dict({
        'id': server_id, 'name': 'web-1',
        'project_id': 'b5f1c0', 'user_id': 'c6e2d1', 'flavor': 'm1.small',
        'vcpus': 2, 'memory_mb': 2048, 'disk_gb': 20,
        'host': 'compute-1', 'node': 'compute-1', 'cell': 'cell1',
        'availability_zone': 'az1',
        'addresses': [
            {'address': '10.0.0.5', 'version': 4, 'type': 'fixed',
             'mac_address': 'fa:16:3e:00:00:01', 'network': 'private',
             'port_id': 'aaaaaaaa-0000-4000-8000-000000000001'},
            {'address': '2001:db8::5', 'version': 6, 'type': 'fixed',
             'mac_address': 'fa:16:3e:00:00:01', 'network': 'private',
             'port_id': 'aaaaaaaa-0000-4000-8000-000000000001'}],
        'state': 'active', 'fault': None,
        'created_at': '2026-11-25T15:41:18Z', 'business_tag': 'shop',
    }, **changes)


class Authority:
    """An authority of the test's own, which vouches for servers."""

    def __init__(self, folder):
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = self._name_of('test authority')
        certificate = self._sign(self._name, self._key, x509.BasicConstraints(
            ca=True, path_length=None))
        self.cafile = self._write('ca.pem', certificate)

    @staticmethod
    def _name_of(text):
        return x509.Name([x509.NameAttribute(oid.NameOID.COMMON_NAME, text)])

    def _sign(self, name, key, *extensions):
        now = timeutils.utcnow()
        day = datetime.timedelta(days=1)
        builder = (x509.CertificateBuilder()
                   .subject_name(name).issuer_name(self._name)
                   .public_key(key.public_key())
                   .serial_number(x509.random_serial_number())
                   .not_valid_before(now - day).not_valid_after(now + day))
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(
            serialization.Encoding.PEM)

    def _write(self, name, content):
        path = os.path.join(self._folder, name)
        with open(path, 'wb') as stream:
            stream.write(content)
        return path

    def certificate(self, *names):
        """Paths of a certificate for these names, and of its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(self._name_of('cmdb'), key,
                                 x509.SubjectAlternativeName(names))
        return self._write('cert.pem', certificate), self._write(
            'key.pem', key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption()))


def token_file(test, token=http_cmdb.TOKEN, mode=0o600):
    """Path of a file with a token, removed after the test."""
    path = os.path.join(
        test.useFixture(fixtures.TempDir()).path, 'token')
    with open(path, 'w') as stream:
        stream.write(token + '\n')
    os.chmod(path, mode)
    return path


class AllLogs(logging.Handler):
    """Whatever is logged, of any level and by anyone, the libraries too."""

    def __init__(self, test):
        super().__init__(logging.DEBUG)
        self.records = []
        root = logging.getLogger()
        loggers = [root] + [logging.getLogger(name) for name in (
            'nova', 'urllib3', 'urllib3.connectionpool', 'requests')]
        for logger in loggers:
            test.addCleanup(logger.setLevel, logger.level)
            logger.setLevel(logging.DEBUG)
        root.addHandler(self)
        test.addCleanup(root.removeHandler, self)

    def emit(self, record):
        self.records.append(record)

    def text(self, level=logging.DEBUG):
        return '\n'.join('%s %s %s' % (
            record.levelname, record.name, record.getMessage())
            for record in self.records if record.levelno >= level)
