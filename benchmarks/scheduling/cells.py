"""Cells full of servers, the same in each run.

What is in the tables is what a region of some age has: hosts as libvirt
reports them, servers with and without tags, those that were deleted and not
archived yet, and migrations, most of which ended long ago.
"""

import collections
import datetime
import json
import random
import uuid

from nova import context as nova_context
from nova.db.api import api as api_db_api
from nova.db.api import models as api_models
from nova.db.main import api as main_db_api
from nova.db.main import models
from nova import objects

# As Nova's BusinessSpreadFilter has it by default.
MAX_PER_HOST = 3

# How many servers have the tags that requests are made for. Ten is what
# upstream's quota allows in a server group; in the other one the average host
# of a thousand holds one, and every twelfth is full.
TAGS = {'tag-of-10': 10, 'tag-of-1000': 1000}

# The others: two in five have one of these tags, the rest has none.
OTHER_TAGS, OTHERS_TAGGED = 200, 0.4

DELETED = 0.1
MIGRATED, MIGRATING = 0.3, 0.0005

ROWS_AT_ONCE = 5000


class Cell:
    """A cell, as the requests have to know it.

    :param candidates: how many of the hosts placement names
    """

    def __init__(self, name, hosts, servers, candidates=1000):
        self.name, self.hosts, self.servers = name, hosts, servers
        # The same hosts, servers and tags in each run.
        self._random = random.Random(name)
        self.nodes = [
            (number, 'compute-%05d.%s' % (number, name), self._uuid())
            for number in range(1, hosts + 1)]
        self.candidates = self._random.sample(self.nodes, candidates)
        self.uuids_by_host = collections.defaultdict(list)
        # The members of server groups: those that have the tags too.
        self.uuids_by_tag = collections.defaultdict(list)
        self.mapping = None

    def _uuid(self):
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def create(self, url):
        """Map the cell, and fill its database, whose tables are there."""
        context = nova_context.get_admin_context()
        self.mapping = objects.CellMapping(
            context, uuid=self._uuid(), name=self.name,
            database_connection=url, transport_url='fake:/')
        self.mapping.create()
        with nova_context.target_cell(context, self.mapping) as cctxt:
            engine = main_db_api.get_engine(context=cctxt)
        now = datetime.datetime.utcnow().replace(microsecond=0)
        with api_db_api.get_engine().begin() as connection:
            connection.execute(api_models.HostMapping.__table__.insert(), [
                {'host': host, 'cell_id': self.mapping.id}
                for _number, host, _uuid in self.nodes])
        with engine.begin() as connection:
            def insert(model, rows):
                for start in range(0, len(rows), ROWS_AT_ONCE):
                    connection.execute(model.__table__.insert(),
                                       rows[start:start + ROWS_AT_ONCE])

            insert(models.Service, [self._service(node, now)
                                    for node in self.nodes])
            insert(models.ComputeNode, [self._compute_node(node, now)
                                        for node in self.nodes])
            servers = self._servers(now)
            insert(models.Instance, servers)
            insert(models.InstanceExtra, [
                self._extra(server) for server in servers])
            insert(models.Migration, self._migrations(servers, now))

    def _service(self, node, now):
        number, host, _uuid = node
        return {'id': number, 'uuid': self._uuid(), 'host': host,
                'binary': 'nova-compute', 'topic': 'compute',
                'report_count': 100000, 'last_seen_up': now,
                'created_at': now, 'updated_at': now, 'deleted': 0,
                'disabled': False, 'forced_down': False,
                'version': objects.service.SERVICE_VERSION}

    def _compute_node(self, node, now):
        number, host, node_uuid = node
        return {
            'id': number, 'uuid': node_uuid, 'host': host, 'mapped': 1,
            'hypervisor_hostname': host, 'deleted': 0,
            'created_at': now, 'updated_at': now,
            'vcpus': 128, 'memory_mb': 1 << 20, 'local_gb': 20000,
            'vcpus_used': 64, 'memory_mb_used': 1 << 19,
            'local_gb_used': 8000, 'free_ram_mb': 1 << 19,
            'free_disk_gb': 12000, 'disk_available_least': 10000,
            'current_workload': 0, 'running_vms': 100,
            'hypervisor_type': 'QEMU', 'hypervisor_version': 8002002,
            'host_ip': '10.%d.%d.1' % divmod(number, 256),
            'cpu_info': json.dumps({
                'arch': 'x86_64', 'model': 'EPYC-Milan', 'vendor': 'AMD',
                'topology': {'cells': 2, 'sockets': 1, 'cores': 32,
                             'threads': 2},
                'features': ['feature%d' % i for i in range(100)]}),
            'supported_instances': json.dumps([
                ['x86_64', 'kvm', 'hvm'], ['x86_64', 'qemu', 'hvm'],
                ['i686', 'kvm', 'hvm'], ['i686', 'qemu', 'hvm']]),
            'metrics': '[]', 'extra_resources': None,
            'stats': json.dumps({
                'num_instances': '100', 'io_workload': '0',
                'num_vm_active': '100', 'num_os_type_None': '100',
                'num_proj_%s' % ('1' * 32): '100', 'failed_builds': '0'}),
            'cpu_allocation_ratio': 4.0, 'ram_allocation_ratio': 1.0,
            'disk_allocation_ratio': 1.0}

    def _servers(self, now):
        """As many as the cell has, and those that were deleted."""
        places = []
        for tag, count in TAGS.items():
            # One for each of its hosts, on average.
            hosts = self._random.sample(self.nodes, min(count, self.hosts))
            places += [(tag, node)
                       for node in self._random.choices(hosts, k=count)]
        while len(places) < self.servers * (1 + DELETED):
            tag = ''
            if self._random.random() < OTHERS_TAGGED:
                tag = 'tag-%03d' % self._random.randrange(OTHER_TAGS)
            places.append((tag, self.nodes[len(places) % self.hosts]))
        alive = places[:self.servers]
        # The ids are not in the order of the tags.
        self._random.shuffle(alive)
        return [self._server(id_, *place, id_ > self.servers, now)
                for id_, place in enumerate(alive + places[self.servers:], 1)]

    def _server(self, id_, tag, node, deleted, now):
        number, host, _uuid = node
        server_uuid = self._uuid()
        if not deleted:
            self.uuids_by_host[host].append(server_uuid)
            if tag in TAGS:
                self.uuids_by_tag[tag].append(server_uuid)
        return {
            'id': id_, 'uuid': server_uuid, 'business_tag': tag,
            'host': host, 'node': host, 'compute_id': number,
            'launched_on': host, 'created_at': now, 'updated_at': now,
            'launched_at': now, 'deleted': id_ if deleted else 0,
            'deleted_at': now if deleted else None,
            'vm_state': 'deleted' if deleted else 'active',
            'task_state': None, 'power_state': 1, 'cleaned': 0,
            'hidden': False, 'project_id': '%032x' % (id_ % 500),
            'user_id': '%032x' % (id_ % 1000), 'instance_type_id': 1,
            'memory_mb': 4096, 'vcpus': 2, 'root_gb': 40, 'ephemeral_gb': 0,
            'image_ref': self.nodes[0][2], 'launch_index': 0,
            'hostname': 'server-%d' % id_, 'display_name': 'server-%d' % id_,
            'reservation_id': 'r-%08x' % id_, 'availability_zone': 'nova',
            'root_device_name': '/dev/vda', 'config_drive': '',
            'progress': 0, 'locked': False}

    @staticmethod
    def _extra(server):
        flavor = flavor_of(server['business_tag'])
        return {'instance_uuid': server['uuid'], 'deleted': server['deleted'],
                'flavor': json.dumps({'cur': flavor.obj_to_primitive(),
                                      'old': None, 'new': None})}

    def _migrations(self, servers, now):
        """Those under way, and those that ended."""
        alive = [server for server in servers if not server['deleted']]
        moved = self._random.sample(alive, int(len(alive) * MIGRATED))
        moving = int(len(alive) * MIGRATING)
        rows = []
        for number, server in enumerate(moved):
            other = self._random.choice(self.nodes)[1]
            ended = number >= moving
            rows.append({
                'uuid': self._uuid(), 'instance_uuid': server['uuid'],
                'migration_type': 'live-migration', 'deleted': 0,
                'status': 'completed' if ended else 'running',
                'source_compute': other if ended else server['host'],
                'source_node': other if ended else server['node'],
                'dest_compute': server['host'] if ended else other,
                'dest_node': server['node'] if ended else other,
                'hidden': False, 'cross_cell_move': False,
                'created_at': now, 'updated_at': now})
        return rows


_FLAVORS = {}


def flavor_of(tag):
    """The flavor that servers with a tag have, as the API made it."""
    if tag not in _FLAVORS:
        extra_specs = {'hw:cpu_sockets': '1', 'hw_rng:allowed': 'True'}
        if tag:
            extra_specs.update({
                'mycompany:business_tag': tag,
                'mycompany:business_max_per_host': str(MAX_PER_HOST)})
        _FLAVORS[tag] = objects.Flavor(
            id=1, flavorid=str(uuid.uuid5(uuid.NAMESPACE_DNS, tag or '-')),
            name='standard.medium', memory_mb=4096, vcpus=2, root_gb=40,
            ephemeral_gb=0, swap=0, rxtx_factor=1.0, vcpu_weight=0,
            disabled=False, is_public=True, extra_specs=extra_specs,
            description=None, created_at=None, updated_at=None,
            deleted_at=None, deleted=False)
    return _FLAVORS[tag]
