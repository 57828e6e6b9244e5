"""Services of the cloud of real services that are debugged."""

import concurrent.futures
import datetime
import os
import pathlib
import re
import subprocess

import pytest

import client as cloud_client
import dap
import ports
from process import until
import real
import under_debugger

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture
def pool():
    with concurrent.futures.ThreadPoolExecutor() as pool:
        yield pool


@pytest.fixture
def boot(cloud):
    """A function that makes a server on a host; it is deleted in the end."""
    made = []

    def create(service):
        made.append(
            cloud.create('guest', image='guest', network='private')
            if service == 'nova-compute' else cloud.create('web'))
        return made[-1]

    yield create
    for name in made:
        cloud.openstack('server', 'delete', '--wait', name)


class TestDebugpy:

    # For each service, a file and a line of it that a boot comes by.
    BREAKPOINTS = {
        'nova-api': ('nova/compute/flavor_rules/__init__.py',
                     'known_rules.decide('),
        'nova-conductor': ('build/tree/nova/conductor/manager.py',
                           '_schedule_instances(context, request_specs[0]'),
        'nova-scheduler': ('nova/scheduler/filters/business_spread_filter.py',
                           'request = self._request(spec_obj, spread,'),
        'nova-compute': ('nova/compute/hooks.py',
                         'packet = _encode(Event('),
        'nova-compute-fake1': ('build/tree/nova/compute/manager.py',
                               "image_name = image.get('name')"),
        'nova-compute-fake2': ('nova/compute/hooks.py',
                               'packet = _encode(Event('),
        'nova-cmdb-agent': ('nova/cmdb/delivery.py',
                            'driver.put(record)'),
    }

    @pytest.fixture
    def debugged(self, cloud):
        """A function that restarts a service under debugpy; its port."""
        names = []

        def debug(name):
            port, = ports.free(1)
            names.append(name)
            self._restart(cloud, name, **{
                under_debugger.variable(name): str(port)})
            return port

        yield debug
        for name in names:
            self._restart(cloud, name)
        assert 'portal-nova' not in cloud.control('status')

    @staticmethod
    def _restart(cloud, name, **environment):
        cloud.control('restart', name, **environment)
        began = datetime.datetime.utcnow().isoformat()
        host = {'nova-compute': 'node1', 'nova-compute-fake1': 'fake1',
                'nova-compute-fake2': 'fake2'}.get(name)

        def reports():
            found, = cloud.openstack(
                'compute', 'service', 'list', '--service', 'nova-compute',
                '--host', host, parse=True)
            return found['Updated At'] > began

        if host:
            # As it starts, it gives up servers that are being built on it.
            until('%s has started' % name, reports, seconds=180, pause=1)

    @pytest.mark.parametrize('service', BREAKPOINTS)
    def test_an_editor_stops_a_service(
            self, cloud, debugged, boot, pool, service):
        # A boot in QEMU takes minutes on a busy machine.
        editor = dap.Client(debugged(service), seconds=300)
        path, text = self.BREAKPOINTS[service]
        path = ROOT / path
        editor.attach(
            dap.configurations()[under_debugger.variable(service)],
            [(path, dap.line(path, text))])
        made = [pool.submit(boot, service)]
        if service.startswith('nova-compute-fake'):
            # One on each of the fake hosts.
            made.append(pool.submit(boot, service))
        _thread, frames = editor.stopped()
        assert frames[0]['source']['path'] == str(path)
        editor.detach()
        for one in made:
            assert cloud.show(one.result(300))['status'] == 'ACTIVE'

    def test_a_cloud_can_be_started_so(self, cloud):
        port, = ports.free(1)
        other = real.Real(cloud.fork, cloud.folder.with_name('cloud-debug'))
        try:
            other.begin('', **{
                under_debugger.variable('nova-conductor'): str(port)})
            assert 'portal-nova-conductor' in other.control('status')
            editor = dap.Client(port)
            path, text = self.BREAKPOINTS['nova-conductor']
            path = ROOT / path
            editor.attach(
                dap.configurations()[
                    under_debugger.variable('nova-conductor')],
                [(path, dap.line(path, text))])
            with concurrent.futures.ThreadPoolExecutor() as pool:
                made = pool.submit(other.create, 'web')
                _thread, frames = editor.stopped()
                assert frames[0]['source']['path'] == str(path)
                editor.detach()
                assert other.show(made.result())['status'] == 'ACTIVE'
        finally:
            other.control('stop')

    def test_a_service_under_it_is_not_replaced_by_packages(
            self, cloud, debugged):
        debugged('nova-scheduler')
        with pytest.raises(cloud_client.Refused, match='nova-scheduler cannot '
                           'be debugged on port .* packages'):
            cloud.control('replace', 'nova-scheduler', 'packages')
        assert 'nova-scheduler             RUNNING' in cloud.control('status')

    def test_a_service_that_is_not_novas_is_refused(self, cloud):
        with pytest.raises(cloud_client.Refused, match="none of Nova's"):
            cloud.control('restart', 'glance', DEBUGPY_GLANCE='5680')


