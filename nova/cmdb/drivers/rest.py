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

"""HTTP for the drivers: one attempt per request, and bounded in every way.

What a CMDB sends is not trusted. A request has one deadline, also against a
server that dribbles; an answer has a greatest size and is JSON or nothing;
redirects, cookies, proxies and ``.netrc`` are not followed, so that the token
goes to the one server that the operator has named. TLS is verified unless
``[cmdb] insecure`` says otherwise.
"""

import datetime
import email.utils
import io
import ipaddress
import math
import os
import re
import socket
import ssl
import stat
import threading
import time
import typing as ty
import urllib.parse
import uuid

from http import client as http_client
from oslo_log import log as logging
from oslo_serialization import jsonutils
from oslo_utils import timeutils
import requests
from requests import adapters
import urllib3

from nova.cmdb import errors
import nova.conf

CONF = nova.conf.CONF
LOG = logging.getLogger(__name__)

#: Bytes; a page of a thousand records is about two million.
MAX_ANSWER = 32 * 1024 * 1024

#: Seconds; a CMDB that asks for more is asked again then.
MAX_RETRY_AFTER = 3600

# Bytes; a JSON web token may be a few thousand.
_MAX_TOKEN = 16 * 1024

# More threads than that make connections which are not kept.
_MAX_CONNECTIONS = 100

# When the request of this thread has to be over.
_request = threading.local()


class Answer(ty.NamedTuple):
    status: int
    #: what the JSON holds; None for no body
    data: ty.Any


def _left():
    """Seconds until the deadline of this thread's request, more than 0."""
    left = _request.deadline - time.monotonic()
    if left <= 0:
        raise socket.timeout('the deadline of the request has passed')
    return left


class _BoundedReader(io.RawIOBase):
    """Reads from a connection, waiting no longer than the deadline.

    The time-out of a socket is for one read, and a server that sends a byte
    every second never runs into it.
    """

    def __init__(self, sock):
        self._sock = sock
        self._raw = sock.makefile('rb', buffering=0)

    def readable(self):
        return True

    def readinto(self, buffer):
        self._sock.settimeout(_left())
        return self._raw.readinto(buffer)

    def close(self):
        self._raw.close()
        super().close()


class _BoundedResponse(http_client.HTTPResponse):

    def __init__(self, sock, *args, **kwargs):
        super().__init__(sock, *args, **kwargs)
        self.fp.close()
        self.fp = io.BufferedReader(_BoundedReader(sock))


class _Bounded:
    response_class = _BoundedResponse

    def send(self, data):
        if self.sock is None:
            self.connect()
        # An earlier request has left on it what was left of its own time.
        self.sock.settimeout(_left())
        super().send(data)


class _Connection(_Bounded, urllib3.connection.HTTPConnection):
    pass


class _TLSConnection(_Bounded, urllib3.connection.HTTPSConnection):
    pass


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _TLSPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _TLSConnection


class _Adapter(adapters.HTTPAdapter):

    def init_poolmanager(self, *args, **kwargs):
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {
            'http': _Pool, 'https': _TLSPool}


class TokenFile:
    """A token in a file that only its owner can read.

    It is read again when the file has changed. While a changed file does not
    do, the last good token stays in use, and an ERROR says so once.
    """

    def __init__(self, option: str, path: ty.Optional[str]):
        """:param option: its group and name, for the messages
        :raises nova.cmdb.errors.Misconfigured: the file does not do
        """
        self._option = option
        self._path = path
        self._lock = threading.Lock()
        if not path:
            raise errors.Misconfigured(
                '%s is not set; expected the path of a file with the token '
                'for the CMDB' % option)
        self._seen = self._signature()
        self._token = self._read()

    def _signature(self):
        try:
            found = os.stat(self._path)
        except OSError:
            return None
        return (found.st_ino, found.st_size, found.st_mtime_ns, found.st_mode)

    def _fault(self, text):
        return errors.Misconfigured(
            '%s = %s %s' % (self._option, self._path, text))

    def _read(self):
        try:
            # What waits for a writer, as a pipe does, must not stop us.
            number = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK)
        except (OSError, ValueError) as error:
            raise self._fault('cannot be read: %s' % (
                getattr(error, 'strerror', None) or error))
        with open(number, 'rb') as stream:
            mode = os.fstat(stream.fileno()).st_mode
            if not stat.S_ISREG(mode):
                raise self._fault('is no ordinary file')
            if mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise self._fault(
                    'has mode %04o; expected 0600 or 0400, so that only the '
                    'user of nova-cmdb-agent can read the token' %
                    stat.S_IMODE(mode))
            content = stream.read(_MAX_TOKEN + 1)
        # The token itself is in no message.
        if not re.fullmatch(rb'[!-~]+', content.strip()) or (
                len(content) > _MAX_TOKEN):
            raise self._fault(
                'holds no token; expected one line of printable ASCII without '
                'spaces, of at most %d bytes' % _MAX_TOKEN)
        return content.strip().decode('ascii')

    def token(self) -> str:
        """The token, as the file has it now."""
        if self._signature() != self._seen:
            self.reload()
        return self._token

    def reload(self) -> None:
        """Read the file, whether it has changed or not."""
        with self._lock:
            self._seen = self._signature()
            try:
                self._token = self._read()
            except errors.Misconfigured as error:
                LOG.error('%s. The last token that could be read stays in '
                          'use.', error)


