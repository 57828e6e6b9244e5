"""The embedded cloud: Nova in one process, to try the fork and to show it.

Real are the API over HTTP, conductor, scheduler, placement and as many
nova-computes as wanted, on SQLite and an in-process bus. The hypervisor is
upstream's fake driver; images and networks are those of upstream's tests.
There is no keystone: a token says who asks (token_auth.py). The CMDB is a
process beside this one, and what tells it of servers is in this one, as the
bus is.

Each start is a new cloud, since the fake driver forgets its servers. Only the
empty databases are kept for the next start.

This is the process itself; control.py starts it and waits for the file READY.
"""

import argparse
import hashlib
import pathlib
import shutil
import sys
import threading
import time

# Before anything else of Nova, as in its services.
import nova.monkey_patch  # noqa: F401

from oslo_config import cfg
from oslo_log import log as logging
from placement import conf as placement_conf
from placement import db_api as placement_db
from placement import deploy as placement_deploy
import sqlalchemy as sa
import yaml

from nova.cmdb import agent as cmdb_agent
from nova.cmdb import metrics as cmdb_metrics
from nova.compute import rpcapi
import nova.conf
from nova import config
from nova import context as nova_context
from nova.db import migration
from nova import objects
from nova.objects import host_mapping
from nova import remote_pdb
from nova import service
from nova.tests import fixtures as nova_fixtures
from nova.tests.fixtures import http_cmdb
from nova import wsgi

import examples
import ports
import stand_ins

CONF = nova.conf.CONF

READY = 'ready'
PROJECT = nova_fixtures.PROJECT_ID
DEMO_PROJECT = 'd' * 32
CELLS_DATABASES = ('cell0', 'cell1')

_NOVA_CONF = """
[DEFAULT]
my_ip = 127.0.0.1
transport_url = fake:/
compute_driver = fake.MediumFakeDriver
state_path = {folder}
log_file = {folder}/nova.log
debug = true
osapi_compute_listen = 127.0.0.1
osapi_compute_listen_port = {compute}
osapi_compute_workers = 1
allow_resize_to_same_host = false
[api]
auth_strategy = noauth2
[wsgi]
api_paste_config = {folder}/api-paste.ini
[oslo_policy]
policy_file = {folder}/policy.yaml
[api_database]
connection = {api_database}
[database]
connection = {database}
[placement]
auth_type = admin_token
endpoint = http://127.0.0.1:{placement}
token = admin
[oslo_concurrency]
lock_path = {folder}/lock
[oslo_messaging_notifications]
driver = noop

# The fork's features.
[filter_scheduler]
enabled_filters = {filters}
[flavor_rules]
rules_file = {folder}/flavor-rules.yaml
use_database = true
[compute_hooks]
enabled = cmdb
[cmdb]
retry_max_delay = 2
[cmdb_http]
url = {cmdb}
token_file = {folder}/cmdb-token
[remote_pdb]
enabled = true
"""

_PLACEMENT_CONF = """
[api]
auth_strategy = noauth2
[placement_database]
connection = {database}
"""


def progress(message):
    print('-- %s' % message, flush=True)