class TestPdb:

    @staticmethod
    def _tell(cloud, port, command):
        """Give a command and let the call go on; what is said to that.

        As somebody types it, who is root in the cloud's network. Whose input
        ends at once is taken for one that has gone.
        """
        with subprocess.Popen(
                cloud.command('run', 'busybox', 'nc', '127.0.0.1', port),
                stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                text=True) as nc:
            nc.stdin.write(command + '\ncontinue\n')
            nc.stdin.flush()
            return nc.stdout.read()

    @pytest.mark.parametrize('service', [
        'nova-compute', 'nova-conductor', 'nova-scheduler'])
    def test_a_call_is_looked_at_and_goes_on(
            self, cloud, boot, pool, service):
        log = cloud.folder / 'log' / (service + '.log')
        before = log.stat().st_size
        pid = re.search(r'(?m)^%s +RUNNING +pid (\d+),' % service,
                        cloud.control('status'))[1]
        cloud.control('run', 'kill', '-URG', pid)
        made = pool.submit(boot, service)

        def waits():
            return re.search(
                r'stopped dispatch .* process %s\. .* nc 127.0.0.1 (\d+)'
                % pid, log.read_bytes()[before:].decode())

        port = until('a call waits', waits, seconds=120)[1]
        said = pool.submit(self._tell, cloud, port,
                           'p incoming.message["method"]').result(120)
        assert re.search(r"\(Pdb\) '\w+'", said), said
        assert cloud.show(made.result(300))['status'] == 'ACTIVE'

    @pytest.fixture
    def wsgi_server(self, cloud, tmp_path):
        """nova-api in uWSGI, with two threads: its port, and its log."""
        port, = ports.free(1)
        build, etc = cloud.fork.build, cloud.folder / 'etc'
        # What the program nova-api-wsgi of the packages does.
        script = tmp_path / 'nova_api_wsgi.py'
        script.write_text('from nova.api.openstack.compute import wsgi\n'
                          'application = wsgi.init_application()\n')
        conf = tmp_path / 'pdb.conf'
        conf.write_text('[remote_pdb]\nopen_at_start = true\n')
        files = [cloud.fork.tree / 'etc/nova/api-paste.ini', 'nova.conf',
                 'tree/nova.conf', 'controller.conf', conf]
        log = tmp_path / 'uwsgi.log'
        with open(log, 'wb') as out, subprocess.Popen(
                cloud.command(
                    'run', build / 'venv/cloud/bin/uwsgi', '--master',
                    '--die-on-term', '--enable-threads', '--lazy-apps',
                    '--need-app', '--processes', '1', '--threads', '2',
                    '--virtualenv', build / 'venv/nova',
                    '--http-socket', '127.0.0.1:%d' % port,
                    '--pidfile', tmp_path / 'pid', '--wsgi-file', script),
                env=dict(os.environ, OS_NOVA_CONFIG_DIR=str(etc),
                         OS_NOVA_CONFIG_FILES=';'.join(map(str, files)),
                         PYTHONWARNINGS='ignore', PYTHONPATH='%s:%s' % (
                             cloud.fork.tree, build / 'libvirt-python')),
                stdin=subprocess.DEVNULL, stdout=out,
                stderr=subprocess.STDOUT) as process:
            yield port, log
            # Itself, in the name spaces: the command only waits for it.
            pid = (tmp_path / 'pid').read_text().strip()
            cloud.control('run', 'kill', pid)
            process.wait(60)

    def test_in_a_wsgi_server_the_first_request_stops(
            self, cloud, wsgi_server, pool):
        server, log = wsgi_server
        token = cloud.openstack('token', 'issue', parse=True)['id']

        def ask(path):
            return cloud.control('run', 'busybox', 'wget', '-q', '-O', '-',
                                 '--header', 'X-Auth-Token: ' + token,
                                 'http://127.0.0.1:%d%s' % (server, path))

        until('it has started', lambda: 'spawned uWSGI worker 1' in
              log.read_text() and 'WSGI app 0' in log.read_text(), seconds=60)
        asked = pool.submit(ask, '/v2.1/servers')
        port = until('the request waits', lambda: re.search(
            r'stopped dispatch .* nc 127.0.0.1 (\d+)', log.read_text()),
            seconds=60)[1]
        # By the other thread.
        assert '"flavors"' in ask('/v2.1/flavors')
        assert not asked.done()
        assert "'GET'" in pool.submit(
            self._tell, cloud, port, 'p request.method').result(120)
        assert '"servers"' in asked.result(60)