def check_server_id(value: ty.Any) -> str:
    """A server's id, ready to be put into a path.

    :raises nova.cmdb.errors.Rejected: it is not the text of a uuid
    """
    if not is_server_id(value):
        raise errors.Rejected('the id of the record is not the text of a '
                              'uuid in lower case')
    return urllib.parse.quote(value, safe='')


def is_server_id(value: ty.Any) -> bool:
    """Whether it is the text of a uuid, in lower case and with dashes."""
    try:
        return isinstance(value, str) and str(uuid.UUID(value)) == value
    except ValueError:
        return False


def check_url(option: str, url: ty.Optional[str]) -> str:
    """The URL without a slash at its end.

    :param option: its group and name, for the messages
    :raises nova.cmdb.errors.Misconfigured: requests cannot be sent there
    """
    expected = 'expected https://HOST[:PORT][/PATH]'
    if not url:
        raise errors.Misconfigured('%s is not set; %s' % (option, expected))
    try:
        parts = urllib.parse.urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        parts = host = port = None
    if parts and (parts.username is not None or parts.password is not None):
        # This one is not shown.
        raise errors.Misconfigured(
            '%s holds a user or a password; %s, and the token in its file' % (
                option, expected))
    if (not host or port == 0 or parts.scheme not in ('http', 'https') or
            '?' in url or '#' in url or not re.fullmatch('[!-~]+', url)):
        raise errors.Misconfigured('%s = %s is no base of URLs; %s' % (
            option, url, expected))
    if parts.scheme == 'http' and not CONF.cmdb.insecure and (
            not _is_loopback(host)):
        raise errors.Misconfigured(
            '%s = %s would send the token and the records in the clear; %s, '
            'or [cmdb] insecure = true' % (option, url, expected))
    return url.rstrip('/')


def _is_loopback(host):
    try:
        return host == 'localhost' or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _verify():
    """What requests is to check certificates with."""
    if CONF.cmdb.insecure:
        return False
    if not CONF.cmdb.cafile:
        return True
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(CONF.cmdb.cafile)
    except (OSError, ValueError) as error:
        raise errors.Misconfigured(
            '[cmdb] cafile = %s cannot be used: %s; expected a file of '
            'certificates in PEM' % (
                CONF.cmdb.cafile,
                getattr(error, 'strerror', None) or error))
    return CONF.cmdb.cafile


