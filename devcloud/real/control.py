"""Start the cloud of real services, stop it, and look after it."""

import argparse
import concurrent.futures
import contextlib
import functools
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import time
import xmlrpc.client

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE.parent), str(ROOT / 'tests' / 'services')]

from keystoneauth1 import exceptions as keystone_errors  # noqa: E402
import openstack  # noqa: E402

import contents as cloud_contents  # noqa: E402
import guest  # noqa: E402
import namespaces as cloud_namespaces  # noqa: E402
import novas  # noqa: E402
import one_at_a_time  # noqa: E402
import settings as cloud_settings  # noqa: E402
import under_debugger  # noqa: E402

_DATABASES = ('keystone', 'placement', 'glance', 'neutron', 'nova_api',
              'nova_cell0', 'nova_cell1')
# What is there before the databases are, and what does not need them.
_FIRST = ('mariadb', 'rabbitmq', 'libvirtd', 'portal', 'cmdb')
# What talking to the supervisor fails with when it has ended.
_NO_SUPERVISOR = (cloud_namespaces.NotRunning, OSError, xmlrpc.client.Error)
# The commands that change what others read.
_CHANGES = ('start', 'restart', 'replace', 'features')

_TRY = """
The cloud is up. Try:

    export OS_CLIENT_CONFIG_FILE={clouds} OS_CLOUD=devcloud
    export PATH={client}:$PATH
    openstack compute service list
    openstack server create --flavor guest --image guest --network private \\
        --wait one                        # in QEMU
    openstack console log show one        # its address, a minute later
    openstack server metrics show one
    openstack server create --flavor web --image fake --nic none \\
        --min 2 --max 2 web               # one on each of the fake hosts
    openstack --os-cloud devcloud-demo server create --flavor gold \\
        --image fake --nic none gold      # refused: flavor rules
    curl -H 'Authorization: Bearer {token}' {cmdb}/vms

Logs are in {logs}. `make cloud-status` lists the services, `make cloud-restart
SERVICE=nova-compute` restarts one, `make cloud-real-stop` ends all.
"""


class Failed(Exception):
    pass


def _is_novas(name):
    return name.startswith('nova-')


