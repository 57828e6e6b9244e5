"""A small cloud of the installed packages, to boot servers in.

The services are started with the command lines of the installed systemd units,
as the units' user, in the units' folder. What is not Nova is as little as
possible: Debian's RabbitMQ and Placement, SQLite files, the fake virt driver,
no Keystone (deb_auth.py), and a stub for Neutron and Glance (deb_stub.py).
"""

import configparser
import json
import pathlib
import shlex
import subprocess
import sys

import deb_root
import deb_stub

HERE = pathlib.Path(__file__).parent
SERVICES = ('nova-conductor', 'nova-scheduler', 'nova-api', 'nova-compute')

# In a network name space of their own, all of them are free.
API, PLACEMENT, STUB, RABBIT = 8774, 8778, 9696, 5672

_NOVA_CONF = '''
[DEFAULT]
my_ip = 127.0.0.1
host = node1
transport_url = rabbit://guest:guest@127.0.0.1:{RABBIT}/
enabled_apis = osapi_compute
osapi_compute_listen = 127.0.0.1
osapi_compute_workers = 1
[api]
auth_strategy = noauth2
[wsgi]
api_paste_config = /srv/testing/api-paste.ini
[api_database]
connection = sqlite:////var/lib/nova/api.db
[database]
connection = sqlite:////var/lib/nova/cell1.db
[conductor]
workers = 1
[scheduler]
workers = 1
discover_hosts_in_cells_interval = 1
[placement]
auth_type = admin_token
endpoint = http://127.0.0.1:{PLACEMENT}
token = admin
[neutron]
auth_type = admin_token
endpoint = http://127.0.0.1:{STUB}
endpoint_override = http://127.0.0.1:{STUB}
token = admin
[glance]
endpoint_override = http://127.0.0.1:{STUB}
'''

_PLACEMENT_CONF = '''
[api]
auth_strategy = noauth2
[placement_database]
connection = sqlite:////srv/testing/placement.db
sync_on_startup = true
'''

_REQUEST = '''
import json, sys, urllib.error, urllib.request
method, url, body = sys.argv[1:]
request = urllib.request.Request(
    url, method=method, data=body.encode() or None,
    headers={'Content-Type': 'application/json',
             'OpenStack-API-Version': 'compute 2.96'})
try:
    answer = urllib.request.urlopen(request, timeout=60)
except urllib.error.HTTPError as error:
    answer = error
except OSError as error:
    sys.exit(print(json.dumps([0, str(error)])))
print(json.dumps([answer.status, answer.read().decode()]))
'''


def unit(system, name):
    """The [Service] section of an installed unit."""
    parser = configparser.ConfigParser(interpolation=None, strict=True)
    parser.optionxform = str
    parser.read(system.path('/lib/systemd/system/%s.service' % name))
    return parser['Service']