def _retry_after(value):
    """Seconds that a Retry-After header asks for, or None."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            then = email.utils.parsedate_to_datetime(value)
            if then.tzinfo is None:
                then = then.replace(tzinfo=datetime.timezone.utc)
            seconds = (then - timeutils.utcnow(
                with_timezone=True)).total_seconds()
        except (TypeError, ValueError, IndexError, OverflowError):
            return None
    if not math.isfinite(seconds):
        return None
    return min(max(seconds, 0), MAX_RETRY_AFTER)


def _failure(error):
    """What to say of an exception of requests, which tells too much itself."""
    causes = []
    while error is not None and len(causes) < 10:
        causes.append(error)
        reason = getattr(error, 'reason', None)
        if not isinstance(reason, BaseException):
            reason = next((arg for arg in getattr(error, 'args', ())
                           if isinstance(arg, BaseException)), None)
        error = reason or error.__cause__ or error.__context__
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return 'its TLS certificate is not accepted: %s' % (
                cause.verify_message)
        if type(cause).__name__ == 'CertificateError':
            # urllib3's own, at different places in its releases.
            return ('its TLS certificate is not accepted: it is for another'
                    ' host')
        if isinstance(cause, ssl.SSLError):
            return 'TLS failed: %s' % (cause.reason or type(cause).__name__)
        if isinstance(cause, (requests.Timeout, socket.timeout,
                              TimeoutError)):
            return 'no whole answer within %g s' % CONF.cmdb.request_timeout
    for cause in causes:
        if isinstance(cause, OSError) and cause.strerror and (
                not isinstance(cause, requests.RequestException)):
            return 'it cannot be reached: %s' % cause.strerror
    # Not the last: urllib3 tries what is a TypeError with some Pythons first.
    told = [cause for cause in causes if isinstance(
        cause, (OSError, http_client.HTTPException)) and not isinstance(
            cause, requests.RequestException)] or causes
    return 'the connection failed: %s' % type(told[-1]).__name__


class Client:
    """Requests to one CMDB.

    Threads share it: it is an adapter of ``requests`` over a pool of
    connections, which is made for them. There is no session above it, since
    that keeps cookies, looks for proxies and passwords in the environment, and
    reads the whole body of a redirect, however large, even when it is not to
    follow it.
    """

    def __init__(self, url: str, authorization: ty.Callable[[], str]):
        """:param url: what check_url returned
        :param authorization: returns the header of that name
        :raises nova.cmdb.errors.Misconfigured: ``[cmdb] cafile`` does not do
        """
        self._url = url
        self._authorization = authorization
        self._verify = _verify()
        self._adapter = _Adapter(pool_maxsize=_MAX_CONNECTIONS)

    def request(self, method: str, path: str,
                params: ty.Optional[ty.List[ty.Tuple[str, ty.Any]]] = None,
                body: ty.Any = None,
                fine: ty.Container[int] = ()) -> Answer:
        """Ask once.

        :param path: with its first slash, quoted
        :param body: sent as JSON, if not None
        :param fine: statuses to return beside those below 300
        :raises nova.cmdb.errors.Unavailable: try again later
        :raises nova.cmdb.errors.Rejected: not this request
        """
        timeout = CONF.cmdb.request_timeout
        headers = {'Authorization': self._authorization(),
                   'Accept': 'application/json',
                   # A small answer may otherwise unfold into a huge one.
                   'Accept-Encoding': 'identity'}
        data = None
        if body is not None:
            headers['Content-Type'] = 'application/json'
            data = jsonutils.dump_as_bytes(body)
        request = requests.Request(
            method, self._url + path, headers=headers, params=params,
            data=data).prepare()
        _request.deadline = time.monotonic() + timeout
        try:
            with self._adapter.send(
                    request, stream=True, timeout=timeout,
                    verify=self._verify) as response:
                self._check(response, fine)
                return Answer(response.status_code, self._read(response))
        except (requests.RequestException, urllib3.exceptions.HTTPError,
                http_client.HTTPException, OSError) as error:
            raise errors.Unavailable(_failure(error)) from None

    def _check(self, response, fine):
        status = response.status_code
        if 200 <= status < 300 or status in fine:
            return
        if status in (401, 403):
            raise errors.Unavailable(
                'it does not accept our token (status %d)' % status)
        if 300 <= status < 400:
            raise errors.Unavailable(
                'it redirects us (status %d), which is not followed; is the '
                'URL that of the CMDB itself?' % status)
        if status in (408, 425, 429) or not 400 <= status < 500:
            raise errors.Unavailable(
                'it answered with status %d' % status,
                _retry_after(response.headers.get('Retry-After')))
        names = self._names(response)
        raise errors.Rejected('it refuses the record (status %d%s)' % (
            status, ': ' + ', '.join(names) if names else ''))

    def _names(self, response):
        """The fields that an answer names; what it says of them may tell.

        The rest goes to the DEBUG log only.
        """
        try:
            data = self._read(response)
        except errors.Unavailable:
            return []
        LOG.debug('The CMDB refuses a record: %.2000r', data)
        entries = data if isinstance(data, list) else [data]
        names = {name for entry in entries if isinstance(entry, dict)
                 for name in entry}
        return sorted(name for name in names
                      if re.fullmatch('[a-z_0-9]{1,40}', name))[:10]

    def _read(self, response):
        # Else urllib3 1.26 takes what was cut off for the whole.
        response.raw.enforce_content_length = True
        content = b''.join(self._chunks(response))
        if not content.strip():
            return None
        try:
            return jsonutils.loads(content)
        except (ValueError, RecursionError):
            raise errors.Unavailable(
                'answer not understood: no JSON') from None

    def _chunks(self, response):
        size = 0
        while True:
            chunk = response.raw.read(65536, decode_content=False)
            if not chunk:
                return
            size += len(chunk)
            if size > MAX_ANSWER:
                raise errors.Unavailable(
                    'answer not understood: larger than %d bytes' %
                    MAX_ANSWER)
            yield chunk

    def close(self) -> None:
        self._adapter.close()
