"""The configuration of every service, and how the supervisor starts them.

The network of the cloud is its own (namespaces.py), so what only its services
talk to has its usual port. Ports that the machine's programs reach are chosen
when the cloud is made, and are the same on both sides.
"""

import configparser
import dataclasses
import json
import pathlib
import shutil
import sys

import examples
import http_cmdb
import novas
import ports as cloud_ports
import under_debugger

PASSWORD = 'devcloud'
REGION = 'RegionOne'
#: The host with libvirt, and those with the fake driver.
LIBVIRT_HOST = 'node1'
FAKE_HOSTS = ('fake1', 'fake2')

#: What the machine reaches, through the portal.
PUBLISHED = ('keystone', 'placement', 'glance', 'neutron', 'nova', 'cmdb')
#: How long a program may take to end before it is killed.
STOP_SECONDS = 20
_METADATA_PORT = 8775
_METADATA_SECRET = 'metadata'
_CMDB_AGENT = 'nova-cmdb-agent'

#: The services of Nova: each can be of another one.
NOVA = ('nova-api', 'nova-conductor', 'nova-scheduler', 'nova-compute',
        *('nova-compute-' + host for host in FAKE_HOSTS), _CMDB_AGENT)

# Sections of the rights that parts of the services have: each names the
# program that holds them, or sudo would be asked for.
_NOVA_RIGHTS = ('nova_sys_admin', 'vif_plug_linux_bridge_privileged',
                'vif_plug_ovs_privileged')
_NEUTRON_RIGHTS = (
    'privsep', 'privsep_dhcp_release', 'privsep_ovs_vsctl',
    'privsep_namespace', 'privsep_conntrack', 'privsep_link')


@dataclasses.dataclass
class Program:
    """
    :ivar port: on which it answers when it is up, if it does
    """
    name: str
    command: list
    environment: dict = dataclasses.field(default_factory=dict)
    port: int = None


def _write(path, sections):
    parser = configparser.RawConfigParser(
        default_section='none', delimiters=('=',))
    parser.optionxform = str
    parser.read_dict({name: {key: str(value) for key, value in found.items()}
                      for name, found in sections.items()})
    with open(path, 'w') as stream:
        parser.write(stream)