class Cloud:
    """
    :param system: a deb_root.System in which our packages are installed
    :param logs: a folder for the output of everything that is started
    """

    def __init__(self, system, logs):
        self.system = system
        self.logs = logs
        self.processes = {}

    def configure(self):
        """Write the configuration as an operator would."""
        system = self.system
        installed = system.path('/etc/nova/nova.conf').read_text()
        # Ours come after the installed ones of the same section and win.
        system.path('/etc/nova/nova.conf').write_text(
            installed + _NOVA_CONF.format(**globals()))
        system.write('/etc/nova/nova-compute.conf',
                     '[DEFAULT]\ncompute_driver = fake.MediumFakeDriver\n')
        paste = system.path('/etc/nova/api-paste.ini').read_text()
        upstreams = 'nova.api.openstack.auth:NoAuthMiddleware.factory'
        assert upstreams in paste
        system.write('/srv/testing/api-paste.ini', paste.replace(
            upstreams, 'deb_auth:Admin.factory'))
        for name in ('deb_auth.py', 'deb_stub.py'):
            system.write('/srv/testing/' + name, (HERE / name).read_text())
        system.write('/srv/testing/placement.conf', _PLACEMENT_CONF)

    def start_infrastructure(self):
        start = self._start
        start('rabbitmq', 'rabbitmq-server', user='rabbitmq', env={
            'HOME': '/var/lib/rabbitmq',
            'RABBITMQ_NODENAME': 'rabbit@localhost',
            'RABBITMQ_NODE_IP_ADDRESS': '127.0.0.1',
            'ERL_EPMD_ADDRESS': '127.0.0.1'})
        start('placement', 'placement-api', '--host', '127.0.0.1', '--port',
              str(PLACEMENT), env={'OS_PLACEMENT_CONFIG_DIR': '/srv/testing'})
        start('stub', 'python3', '/srv/testing/deb_stub.py', str(STUB))

    def make_databases(self):
        """Run nova-manage as the documentation says; what each printed."""
        said = {}
        for words in (['api_db', 'sync'],
                      ['cell_v2', 'map_cell0', '--database_connection',
                       'sqlite:////var/lib/nova/cell0.db'],
                      ['db', 'sync'],
                      ['cell_v2', 'create_cell', '--name', 'cell1']):
            said[' '.join(words[:2])] = self.system.run(
                'nova-manage', *words, user='nova')
        return said

    def start_services(self):
        self.wait_for_port('rabbitmq', RABBIT)
        # Conductor and scheduler give up if Placement does not answer.
        self.wait_for_port('placement', PLACEMENT)
        for name in SERVICES:
            self.start_unit(name)
        self.wait_for_port('nova-api', API)
        deb_root.until('a compute node to build on', self._compute_is_mapped)

    def start_unit(self, name):
        """Start what `systemctl start` would."""
        service = unit(self.system, name)
        self._start(name, *shlex.split(service['ExecStart']),
                    user=service['User'], cwd=service['WorkingDirectory'],
                    env={'PYTHONPATH': '/srv/testing'})

    def _start(self, name, *command, **how):
        self.processes[name] = self.system.start(
            *command, log=self.logs / (name + '.log'), **how)

    def _compute_is_mapped(self):
        self._alive('nova-compute')
        # The cell a host is in is the last thing to be known.
        _, body = self.api('GET', '/os-hypervisors')
        return body.get('hypervisors')

    def _alive(self, name):
        if self.processes[name].ended():
            raise AssertionError('%s has ended:\n%s' % (name, self.log(name)))

    def log(self, name):
        """The last lines of a service's output and of its log."""
        files = [self.logs / (name + '.log'),
                 self.system.path('/var/log/nova/%s.log' % name)]
        return '\n'.join('\n'.join(file.read_text().splitlines()[-30:])
                         for file in files if file.exists())

    def wait_for_port(self, name, port):
        def answers():
            self._alive(name)
            return self._request(
                'GET', 'http://127.0.0.1:%d/' % port, '')[0] != 0 or (
                    self._listens(port))
        deb_root.until('%s on port %d' % (name, port), answers)

    def _listens(self, port):
        done = self.system.run('cat', '/proc/net/tcp')
        # Local address, remote address, state: 0A is LISTEN.
        return any(fields[1].endswith(':%04X' % port) and fields[3] == '0A'
                   for fields in map(str.split, done.stdout.splitlines()))

    def _request(self, method, url, body):
        # This machine's Python, in the system's network.
        done = subprocess.run(
            ['nsenter', '-t', self.system.pid, '-n', sys.executable, '-c',
             _REQUEST, method, url, body],
            text=True, check=True, stdout=subprocess.PIPE)
        return json.loads(done.stdout)

    def api(self, method, path, body=None):
        """Call the compute API; the status and the decoded body."""
        status, text = self._request(
            method, 'http://127.0.0.1:%d/v2.1%s' % (API, path),
            json.dumps(body) if body else '')
        try:
            return status, json.loads(text or '{}')
        except ValueError:
            return status, {'text': text}

    def boot(self):
        """Create a server and wait for what becomes of it; the server."""
        _, body = self.api('POST', '/flavors', {'flavor': {
            'id': 'small', 'name': 'small', 'ram': 64, 'vcpus': 1,
            'disk': 1}})
        status, body = self.api('POST', '/servers', {'server': {
            'name': 'first', 'flavorRef': 'small', 'networks': 'none',
            'imageRef': deb_stub.IMAGE}})
        assert status == 202, body
        path = '/servers/' + body['server']['id']

        def settled():
            server = self.api('GET', path)[1].get('server', {})
            return server.get('status') in ('ACTIVE', 'ERROR') and server

        return deb_root.until('the server ACTIVE or ERROR', settled)

    def delete(self, server):
        """Delete a server and wait until it is not found; the last status."""
        path = '/servers/' + server['id']
        self.api('DELETE', path)
        return deb_root.until('the server gone',
                              lambda: self.api('GET', path)[0] == 404)
