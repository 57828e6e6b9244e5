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

import datetime

from oslo_serialization import jsonutils
from oslo_utils.fixture import uuidsentinel as uuids

from nova.cmdb import record
from nova.compute import vm_states
from nova import context as nova_context
from nova.db.main import api as db
from nova import objects
from nova import test
from nova.tests.unit.db import test_business_spread as db_tests

NETWORK_INFO = [
    {'id': 'port-2', 'address': 'fa:16:3e:00:00:02', 'network': {
        'label': 'dmz', 'subnets': [
            {'ips': [{'address': '2001:db8::5', 'floating_ips': []}]},
            {'ips': []}]}},
    {'id': 'port-1', 'address': 'fa:16:3e:00:00:01', 'network': {
        'label': 'office', 'subnets': [{'ips': [
            {'address': '10.0.0.9',
             'floating_ips': [{'address': '192.0.2.7'}]},
            {'address': None}]}]}},
    {'id': 'port-3', 'address': None, 'network': None},
]


class ServersTestCase(test.TestCase):

    def setUp(self):
        super().setUp()
        self.servers = record.Servers()
        self.cell = self.cell_mappings['cell1']

    def _create(self, name, cell='cell1', mapped=True, network_info='[]',
                fault=None, **values):
        uuid = getattr(uuids, name)
        flavor = db_tests.flavor(business_tag='web')
        flavor.update({'vcpus': 4, 'memory_mb': 8192, 'root_gb': 20})
        admin = nova_context.get_admin_context()
        cell = self.cell_mappings[cell]
        with nova_context.target_cell(admin, cell) as context:
            db.instance_create(context, dict({
                'uuid': uuid, 'display_name': name, 'project_id': 'project',
                'user_id': 'user', 'host': 'host', 'node': 'node',
                'vm_state': vm_states.ACTIVE, 'availability_zone': 'az',
                'created_at': datetime.datetime(2026, 11, 25, 15, 41, 18),
                'extra': {'flavor': db_tests.flavor_info(flavor)}}, **values))
            db.instance_info_cache_update(
                context, uuid, {'network_info': network_info})
            for message in fault or ():
                db.instance_fault_create(context, {
                    'instance_uuid': uuid, 'code': 500, 'message': message})
        if mapped:
            objects.InstanceMapping(
                admin, instance_uuid=uuid, project_id='project',
                cell_mapping=cell).create()
        return uuid

    def test_a_record_holds_what_is_documented(self):
        uuid = self._create('web1')
        found = self.servers.read(uuid)
        self.assertEqual(
            {'id': uuid, 'name': 'web1', 'project_id': 'project',
             'user_id': 'user', 'host': 'host', 'node': 'node',
             'cell': 'cell1', 'availability_zone': 'az', 'addresses': [],
             'state': 'active', 'fault': None,
             'created_at': '2026-11-25T15:41:18Z', 'business_tag': 'web'},
            {key: value for key, value in found.items()
             if key not in ('flavor', 'vcpus', 'memory_mb', 'disk_gb')})
        self.assertEqual(
            ('f', 4, 8192, 20),
            (found['flavor'], found['vcpus'], found['memory_mb'],
             found['disk_gb']))
        # It goes over the wire as it is.
        self.assertEqual(found, jsonutils.loads(jsonutils.dumps(found)))

    def test_addresses_are_all_that_the_info_cache_has(self):
        found = self.servers.read(self._create(
            'a', network_info=jsonutils.dumps(NETWORK_INFO)))
        self.assertEqual(
            [('10.0.0.9', 4, 'fixed', 'fa:16:3e:00:00:01', 'office',
              'port-1'),
             ('192.0.2.7', 4, 'floating', 'fa:16:3e:00:00:01', 'office',
              'port-1'),
             ('2001:db8::5', 6, 'fixed', 'fa:16:3e:00:00:02', 'dmz',
              'port-2')],
            [tuple(address[key] for key in (
                'address', 'version', 'type', 'mac_address', 'network',
                'port_id')) for address in found['addresses']])

    def test_what_cannot_be_read_of_a_server_leaves_the_rest(self):
        for name, text in (('a', 'no json'), ('b', '[1]'), ('c', '{"a": 1}'),
                           ('d', None)):
            self.assertEqual([], self.servers.read(self._create(
                name, network_info=text))['addresses'])
        found = self.servers.read(self._create(
            'e', extra={'flavor': None}, display_name=None, host=None,
            node=None, availability_zone=None, created_at=None))
        self.assertEqual(
            ('', None, None, None, None),
            tuple(found[key] for key in (
                'name', 'flavor', 'host', 'availability_zone',
                'business_tag')))

    def test_a_server_in_error_has_its_last_fault(self):
        found = self.servers.read(self._create(
            'a', vm_state=vm_states.ERROR, fault=['first', 'last']))
        self.assertEqual(('error', {'code': 500, 'message': 'last'}),
                         (found['state'], found['fault']))

    def test_the_fault_of_a_server_that_works_again_is_history(self):
        self.assertIsNone(self.servers.read(
            self._create('a', fault=['old']))['fault'])

    def test_states_have_the_names_that_operators_know(self):
        for name, vm_state, state in (
                ('a', vm_states.SOFT_DELETED, 'soft_deleted'),
                ('b', vm_states.SHELVED_OFFLOADED, 'shelved_offloaded'),
                ('c', vm_states.BUILDING, 'building'),
                ('d', None, 'building')):
            self.assertEqual(state, self.servers.read(self._create(
                name, vm_state=vm_state))['state'])

    def test_the_tag_of_a_server_nobody_has_looked_at_is_read_off_its_flavor(
            self):
        uuid = self._create('a')
        with nova_context.target_cell(
                nova_context.get_admin_context(), self.cell) as context:
            @db.pick_context_manager_writer
            def forget(context):
                context.session.query(db.models.Instance).update(
                    {'business_tag': None})
            forget(context)
        self.assertEqual('web', self.servers.read(uuid)['business_tag'])

    def test_what_is_no_server_has_no_record(self):
        self.assertIsNone(self.servers.read(uuids.unknown))
        self.assertIsNone(self.servers.read(
            self._create('a', vm_state=vm_states.DELETED)))
        self.assertIsNone(self.servers.read(self._create('b', hidden=True)))
        objects.InstanceMapping(
            nova_context.get_admin_context(), instance_uuid=uuids.waiting,
            project_id='project', cell_mapping=None).create()
        self.assertIsNone(self.servers.read(uuids.waiting))
        uuid = self._create('c')
        with nova_context.target_cell(
                nova_context.get_admin_context(), self.cell) as context:
            db.instance_destroy(context, uuid)
        self.assertIsNone(self.servers.read(uuid))

    def test_the_stream_has_all_cells_in_order_however_large_the_pages(self):
        created = sorted(
            [self._create('in1%d' % number) for number in range(5)] +
            [self._create('in0%d' % number, cell='cell0')
             for number in range(3)])
        for page_size in (1, 2, 5, 100):
            self.assertEqual(created, [
                found['id'] for found in self.servers.stream(
                    page_size, failed=None)])

    def test_the_stream_and_a_look_at_one_server_agree(self):
        uuid = self._create(
            'a', network_info=jsonutils.dumps(NETWORK_INFO),
            vm_state=vm_states.ERROR, fault=['x'])
        self.assertEqual([self.servers.read(uuid)],
                         list(self.servers.stream(10, failed=None)))

    def test_a_page_takes_the_same_queries_for_many_servers_as_for_one(self):
        counts = []
        for number in (1, 20):
            for one in range(number):
                self._create('server%d%d' % (number, one), mapped=False,
                             vm_state=vm_states.ERROR, fault=['x'])
            with nova_context.target_cell(
                    nova_context.get_admin_context(), self.cell) as context:
                engine = db.get_engine(context=context)
                asked = []
                db.sa.event.listen(
                    engine, 'before_cursor_execute',
                    lambda *args, asked=asked: asked.append(args[2]))
                record.queries.get_page(context, 100)
                counts.append(len(asked))
        self.assertEqual(counts[0], counts[1])
        self.assertGreater(counts[0], 0)
