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

"""The CMDB's records follow a server on every way it takes.

Real services of Nova in one process, a CMDB in memory, and an agent that deals
with what the hooks were told when the test says so.
"""

import io
import time
from unittest import mock

from oslo_serialization import jsonutils

from nova.cmd import manage_cmdb
from nova.cmdb import reconcile
from nova import context as nova_context
from nova.db.main import api as main_db_api
from nova import test
from nova.tests import fixtures as nova_fixtures
from nova.tests.fixtures import mycompany_cmdb as cmdb_fixtures
from nova.tests.functional import integrated_helpers

IMAGE = nova_fixtures.GlanceFixture.image1['id']


class _CMDBTestCase(integrated_helpers._IntegratedTestBase):

    ADMIN_API = True
    microversion = 'latest'
    hosts = ('host1', 'host2')

    def setUp(self):
        self.flags(compute_driver='fake.MediumFakeDriver')
        super().setUp()
        self.cmdb = self.useFixture(cmdb_fixtures.CMDBFixture())

    def _setup_compute_service(self):
        for host in self.hosts:
            self._start_compute(host)

    def _create(self, state='ACTIVE', **values):
        server = self.api.post_server({'server': dict({
            'name': 'server', 'imageRef': IMAGE, 'flavorRef': '1',
            'networks': 'auto'}, **values)})
        return self._wait_for_state_change(server, state)

    def _settle(self):
        """Deal with what is heard, until the CMDB agrees or 10 s are over.

        A service tells of a change a moment after the change can be seen.
        """
        deadline = time.monotonic() + 10
        while True:
            self.cmdb.deliver()
            if not self.cmdb.diff() or time.monotonic() > deadline:
                return
            time.sleep(0.1)

    def _record(self, server):
        """The record, after what was heard was dealt with; None for none."""
        self._settle()
        return self.cmdb.driver.records.get(server['id'])

    def _agrees(self):
        """Whether the CMDB agrees, without a comparison's help."""
        self._settle()
        self.assertEqual([], self.cmdb.diff())