class Settings:
    """
    :param folder: where everything of the cloud is
    :param build: with the tree, and the virtual environments
    """

    def __init__(self, folder, build):
        self.folder, self.build = folder, build
        self.novas = novas.novas(build, folder)
        self.etc, self.logs = folder / 'etc', folder / 'log'
        # The interpreter that runs this is that of the other services.
        self.bin = pathlib.Path(sys.executable).parent
        self.clouds = folder / 'clouds.yaml'
        self.flavor_rules = self.etc / 'flavor-rules.yaml'
        self._chosen_file = folder / 'nova.json'
        self._debuggers_file = folder / 'debuggers.json'

    @property
    def ports(self):
        """By the names of PUBLISHED; the same until the folder is removed."""
        return cloud_ports.of(self.folder, PUBLISHED)

    @property
    def chosen(self):
        """Which Nova runs: `nova` where `services` does not name another;
        and whether the `features` of the fork are on."""
        if not self._chosen_file.exists():
            return {'nova': 'tree', 'services': {}, 'features': True}
        return json.loads(self._chosen_file.read_text())

    def choose(self, **changes):
        """Change what is chosen; write_nova() makes it so."""
        self._chosen_file.write_text(json.dumps({**self.chosen, **changes}))

    def name_of_nova(self, service):
        """The name in novas of the Nova that a service is of."""
        chosen = self.chosen
        return chosen['services'].get(service, chosen['nova'])

    def nova_of(self, service):
        return self.novas[self.name_of_nova(service)]

    @property
    def debuggers(self):
        """The ports of debugpy, by the names of the programs under it."""
        if not self._debuggers_file.exists():
            return {}
        return json.loads(self._debuggers_file.read_text())

    def debug(self, *names):
        """Run these programs under debugpy, or no longer, as the environment
        says; from when write() or write_supervisor() is called.

        :returns: whether that is a change
        :raises under_debugger.BadPort: it says something else
        """
        before = self.debuggers
        wanted = dict(before, **{
            name: under_debugger.port(name) for name in names})
        after = {name: port for name, port in wanted.items() if port}
        if after != before:
            # Another restart may be reading it.
            fresh = self._debuggers_file.with_suffix('.new')
            fresh.write_text(json.dumps(after))
            fresh.rename(self._debuggers_file)
        return after != before

    def url(self, name):
        path = {'keystone': '/v3', 'nova': '/v2.1'}.get(name, '')
        return 'http://127.0.0.1:%d%s' % (self.ports[name], path)

    @staticmethod
    def _database(name):
        return {'connection': 'mysql+pymysql://root@127.0.0.1/%s?charset=utf8'
                              % name, 'max_pool_size': 5}

    def _credentials(self, user):
        return {'auth_type': 'password', 'auth_url': self.url('keystone'),
                'username': user, 'password': PASSWORD,
                'project_name': 'service', 'user_domain_id': 'default',
                'project_domain_id': 'default', 'region_name': REGION}

    def _authtoken(self, user):
        found = self._credentials(user)
        # It is no client of a region.
        del found['region_name']
        return dict(found, www_authenticate_uri=self.url('keystone'),
                    service_token_roles_required=True)

    @staticmethod
    def _rights(sections, program, conf):
        command = '%s --config-file %s' % (program, conf)
        return {name: {'helper_command': command} for name in sections}

    def write(self):
        for folder in (self.etc, self.logs, self.folder / 'nova/instances',
                       self.folder / 'lock', self.folder / 'neutron',
                       *(self.folder / 'glance' / name for name in (
                           'images', 'staging', 'tasks')),
                       *(self.folder / 'keystone' / name for name in (
                           'fernet', 'credential')),
                       *(self.folder / 'hosts' / host
                         for host in FAKE_HOSTS)):
            folder.mkdir(parents=True, exist_ok=True)
        # keystone says so each time when others may read its keys.
        for name in ('fernet', 'credential'):
            (self.folder / 'keystone' / name).chmod(0o700)
        self._write_rabbitmq()
        for name in ('keystone', 'placement', 'glance', 'neutron',
                     'controller'):
            _write(self.etc / (name + '.conf'),
                   getattr(self, '_' + name)())
        self._write_computes()
        self._write_cmdb_agent()
        self._write_neutron_agents()
        self.write_nova()

    def write_nova(self):
        """What depends on which Nova runs."""
        _write(self.etc / 'nova.conf', self._nova())
        for name, nova in self.novas.items():
            folder = self.etc / name
            folder.mkdir(exist_ok=True)
            _write(folder / 'nova.conf', {
                'wsgi': {'api_paste_config': nova.paste},
                **self._rights(_NOVA_RIGHTS, nova.privsep,
                               self.etc / 'nova.conf')})
            # The packages have it in /etc/nova.
            if nova.release and nova.release.exists():
                shutil.copy(nova.release, folder)
        self.write_supervisor()

    def _write_rabbitmq(self):
        folder = self.folder / 'rabbitmq'
        folder.mkdir(exist_ok=True)
        (folder / 'conf').write_text('listeners.tcp.1 = 127.0.0.1:5672\n'
                                     'log.file.level = warning\n')
        (folder / 'plugins').write_text('[].\n')

    def _keystone(self):
        return {
            'DEFAULT': {'use_stderr': True},
            'database': self._database('keystone'),
            'fernet_tokens': {
                'key_repository': self.folder / 'keystone/fernet'},
            'credential': {
                'key_repository': self.folder / 'keystone/credential'},
            # Many users are made and log in here; the passwords are no secret.
            'identity': {'password_hash_rounds': 4},
            'oslo_messaging_notifications': {'driver': 'noop'},
            # In its memory: it has one process.
            'cache': {'enabled': True, 'backend': 'dogpile.cache.memory'},
        }

    def _placement(self):
        return {
            'DEFAULT': {'use_stderr': True},
            'placement_database': self._database('placement'),
            'keystone_authtoken': self._authtoken('placement'),
        }

    def _glance(self):
        folder = self.folder / 'glance'
        return {
            'DEFAULT': {
                'bind_host': '127.0.0.1', 'bind_port': self.ports['glance'],
                'workers': 0, 'use_stderr': True,
                'enabled_backends': 'files:file',
                'node_staging_uri': 'file://%s' % (folder / 'staging')},
            'glance_store': {'default_backend': 'files'},
            'files': {'filesystem_store_datadir': folder / 'images'},
            'os_glance_staging_store': {
                'filesystem_store_datadir': folder / 'staging'},
            'os_glance_tasks_store': {
                'filesystem_store_datadir': folder / 'tasks'},
            'database': self._database('glance'),
            'paste_deploy': {
                'flavor': 'keystone',
                'config_file': self.bin.parent /
                'etc/glance/glance-api-paste.ini'},
            'oslo_messaging_notifications': {'driver': 'noop'},
            'keystone_authtoken': self._authtoken('glance'),
        }

    def _neutron(self):
        conf = self.etc / 'neutron.conf'
        return {
            'DEFAULT': {
                'bind_host': '127.0.0.1', 'bind_port': self.ports['neutron'],
                'host': LIBVIRT_HOST, 'core_plugin': 'ml2',
                'service_plugins': '', 'api_workers': 1, 'rpc_workers': 1,
                'rpc_state_report_workers': 0,
                'transport_url': 'rabbit://guest:guest@127.0.0.1:5672/',
                'state_path': self.folder / 'neutron',
                'api_paste_config': self.bin.parent /
                'etc/neutron/api-paste.ini', 'use_stderr': True,
                'interface_driver': 'linuxbridge'},
            'experimental': {'linuxbridge': True},
            # All of it runs as root.
            'agent': {'root_helper': '', 'report_interval': 15},
            'oslo_concurrency': {'lock_path': self.folder / 'lock'},
            'database': self._database('neutron'),
            'oslo_messaging_notifications': {'driver': 'noop'},
            # One host has guests with interfaces: a bridge there will do.
            'ml2': {'type_drivers': 'local', 'tenant_network_types': 'local',
                    'mechanism_drivers': 'linuxbridge',
                    'extension_drivers': 'port_security'},
            'vxlan': {'enable_vxlan': False},
            'securitygroup': {'firewall_driver': 'iptables'},
            'nova': self._credentials('nova'),
            'placement': self._credentials('placement'),
            'keystone_authtoken': self._authtoken('neutron'),
            **self._rights(_NEUTRON_RIGHTS, self.bin / 'privsep-helper',
                           conf),
        }

    def _write_neutron_agents(self):
        _write(self.etc / 'neutron-dhcp.conf', {'DEFAULT': {
            'enable_isolated_metadata': True, 'force_metadata': True}})
        _write(self.etc / 'neutron-metadata.conf', {'DEFAULT': {
            'nova_metadata_host': '127.0.0.1',
            'nova_metadata_port': _METADATA_PORT,
            'metadata_proxy_shared_secret': _METADATA_SECRET,
            'metadata_workers': 1}})

    def _nova(self):
        return {
            'DEFAULT': {
                'my_ip': '127.0.0.1', 'host': LIBVIRT_HOST,
                'transport_url': 'rabbit://guest:guest@127.0.0.1:5672/',
                'state_path': self.folder / 'nova',
                'compute_driver': 'libvirt.LibvirtDriver',
                'enabled_apis': 'osapi_compute,metadata',
                'osapi_compute_listen': '127.0.0.1',
                'osapi_compute_listen_port': self.ports['nova'],
                'osapi_compute_workers': 1,
                'metadata_listen': '127.0.0.1',
                'metadata_listen_port': _METADATA_PORT,
                'metadata_workers': 1, 'use_stderr': True,
                'allow_resize_to_same_host': False},
            'oslo_concurrency': {'lock_path': self.folder / 'lock'},
            'libvirt': {'virt_type': 'qemu', 'cpu_mode': 'none',
                        'connection_uri': 'qemu:///system'},
            'vnc': {'enabled': False},
            'placement': self._credentials('placement'),
            'glance': self._credentials('glance'),
            'neutron': dict(
                self._credentials('neutron'), service_metadata_proxy=True,
                metadata_proxy_shared_secret=_METADATA_SECRET),
            'service_user': dict(self._credentials('nova'),
                                 send_service_user_token=True),
            'keystone_authtoken': self._authtoken('nova'),
            'oslo_messaging_notifications': {'driver': 'noop'},
            # There is one scheduler. While it restarts, nova-compute could
            # not tell it of changes, and would put servers in ERROR for it.
            'filter_scheduler': {
                'track_instance_changes': False,
                **({'enabled_filters': ','.join(examples.FILTERS)}
                   if self.chosen['features'] else {})},
            **(self._features() if self.chosen['features'] else {}),
        }

    def _features(self):
        """Of the fork, beside its filter."""
        return {
            'flavor_rules': {'rules_file': self.flavor_rules,
                             'use_database': True},
            'compute_hooks': {'enabled': 'cmdb'},
            'remote_pdb': {'enabled': True},
        }

    @staticmethod
    def _controller():
        """Beside nova.conf: a nova-compute must not have the databases."""
        return {
            'api_database': Settings._database('nova_api'),
            'database': Settings._database('nova_cell1'),
            'conductor': {'workers': 1},
            'scheduler': {'workers': 1},
        }

    def _write_computes(self):
        for host in FAKE_HOSTS:
            _write(self.etc / ('%s.conf' % host), {'DEFAULT': {
                'host': host, 'compute_driver': 'fake.LastingFakeDriver',
                'state_path': self.folder / 'hosts' / host}})

    def _write_cmdb_agent(self):
        token = self.etc / 'cmdb-token'
        token.touch(0o600)
        token.write_text(http_cmdb.TOKEN + '\n')
        _write(self.etc / 'cmdb-agent.conf', {
            'cmdb': {'driver': 'http', 'retry_max_delay': 2},
            'cmdb_http': {'url': self.url('cmdb'), 'token_file': token}})

    def write_tempest(self, sections):
        """The configuration of Tempest, when all that it names is there."""
        _write(self.folder / 'tempest.conf', sections)

    def configured(self, *names):
        """The words of a command that name these configuration files."""
        return [word for name in names for word in (
            '--config-file', str(self.etc / (name + '.conf')))]

    def programs(self):
        """All of them, by name."""
        here = pathlib.Path(__file__).parent
        ports = self.ports

        def uwsgi(name, script, **environment):
            return Program(name, [
                self.bin / 'uwsgi', '--master', '--die-on-term',
                '--enable-threads', '--lazy-apps', '--need-app',
                '--buffer-size', '65535', '--disable-logging',
                # It closes after each answer, and does not say so itself.
                '--add-header', "'Connection: close'",
                '--processes', '1', '--threads', '4', '--http-socket',
                '127.0.0.1:%d' % ports[name],
                '--wsgi-file', self.bin / script], environment, ports[name])

        def neutron(name, *confs, port=None):
            return Program(
                'neutron-' + name, [self.bin / ('neutron-' + name),
                                    *self.configured('neutron', *confs)],
                port=port)

        def nova(name, *confs, port=None, script=None):
            found = self.nova_of(name)
            command = [*found.command('python'), script] if script else (
                found.command(name))
            debugger = self.debuggers.get(name)
            if debugger and not script:
                command = [*found.command('python'), *command]
            return Program(name, [
                *under_debugger.command(debugger, command), *self.configured(
                    'nova', self.name_of_nova(name) + '/nova', *confs)],
                found.environment, port)

        def portal(name, *ports):
            return Program(name, [
                sys.executable, '-P', here / 'portal.py', '/run/machine-net',
                *map(str, ports)])

        def fake_compute(host):
            return nova('nova-compute-' + host, host,
                        script=here / 'fake_compute.py')

        rabbitmq = self.folder / 'rabbitmq'
        program, = pathlib.Path('/usr/lib/rabbitmq/lib').glob(
            'rabbitmq_server-*/sbin/rabbitmq-server')
        found = [
            Program('mariadb', [
                'mariadbd', '--no-defaults', '--user=root',
                '--datadir=%s' % (self.folder / 'mariadb'),
                '--socket=/run/mariadb.sock', '--bind-address=127.0.0.1',
                '--skip-name-resolve', '--max-connections=500',
                '--innodb-buffer-pool-size=128M',
                '--innodb-flush-log-at-trx-commit=2',
                '--performance-schema=OFF'], port=3306),
            Program('rabbitmq', [program], {
                'HOME': rabbitmq, 'RABBITMQ_NODENAME': 'devcloud@localhost',
                'RABBITMQ_MNESIA_BASE': rabbitmq / 'mnesia',
                'RABBITMQ_LOG_BASE': rabbitmq / 'log',
                'RABBITMQ_CONFIG_FILE': rabbitmq / 'conf',
                'RABBITMQ_ENABLED_PLUGINS_FILE': rabbitmq / 'plugins',
                'RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS':
                    '+S 1:1 +sbwt none'}, port=5672),
            Program('libvirtd', ['libvirtd']),
            portal('portal', *ports.values()),
            Program('cmdb', [
                sys.executable, '-P', here.parent / 'cmdb.py',
                str(ports['cmdb']), self.folder / 'cmdb.json'],
                port=ports['cmdb']),
            uwsgi('keystone', 'keystone-wsgi-public',
                  OS_KEYSTONE_CONFIG_FILES=self.etc / 'keystone.conf',
                  OS_KEYSTONE_CONFIG_DIR=self.etc),
            uwsgi('placement', 'placement-api',
                  OS_PLACEMENT_CONFIG_DIR=self.etc),
            Program('glance', [self.bin / 'glance-api',
                               *self.configured('glance')],
                    port=ports['glance']),
            neutron('server', port=ports['neutron']),
            neutron('linuxbridge-agent'),
            neutron('dhcp-agent', 'neutron-dhcp'),
            neutron('metadata-agent', 'neutron-metadata'),
            Program('neutron-fake-agents', [
                sys.executable, '-P', here / 'fake_agents.py',
                *self.configured('neutron'), *FAKE_HOSTS]),
            nova('nova-api', 'controller', port=ports['nova']),
            nova('nova-conductor', 'controller'),
            nova('nova-scheduler', 'controller'),
            nova('nova-compute'),
            *map(fake_compute, FAKE_HOSTS),
            # One each, so that none is disturbed when another comes or goes.
            *(portal('portal-' + name, '--guarded', port)
              for name, port in self.debuggers.items()),
        ]
        if self.nova_of(_CMDB_AGENT).agent:
            found.append(nova(_CMDB_AGENT, 'controller', 'cmdb-agent'))
        return {one.name: one for one in found}

    def write_supervisor(self):
        sections = {
            'supervisord': {
                'nodaemon': True, 'user': 'root',
                'logfile': self.logs / 'supervisord.log',
                'pidfile': '/run/supervisord.pid'},
            'unix_http_server': {'file': '/run/supervisor.sock'},
            'rpcinterface:supervisor': {
                'supervisor.rpcinterface_factory':
                    'supervisor.rpcinterface:make_main_rpcinterface'},
        }
        path = '%s:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:' \
            '/sbin:/bin' % self.bin
        for one in self.programs().values():
            environment = dict({'PATH': path, 'PYTHONWARNINGS': 'ignore',
                                'PYTHONDONTWRITEBYTECODE': 1},
                               **one.environment)
            sections['program:' + one.name] = {
                'command': ' '.join(map(str, one.command)),
                'environment': ','.join('%s="%s"' % item
                                        for item in environment.items()),
                'autostart': False, 'autorestart': True, 'startsecs': 1,
                # As the units of the packages: workers are told by their
                # parent. Told twice they drop what they are doing.
                'startretries': 5, 'stopasgroup': False, 'killasgroup': True,
                'stopwaitsecs': STOP_SECONDS, 'redirect_stderr': True,
                'stdout_logfile': self.logs / (one.name + '.log'),
                'stdout_logfile_maxbytes': '20MB',
                'stdout_logfile_backups': 1}
        _write(self.etc / 'supervisord.conf', sections)