class Control:
    """
    :param settings: a Settings
    """

    def __init__(self, settings):
        self.folder = settings.folder
        self._settings = settings
        self._namespaces = cloud_namespaces.Namespaces(settings)
        self._contents = cloud_contents.Contents(settings)
        self._ready = settings.folder / 'ready'
        self._began = time.monotonic()

    def _progress(self, message):
        print('-- %3.0f s: %s' % (time.monotonic() - self._began, message),
              flush=True)

    # -- start

    def start(self, nova=None):
        """
        :param nova: which Nova its services are of, if it matters
        """
        if self._namespaces.pid():
            found = self._settings.chosen['nova']
            if nova not in (None, found):
                raise Failed('a cloud runs that was started from %s; to have '
                             'one from %s, end it first' % (found, nova))
            if self._ready.exists():
                print('-- the cloud runs already')
                return
        if not self._namespaces.pid():
            self._clear()
            shutil.rmtree(self._settings.logs, ignore_errors=True)
            self._settings.logs.mkdir(parents=True)
            nova = nova or 'tree'
            self._progress('Nova is from %s' % nova)
            self._provide(nova)
            self._settings.choose(
                nova=nova, services={}, features=nova != 'stock')
            self._debug(*filter(_is_novas, self._settings.programs()))
            self._settings.write()
            self._install_mariadb()
            self._namespaces.start()
        # One that did not come up is taken on from where it is.
        self._supervisor = self._until(
            'the supervisor listens', self._namespaces.supervisor,
            _NO_SUPERVISOR, seconds=20)
        self._enter(self._settings.chosen['nova'])
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            self._start_services(pool)
        self._ready.touch()
        self._progress('ready')

    def _provide(self, name):
        """Get a Nova, unless it is there."""
        try:
            self._settings.novas[name].provide()
        except novas.Missing as error:
            raise Failed(str(error))

    def _enter(self, name):
        self._settings.novas[name].enter(self._run)

    def _start_services(self, pool):
        image = pool.submit(guest.build, self._settings.build /
                            'guest-kernel', self._settings.folder / 'guest')
        self._start(*_FIRST)
        self._until_up('mariadb')
        self._make_databases()
        self._progress('making the databases')
        rest = [pool.submit(self._manage, *words) for words in (
            ('placement-manage', ['placement'], 'db', 'sync'),
            ('neutron-db-manage', ['neutron'], 'upgrade', 'heads'),
            ('glance-manage', ['glance'], 'db_sync'))]
        rest.append(pool.submit(self._make_cells))
        self._make_keystone()
        self._start('keystone')
        self._until_up('keystone')
        self._contents.write_clouds()
        self._contents.make_identity()
        self._progress('keystone is up')
        for one in rest:
            one.result()
        self._until_up('rabbitmq')
        self._progress('the databases are there')
        self._start('placement', 'glance', 'neutron-server', 'nova-api')
        self._until_up('placement')
        # They end when placement does not answer.
        self._start(*self._settings.programs())
        self._until_up('glance')
        self._contents.make_images(image.result())
        self._until_up('nova-api')
        self._contents.make_flavors()
        self._until_up('neutron-server')
        self._contents.make_network()
        self._progress('images, flavors and a network are there')
        missing = None

        def complete():
            nonlocal missing
            missing = self._contents.missing()
            return not missing

        try:
            self._until('all services are up', complete, Exception, 120)
        except Failed as error:
            raise Failed('%s: missing %s' % (error, missing))
        self._nova_manage('cell_v2', 'discover_hosts')

    def _until(self, what, probe, errors=(), seconds=120):
        """Call `probe` until it returns something true, and return that.

        :raises Failed: it does not within these seconds
        """
        end = time.monotonic() + seconds
        while True:
            said = None
            try:
                found = probe()
                if found:
                    return found
            except errors as error:
                said = error
            if not self._namespaces.pid():
                raise Failed('the cloud has ended; see %s'
                             % (self._settings.logs / 'namespaces.log'))
            if time.monotonic() > end:
                raise Failed('not within %d s: %s%s' % (
                    seconds, what, ' (%s)' % said if said else ''))
            time.sleep(0.2)

    def _until_up(self, name, port=None):
        """Wait until a program answers on its port, or on the given one."""
        published = port is None and (
            name in cloud_settings.PUBLISHED or name in (
                'nova-api', 'neutron-server'))
        port = port or self._settings.programs()[name].port
        if published:
            probe = self._published(port)
        else:
            probe = functools.partial(self._namespaces.listens, port)

        def up():
            state = self._supervisor.getProcessInfo(name)['statename']
            if state == 'FATAL':
                raise Failed('%s does not start:\n%s' % (
                    name, self.tail(name)))
            return probe()

        self._until('%s answers on port %d' % (name, port), up,
                    _NO_SUPERVISOR)

    @staticmethod
    def _published(port):
        def answers():
            # The portal accepts for it, and ends the connection at once.
            try:
                with socket.create_connection(('127.0.0.1', port), 5) as one:
                    one.sendall(b'OPTIONS / HTTP/1.0\r\n\r\n')
                    return one.recv(1) != b''
            except OSError:
                return False
        return answers

    def _start(self, *names):
        for name in names:
            state = self._supervisor.getProcessInfo(name)['statename']
            if state not in ('STARTING', 'RUNNING'):
                self._progress('starting %s' % name)
                self._supervisor.startProcess(name, False)

    def _run(self, *command, **environment):
        """Run a command in the name spaces; what it says.

        :param environment: variables beside the present ones
        :raises Failed: it failed
        """
        done = subprocess.run(
            self._namespaces.command(*command), text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, env=dict(
                os.environ, PYTHONWARNINGS='ignore',
                PYTHONDONTWRITEBYTECODE='1', **environment))
        with open(self._settings.logs / 'start.log', 'a') as log:
            log.write('$ %s\n%s' % (' '.join(map(str, command)), done.stdout))
        if done.returncode:
            raise Failed('%s:\n%s' % (' '.join(map(str, command)),
                                      done.stdout[-3000:]))
        return done.stdout

    def _manage(self, program, confs, *words):
        return self._run(self._settings.bin / program,
                         *self._settings.configured(*confs), *words)

    def _nova_manage_of(self, name):
        """The words of the command nova-manage of a Nova."""
        return [*self._settings.novas[name].command('nova-manage'),
                *self._settings.configured(
                    'nova', name + '/nova', 'controller', 'cmdb-agent')]

    def _nova_manage(self, *words):
        name = self._settings.chosen['nova']
        return self._run(*self._nova_manage_of(name), *words,
                         **self._settings.novas[name].environment)

    def _install_mariadb(self):
        self._progress('making a MariaDB')
        done = subprocess.run(
            ['mariadb-install-db', '--no-defaults', '--user=root',
             '--datadir=%s' % (self._settings.folder / 'mariadb'),
             '--skip-test-db', '--auth-root-authentication-method=normal'],
            text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT)
        if done.returncode:
            raise Failed(done.stdout)

    def _make_databases(self):
        self._run('mariadb', '--no-defaults', '--socket=/run/mariadb.sock',
                  '--user=root', '--execute', ''.join(
                      'CREATE DATABASE IF NOT EXISTS %s CHARACTER SET utf8;'
                      % name for name in _DATABASES))

    def _make_keystone(self):
        common = ('keystone-manage', ['keystone'])
        self._manage(*common, 'db_sync')
        for what in ('fernet_setup', 'credential_setup'):
            self._manage(*common, what, '--keystone-user', 'root',
                         '--keystone-group', 'root')
        url = self._settings.url('keystone')
        self._manage(
            *common, 'bootstrap', '--bootstrap-password',
            cloud_settings.PASSWORD, '--bootstrap-region-id',
            cloud_settings.REGION, '--bootstrap-public-url', url,
            '--bootstrap-internal-url', url)

    def _make_cells(self):
        self._nova_manage('api_db', 'sync')
        self._nova_manage(
            'cell_v2', 'map_cell0', '--database_connection',
            'mysql+pymysql://root@127.0.0.1/nova_cell0?charset=utf8')
        self._nova_manage('db', 'sync')
        cells = self._nova_manage('cell_v2', 'list_cells')
        if ' cell1 ' not in cells:
            self._nova_manage('cell_v2', 'create_cell', '--name', 'cell1')

    # -- and all else

    def stop(self):
        found = self._namespaces.pid()
        # A start that is under way gives up for it.
        self._end()
        with one_at_a_time.of(self._settings.folder):
            self._end()
            self._clear()
        print('-- the cloud has ended' if found else '-- no cloud is running')

    def _end(self):
        if self._namespaces.pid():
            self._as_root()
            # Without a supervisor there is no service either.
            with contextlib.suppress(*_NO_SUPERVISOR):
                self._stop_services(self._namespaces.supervisor())
            self._namespaces.end()

    @staticmethod
    def _stop_services(supervisor):
        """Stop what needs others side by side: each takes its time for it,
        and the supervisor by itself ends one after the other.
        """
        names = {one['name'] for one in supervisor.getAllProcessInfo()
                 if one['name'] not in _FIRST}

        def going_on():
            return [one['name'] for one in supervisor.getAllProcessInfo()
                    if one['name'] in names and one['statename'] in (
                        'STARTING', 'RUNNING', 'STOPPING')]

        for name in going_on():
            supervisor.stopProcess(name, False)
        # It kills those that take longer.
        end = time.monotonic() + cloud_settings.STOP_SECONDS + 5
        while going_on() and time.monotonic() < end:
            time.sleep(0.2)
        # As it ends, it takes a second for each, also for what has stopped.
        for name in names.difference(going_on()):
            supervisor.removeProcessGroup(name)

    def _clear(self):
        """Remove all but the logs, which go with the next start."""
        folder = self._settings.folder
        found = {path.name for path in folder.iterdir()} if (
            folder.exists()) else set()
        if found and 'log' not in found:
            raise Failed('%s holds something else than a cloud; expected a '
                         'folder that is empty or not there' % folder)
        for name in found - {'log'}:
            path = folder / name
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def show(self):
        """:returns: whether it is running"""
        if not self._namespaces.pid() or not self._ready.exists():
            print('-- no cloud is running')
            return False
        print(_TRY.format(
            clouds=self._settings.clouds, logs=self._settings.logs,
            client=self._settings.build / 'venv/client-2024.1/bin',
            cmdb=self._settings.url('cmdb'),
            token=(self._settings.etc / 'cmdb-token').read_text().strip()))
        return True

    def _as_root(self):
        if os.getuid() != 0:
            raise Failed('the cloud in %s is root\'s; expected is root'
                         % self._settings.folder)

    def _running(self):
        if self._namespaces.pid():
            self._as_root()
        try:
            return self._namespaces.supervisor()
        except cloud_namespaces.NotRunning:
            raise Failed('no cloud is running')

    def status(self):
        """A line for each service; whether all of them run."""
        rows = self._running().getAllProcessInfo()
        for row in rows:
            print('%-26s %-9s %s' % (row['name'], row['statename'],
                                     row['description']))
        return all(row['statename'] == 'RUNNING' for row in rows)

    def _known(self, name):
        names = self._settings.programs()
        if name not in names:
            raise Failed('there is no service %r; there are %s' % (
                name, ', '.join(names)))
        return name

    def log(self, name):
        """The path of a service's log, also of a cloud that has ended."""
        found = {path.stem: path for path in self._settings.logs.glob('*.log')}
        if name not in found:
            raise Failed('there is no log of %r in %s; there are %s' % (
                name, self._settings.logs, ', '.join(sorted(found)) or 'none'))
        return found[name]

    def tail(self, name):
        return self.log(name).read_text(errors='replace')[-3000:]

    def set_state(self, name, *actions):
        """Stop a service, start it, or one after the other."""
        supervisor = self._running()
        self._known(name)
        for action in actions:
            try:
                getattr(supervisor, action + 'Process')(name)
            except xmlrpc.client.Fault as fault:
                # It was stopped already, or is running.
                if fault.faultCode not in (60, 70):
                    raise Failed('%s: %s\n%s' % (name, fault.faultString,
                                                 self.tail(name)))

    def replace(self, service, nova):
        """Let a service be of another Nova: it ends, and the other starts."""
        self._supervisor = self._running()
        if service not in cloud_settings.NOVA:
            raise Failed('Nova has no service %r; it has %s' % (
                service, ', '.join(cloud_settings.NOVA)))
        chosen = self._settings.chosen
        if nova == 'stock' and chosen['features']:
            raise Failed('the features are on, for which stock Nova is not '
                         'made: turn them off first')
        if nova == 'packages':
            self._not_debugged(service, self._settings.debuggers.get(service))
        self._provide(nova)
        self._enter(nova)
        self._settings.choose(
            services={**chosen['services'], service: nova})
        self._write_nova()
        # Stock Nova has no agent of the CMDB.
        if service in self._settings.programs():
            self.set_state(service, 'start')

    def set_features(self, on):
        """Services have what they were started with until they restart."""
        self._supervisor = self._running()
        stock = [name for name in cloud_settings.NOVA
                 if self._settings.name_of_nova(name) == 'stock']
        if on and stock:
            raise Failed('stock Nova has no features, and that is what %s are'
                         % ', '.join(stock))
        self._settings.choose(features=on)
        self._write_nova()

    def _write_nova(self):
        """Write what is chosen, and end what is to be started in another way.
        """
        self._settings.write_nova()
        self._reread()

    def nova_manage(self, nova, words):
        """Become the nova-manage of a Nova."""
        self._running()
        nova = nova or self._settings.chosen['nova']
        with one_at_a_time.of(self.folder):
            self._provide(nova)
            self._enter(nova)
        os.environ.update(self._settings.novas[nova].environment,
                          PYTHONWARNINGS='ignore',
                          PYTHONDONTWRITEBYTECODE='1')
        self.run([*self._nova_manage_of(nova), *words])

    def restart(self, name):
        """Start a service anew: with changed code, and under debugpy if the
        environment says so.
        """
        self._supervisor = self._running()
        self._known(name)
        if under_debugger.port(name) and not _is_novas(name):
            raise Failed('%s cannot be debugged: it is none of Nova\'s '
                         'services' % name)
        if self._debug(name):
            self._settings.write_supervisor()
            self._reread()
        self.set_state(name, 'stop', 'start')
        port = self._settings.debuggers.get(name)
        if port:
            self.set_state('portal-' + name, 'start')
            self._until_up(name, port)
        if self._settings.programs()[name].port:
            self._until_up(name)

    def _debug(self, *names):
        """Have services run under debugpy, or no longer, as the environment
        says; whether that is a change.
        """
        for name in names:
            if self._settings.name_of_nova(name) == 'packages':
                self._not_debugged(name, under_debugger.port(name))
        return self._settings.debug(*names)

    @staticmethod
    def _not_debugged(name, port):
        if port:
            raise Failed('%s cannot be debugged on port %d and be from '
                         'packages: debugpy is beside the Nova of build/tree'
                         % (name, port))

    def _reread(self):
        """Have the supervisor follow its configuration. What is not the same
        any more is stopped.
        """
        (added, changed, removed), = self._supervisor.reloadConfig()
        for name in (*changed, *removed):
            self._supervisor.stopProcessGroup(name)
            self._supervisor.removeProcessGroup(name)
        for name in (*changed, *added):
            self._supervisor.addProcessGroup(name)

    def run(self, words):
        """Become a command in the name spaces."""
        self._running()
        command = self._namespaces.command(*words)
        os.execvp(command[0], command)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--folder', type=pathlib.Path, required=True)
    parser.add_argument('--build', type=pathlib.Path, required=True)
    commands = parser.add_subparsers(dest='command', required=True)

    def with_from(parser):
        parser.add_argument('--from', dest='nova', choices=novas.NAMES)
        return parser

    with_from(commands.add_parser('start'))
    for name in ('stop', 'status'):
        commands.add_parser(name)
    for name in ('logs', 'restart', 'stop-service', 'start-service'):
        commands.add_parser(name).add_argument('service')
    commands.add_parser('run').add_argument(
        'words', nargs=argparse.REMAINDER)
    replace = commands.add_parser('replace')
    replace.add_argument('service')
    replace.add_argument('nova', choices=novas.NAMES)
    commands.add_parser('features').add_argument(
        'state', choices=('on', 'off'))
    with_from(commands.add_parser('nova-manage')).add_argument(
        'words', nargs=argparse.REMAINDER)
    args = parser.parse_args()
    control = Control(cloud_settings.Settings(
        args.folder.absolute(), args.build.absolute()))
    try:
        with contextlib.ExitStack() as held:
            if args.command in _CHANGES:
                if os.getuid() != 0:
                    raise Failed('the cloud has bridges, rules and guests of '
                                 'its own, which only root can make')
                held.enter_context(one_at_a_time.of(control.folder))
            return _do(control, args)
    except (Failed, under_debugger.BadPort, *_NO_SUPERVISOR,
            openstack.exceptions.SDKException,
            keystone_errors.ClientException) as error:
        print('error: %s' % (error or repr(error)), file=sys.stderr)
        return 1


def _do(control, args):
    """:returns: the exit status"""
    if args.command == 'start':
        control.start(args.nova)
        return 0 if control.show() else 1
    if args.command == 'stop':
        control.stop()
    elif args.command == 'status':
        return 0 if control.status() else 1
    elif args.command == 'logs':
        path = control.log(args.service)
        os.execvp('less', ['less', '+F', path]) if (
            sys.stdout.isatty()) else print(path.read_text())
    elif args.command == 'run':
        control.run(args.words)
    elif args.command == 'replace':
        control.replace(args.service, args.nova)
    elif args.command == 'features':
        control.set_features(args.state == 'on')
    elif args.command == 'nova-manage':
        control.nova_manage(args.nova, args.words)
    elif args.command == 'restart':
        control.restart(args.service)
    else:
        control.set_state(args.service, *{
            'stop-service': ('stop',),
            'start-service': ('start',)}[args.command])
    return 0


if __name__ == '__main__':
    sys.exit(main())