class PathsTestCase(_CMDBTestCase):
    """Of these the agents hear at once."""

    def test_a_new_server_has_a_record_of_all_it_is(self):
        server = self._create(name='web')
        record = self._record(server)
        details = self.api.get_server(server['id'])
        self.assertEqual({
            'id': server['id'], 'name': 'web',
            'project_id': details['tenant_id'],
            'user_id': details['user_id'],
            'flavor': 'm1.tiny', 'vcpus': 1, 'memory_mb': 512, 'disk_gb': 1,
            'host': details['OS-EXT-SRV-ATTR:host'],
            'node': details['OS-EXT-SRV-ATTR:hypervisor_hostname'],
            'cell': 'cell1', 'availability_zone': 'nova',
            'state': 'active', 'fault': None,
            'created_at': details['created'], 'business_tag': None,
        }, {key: value for key, value in record.items()
            if key != 'addresses'})
        self.assertEqual(
            sorted((address['addr'], address['version'],
                    address['OS-EXT-IPS:type'],
                    address['OS-EXT-IPS-MAC:mac_addr'], network)
                   for network, addresses in details['addresses'].items()
                   for address in addresses),
            [(address['address'], address['version'], address['type'],
              address['mac_address'], address['network'])
             for address in record['addresses']])
        self.assertTrue(record['addresses'])
        self._agrees()

    def test_a_deleted_server_has_none(self):
        server = self._create()
        self.assertIsNotNone(self._record(server))
        self._delete_server(server)
        self.assertIsNone(self._record(server))
        self._agrees()

    def test_a_record_has_the_business_tag(self):
        self._create_flavor(id='tagged', extra_spec={
            'mycompany:business_tag': 'billing'})
        server = self._create(flavorRef='tagged')
        self.assertEqual('billing', self._record(server)['business_tag'])

    def test_a_new_name_arrives(self):
        server = self._create()
        self._record(server)
        self.api.put_server(server['id'], {'server': {'name': 'renamed'}})
        self.assertEqual('renamed', self._record(server)['name'])
        self._agrees()

    def test_what_is_done_to_a_server_arrives(self):
        server = self._create()
        for action, status, state in (
                ('os-stop', 'SHUTOFF', 'stopped'),
                ('os-start', 'ACTIVE', 'active'),
                ('pause', 'PAUSED', 'paused'),
                ('unpause', 'ACTIVE', 'active'),
                ('suspend', 'SUSPENDED', 'suspended'),
                ('resume', 'ACTIVE', 'active'),
                ('rescue', 'RESCUE', 'rescued'),
                ('unrescue', 'ACTIVE', 'active')):
            self.api.post_server_action(server['id'], {action: None})
            self._wait_for_state_change(server, status)
            self.assertEqual(state, self._record(server)['state'], action)
            self._agrees()

    def test_a_shelved_server_loses_its_host_and_gets_one_again(self):
        server = self._create()
        self.api.post_server_action(server['id'], {'shelve': {}})
        self._wait_for_state_change(server, 'SHELVED_OFFLOADED')
        record = self._record(server)
        self.assertEqual(('shelved_offloaded', None, None),
                         (record['state'], record['host'], record['node']))
        self._agrees()
        self.api.post_server_action(server['id'], {'unshelve': None})
        self._wait_for_state_change(server, 'ACTIVE')
        self.assertIn(self._record(server)['host'], self.hosts)
        self._agrees()

    def test_a_resized_server_has_its_new_flavor_and_host(self):
        server = self._create()
        before = self._record(server)
        self._resize_server(server, '2')
        record = self._record(server)
        self.assertEqual('resized', record['state'])
        self.assertEqual('m1.small', record['flavor'])
        self.assertNotEqual(before['host'], record['host'])
        self._agrees()
        self._confirm_resize(server)
        self.assertEqual('active', self._record(server)['state'])
        self._agrees()

    def test_a_resize_that_is_reverted_is_as_before(self):
        server = self._create()
        before = self._record(server)
        self._resize_server(server, '2')
        self._record(server)
        self._revert_resize(server)
        self.assertEqual(before, self._record(server))
        self._agrees()

    def test_a_server_that_migrates_live_has_its_new_host(self):
        server = self._create()
        before = self._record(server)
        self._live_migrate(server, server_expected_state='ACTIVE')
        self.assertNotEqual(before['host'], self._record(server)['host'])
        self._agrees()

    def test_an_evacuated_server_has_its_new_host(self):
        server = self._create()
        before = self._record(server)
        service = self.computes[before['host']]
        service.stop()
        self.api.put_service(
            self.api.get_services(host=before['host'],
                                  binary='nova-compute')[0]['id'],
            {'forced_down': True})
        self._evacuate_server(
            server, expected_host=next(
                host for host in self.hosts if host != before['host']),
            expected_state='SHUTOFF')
        record = self._record(server)
        self.assertNotEqual(before['host'], record['host'])
        self._agrees()

    def test_a_rebuilt_server_agrees(self):
        server = self._create()
        self._record(server)
        self._rebuild_server(server, nova_fixtures.GlanceFixture.image2['id'])
        self._agrees()

    def test_addresses_come_and_go_with_interfaces(self):
        server = self._create(networks='none')
        self.assertEqual([], self._record(server)['addresses'])
        port = self.neutron.port_2
        self.neutron.create_port({'port': port})
        self._attach_interface(server, port['id'])
        addresses = self._record(server)['addresses']
        self.assertEqual(
            [(port['fixed_ips'][0]['ip_address'], port['id'])],
            [(one['address'], one['port_id']) for one in addresses])
        self._agrees()
        self._detach_interface(server, port['id'])
        self.assertEqual([], self._record(server)['addresses'])
        self._agrees()

    def test_a_build_that_fails_on_its_host_has_a_fault(self):
        with mock.patch('nova.virt.fake.FakeDriver.spawn',
                        side_effect=test.TestingException('no disk')):
            self.flags(max_attempts=1, group='scheduler')
            server = self._create(state='ERROR')
        record = self._record(server)
        self.assertEqual('error', record['state'])
        self.assertEqual(500, record['fault']['code'])
        self._agrees()

    def test_a_server_that_is_deleted_without_its_host_has_no_record(self):
        server = self._create()
        host = self._record(server)['host']
        self.computes[host].stop()
        self.api.put_service(
            self.api.get_services(host=host, binary='nova-compute')[0]['id'],
            {'forced_down': True})
        self._delete_server(server)
        self.assertIsNone(self._record(server))
        self._agrees()

    def test_a_soft_deleted_server_keeps_its_record_until_it_is_reclaimed(
            self):
        self.flags(reclaim_instance_interval=3600)
        server = self._create()
        self.api.delete_server(server['id'])
        self._wait_for_state_change(server, 'SOFT_DELETED')
        self.assertEqual('soft_deleted', self._record(server)['state'])
        self._agrees()
        self.api.post_server_action(server['id'], {'restore': {}})
        self._wait_for_state_change(server, 'ACTIVE')
        self.assertEqual('active', self._record(server)['state'])