class Cloud:
    """
    :param folder: where everything of it is
    :param hosts: how many nova-computes
    :param cmdb: the URL of the CMDB
    """

    def __init__(self, folder, hosts, cmdb):
        self.folder, self.cmdb = folder, cmdb
        self.hosts = ['host%d' % number for number in range(1, hosts + 1)]
        self._running = []

    def _database(self, name):
        return 'sqlite:///%s/%s.sqlite' % (self.folder, name)

    def start(self):
        # Listening first: the ports that are free go into the configuration.
        self.listeners = {
            name: wsgi.Server(name, None, host='127.0.0.1', port=0)
            for name in ('identity', 'placement', 'image', 'network')}
        self.ports = {name: server.port
                      for name, server in self.listeners.items()}
        self.ports['compute'], = ports.free(1)
        self._configure()
        self._make_databases()
        self._serve('placement', placement_deploy.loadapp(self._placement))
        fixture = stand_ins.Fixture()
        fixture.setUp()
        stand_ins.HooksInProcess().setUp()
        self._serve('image', stand_ins.images(fixture))
        self._serve('network', stand_ins.networks(fixture))
        self._serve('identity', stand_ins.identity(
            {'admin': (PROJECT, 'admin'), 'demo': (DEMO_PROJECT, 'demo')},
            {kind: 'http://127.0.0.1:%d%s' % (port, {
                'compute': '/v2.1'}.get(kind, ''))
             for kind, port in self.ports.items()}))
        self._start_services()
        self._make_flavors()

    def _serve(self, name, application):
        self.listeners[name].app = application
        self.listeners[name].start()

    def _configure(self):
        paste = pathlib.Path(
            nova.__file__).parents[1] / 'etc/nova/api-paste.ini'
        (self.folder / 'api-paste.ini').write_text(
            paste.read_text().replace(
                'nova.api.openstack.auth:NoAuthMiddleware.factory',
                'token_auth:TokenAuth.factory'))
        # A token's roles are those of token_auth.py; 'admin' among them.
        (self.folder / 'policy.yaml').write_text('{}\n')
        (self.folder / 'flavor-rules.yaml').write_text(
            yaml.safe_dump(examples.flavor_rules(DEMO_PROJECT)))
        (self.folder / 'nova.conf').write_text(_NOVA_CONF.format(
            folder=self.folder, filters=','.join(examples.FILTERS),
            api_database=self._database('api'),
            database=self._database('cell1'), cmdb=self.cmdb, **self.ports))
        # Nobody else may read it, or the agent refuses it.
        token = self.folder / 'cmdb-token'
        token.touch(0o600)
        token.write_text(http_cmdb.TOKEN + '\n')
        (self.folder / 'placement.conf').write_text(_PLACEMENT_CONF.format(
            folder=self.folder, database=self._database('placement')))
        config.parse_args(['devcloud', '--config-file',
                           str(self.folder / 'nova.conf')])
        logging.setup(CONF, 'nova')
        self._placement = cfg.ConfigOpts()
        placement_conf.register_opts(self._placement)
        self._placement([], project='placement', default_config_files=[
            str(self.folder / 'placement.conf')])
        placement_db.configure(self._placement)
        objects.register_all()

    def _make_databases(self):
        """Copy the empty ones, made by the first start for each schema."""
        kept = self.folder / 'empty' / self._schema()
        names = ('api', *CELLS_DATABASES, 'placement')
        if not kept.exists():
            progress('making the databases, for this and later starts')
            migration.db_sync(database='api')
            migration.db_sync(database='main')
            from placement.db.sqlalchemy import migration as placement_schema
            placement_schema.upgrade('head')
            made = kept.with_name('making')
            shutil.rmtree(kept.parent, ignore_errors=True)
            made.mkdir(parents=True)
            for name in names:
                source = 'cell1' if name in CELLS_DATABASES else name
                shutil.copy(self.folder / ('%s.sqlite' % source),
                            made / ('%s.sqlite' % name))
            made.rename(kept)
        for name in names:
            shutil.copy(kept / ('%s.sqlite' % name), self.folder)
        context = nova_context.get_admin_context()
        for name, uuid in zip(CELLS_DATABASES, (
                objects.CellMapping.CELL0_UUID, None)):
            objects.CellMapping(
                context, name=name, transport_url='fake:/',
                uuid=uuid or stand_ins.uuid_of(name),
                database_connection=self._database(name)).create()

    @staticmethod
    def _schema():
        """Names the schema: a digest of everything that makes it."""
        digest = hashlib.sha256(sa.__version__.encode())
        for path in sorted(pathlib.Path(migration.__file__).parent.glob(
                '**/*.py')):
            digest.update(path.read_bytes())
        return digest.hexdigest()[:16]

    def _start_services(self):
        # What launchers of services do, of which there is none here.
        remote_pdb.setup()
        self._start('nova-conductor', 'conductor', 'controller')
        self._start('nova-scheduler', 'scheduler', 'controller')
        for host in self.hosts:
            self._start('nova-compute', rpcapi.RPC_TOPIC, host)
        host_mapping.discover_hosts(nova_context.get_admin_context())
        CONF.set_override('host', 'controller')
        api = service.WSGIService('osapi_compute')
        api.start()
        self._running.append(api)
        self._start_cmdb_agent()

    def _start(self, binary, topic, host):
        progress('%s on %s' % (binary, host))
        # What a service takes from the configuration, it takes now.
        CONF.set_override('host', host)
        CONF.set_override('state_path', str(self.folder / 'hosts' / host))
        (self.folder / 'hosts' / host).mkdir(parents=True, exist_ok=True)
        running = service.Service.create(
            binary=binary, topic=topic, host=host)
        running.start()
        self._running.append(running)

    @staticmethod
    def _start_cmdb_agent():
        """In threads, which it has anyway; a process would have no bus."""
        progress('nova-cmdb-agent on controller')
        agent = cmdb_agent.Agent(cmdb_agent.load_driver(),
                                 cmdb_metrics.Metrics())
        threading.Thread(target=agent.run, args=(threading.Event(),),
                         daemon=True).start()

    @staticmethod
    def _make_flavors():
        context = nova_context.get_admin_context()
        for name, vcpus, memory_mb, extra_specs in examples.FLAVORS:
            objects.Flavor(
                context, flavorid=name, name=name, vcpus=vcpus,
                memory_mb=memory_mb, root_gb=1, ephemeral_gb=0, swap=0,
                rxtx_factor=1.0, vcpu_weight=0, disabled=False,
                is_public=True, extra_specs=extra_specs).create()

    def write_clouds(self):
        """clouds.yaml, for the openstack client."""
        (self.folder / 'clouds.yaml').write_text(yaml.safe_dump({'clouds': {
            name: {
                'region_name': 'devcloud', 'identity_api_version': '3',
                'compute_api_version': '2.96',
                'auth': {
                    'auth_url': 'http://127.0.0.1:%(identity)d/v3' %
                                self.ports,
                    'username': user, 'password': 'any',
                    'project_name': project, 'user_domain_id': 'default',
                    'project_domain_id': 'default'},
            } for name, user, project in (
                ('devcloud', 'admin', 'admin'),
                ('devcloud-demo', 'demo', 'demo'))}}))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('folder', type=pathlib.Path)
    parser.add_argument('--hosts', type=int, default=3)
    parser.add_argument('--cmdb', required=True, help='URL of the CMDB')
    args = parser.parse_args()
    progress('Nova is loaded')
    cloud = Cloud(args.folder.absolute(), args.hosts, args.cmdb)
    cloud.start()
    cloud.write_clouds()
    (args.folder / READY).touch()
    while True:
        time.sleep(3600)


if __name__ == '__main__':
    sys.exit(main())