class ReconcileTestCase(_CMDBTestCase):
    """Of these nobody hears; the comparison finds them."""

    def _command(self, name, **kwargs):
        """Run nova-manage cmdb; its exit status and its answer."""
        with mock.patch('sys.stdout', new=io.StringIO()) as out:
            status = getattr(manage_cmdb.CMDBCommands(), name)(
                as_json=True, **kwargs)
        return status, jsonutils.loads(out.getvalue())

    def _forget(self):
        self.cmdb.heard.take()

    def test_a_build_that_finds_no_host_has_a_record_of_cell0(self):
        for host in self.hosts:
            self.api.put_service(
                self.api.get_services(
                    host=host, binary='nova-compute')[0]['id'],
                {'status': 'disabled'})
        server = self._create(state='ERROR')
        self._forget()
        status, answer = self._command('diff')
        self.assertEqual(
            (1, [{'kind': 'missing', 'server_id': server['id'],
                  'fields': []}]), (status, answer['differences']))
        self.assertEqual(0, self._command('sync')[0])
        record = self.cmdb.driver.records[server['id']]
        self.assertEqual(('cell0', 'error', None),
                         (record['cell'], record['state'], record['host']))
        self.assertIn('No valid host', record['fault']['message'])
        self.assertEqual(0, self._command('diff')[0])
        # It can be deleted, too.
        self._delete_server(server)
        self._forget()
        self.assertEqual([('ghost', server['id'])], self.cmdb.diff())
        self.assertEqual(0, self._command('sync')[0])
        self.assertEqual({}, self.cmdb.driver.records)

    def test_everything_that_was_missed_is_repaired(self):
        kept, deleted, changed = (self._create() for _ in range(3))
        self._settle()
        new = self._create()
        self._delete_server(deleted)
        self.api.put_server(changed['id'], {'server': {'name': 'renamed'}})
        self._forget()
        status, answer = self._command('diff')
        self.assertEqual(1, status)
        self.assertEqual(
            {new['id']: ('missing', []), deleted['id']: ('ghost', []),
             changed['id']: ('stale', ['name'])},
            {one['server_id']: (one['kind'], one['fields'])
             for one in answer['differences']})
        status, answer = self._command('sync')
        self.assertEqual((0, 2, 1), (status, answer['repaired'],
                                     answer['deleted']))
        self.assertEqual([], self.cmdb.diff())
        self.assertEqual({kept['id'], changed['id'], new['id']},
                         set(self.cmdb.driver.records))

    def test_while_a_cell_does_not_answer_no_record_is_deleted(self):
        server = self._create()
        ghost = self._create()
        self._settle()
        self._delete_server(ghost)
        self._forget()
        cell = self.cell_mappings['cell1']
        page = reconcile.cmdb_record.queries.get_page

        def fail(context, *args):
            if context.cell_uuid == cell.uuid:
                raise main_db_api.db_exc.DBConnectionError()
            return page(context, *args)

        with mock.patch.object(reconcile.cmdb_record.queries, 'get_page',
                               new=fail):
            status, answer = self._command('sync')
        self.assertEqual((2, ['cell1'], 0), (
            status, answer['cells_failed'], answer['deleted']))
        self.assertEqual({server['id'], ghost['id']},
                         set(self.cmdb.driver.records))
        self.assertEqual(0, self._command('sync')[0])
        self.assertEqual({server['id']}, set(self.cmdb.driver.records))

    def test_a_server_in_two_cells_has_one_record(self):
        server = self._create()
        self._settle()
        with nova_context.target_cell(
                nova_context.get_admin_context(),
                self.cell_mappings['cell0']) as context:
            main_db_api.instance_create(context, {
                'uuid': server['id'], 'hidden': True})
        self.assertEqual([], self.cmdb.diff())
