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

"""Spreading by business tag, on every way that a server takes onto a host."""

import collections
import concurrent.futures
import time
from unittest import mock

from oslo_utils.fixture import uuidsentinel as uuids
import sqlalchemy as sa

from nova.compute import instance_actions
from nova.compute import manager as compute_manager
from nova import context as nova_context
from nova.db.main import api as main_db_api
from nova.db.main import models
from nova.db.mycompany import business_spread as queries
from nova import exception
from nova import objects
from nova.scheduler.filters import business_spread_filter
from nova.scheduler import host_manager
from nova import test
from nova.tests import fixtures as nova_fixtures
from nova.tests.fixtures import mycompany as mycompany_fixtures
from nova.tests.functional import integrated_helpers

IMAGE = nova_fixtures.GlanceFixture.image1['id']


class _SpreadTestCase(integrated_helpers._IntegratedTestBase):

    REQUIRES_LOCKING = False
    ADMIN_API = True
    CAST_AS_CALL = False
    microversion = 'latest'
    hosts = ('host1', 'host2')

    def setUp(self):
        self.useFixture(mycompany_fixtures.CellDatabasesOnServer())
        self.flags(compute_driver='fake.MediumFakeDriver')
        self.enabled = list(
            self._default_filters()) + ['BusinessSpreadFilter']
        self.flags(enabled_filters=self.enabled, group='filter_scheduler')
        super().setUp()
        self.web = self._create_flavor(
            id='web', name='web', extra_spec={
                'mycompany:business_tag': 'web',
                'mycompany:business_max_per_host': '1'})
        self.web2 = self._create_flavor(
            id='web2', name='web2', memory_mb=1024, extra_spec={
                'mycompany:business_tag': 'web',
                'mycompany:business_max_per_host': '1'})
        self.plain = self._create_flavor(id='plain', name='plain')

    @staticmethod
    def _default_filters():
        return compute_manager.CONF.filter_scheduler.enabled_filters

    def _setup_compute_service(self):
        for host in self.hosts:
            self._start_compute(host)

    def _request(self, flavor='web', **kwargs):
        return {'server': dict({
            'name': 'server', 'imageRef': IMAGE, 'flavorRef': flavor,
            'networks': 'none'}, **kwargs)}

    def _create(self, flavor='web', state='ACTIVE', **kwargs):
        server = self.api.post_server(self._request(flavor, **kwargs))
        return self._wait_for_state_change(server, state)

    def _host(self, server):
        return self.api.get_server(server['id'])['OS-EXT-SRV-ATTR:host']

    def _held(self, tag='web'):
        """How many servers of the tag each host holds, by their flavors."""
        held = collections.Counter()
        for server in self.api.get_servers():
            host = server['OS-EXT-SRV-ATTR:host']
            specs = server['flavor']['extra_specs']
            if host and tag in (specs.get('mycompany:business_tag'),
                                specs.get('business_tag')):
                held[host] += 1
        return dict(held)

    def _column(self, server, context=None):
        @main_db_api.pick_context_manager_reader
        def read(context):
            return context.session.query(models.Instance.business_tag).filter(
                models.Instance.uuid == server['id']).scalar()
        cell = self.cell_mappings['cell1']
        with nova_context.target_cell(
                nova_context.get_admin_context(), cell) as cctxt:
            return read(cctxt)

    def _fault(self, server):
        return self.api.get_server(server['id'])['fault']['message']


class PathsTestCase(_SpreadTestCase):

    def test_servers_are_spread_until_no_host_is_left(self):
        self._create()
        self._create()
        self.assertEqual({'host1': 1, 'host2': 1}, self._held())
        with self.assertLogs('nova.scheduler.filters.business_spread_filter',
                             'INFO') as logs:
            server = self._create(state='ERROR')
        self.assertIn("No host is left for server %s with business tag "
                      "'web': of 2 hosts, 2 hold 1 servers of it already" %
                      server['id'], logs.output[-1])
        self.assertIn('No valid host', self._fault(server))
        # Others are not affected.
        self._create('plain')

    def test_the_limit_is_three_unless_the_flavor_says_otherwise(self):
        self._create_flavor(id='db', name='db',
                            extra_spec={'business_tag': 'db'})
        for _ in range(6):
            self._create('db')
        self.assertEqual({'host1': 3, 'host2': 3}, self._held('db'))
        self._create('db', state='ERROR')

    def test_several_servers_in_one_request_count_each_other(self):
        self._create_flavor(id='two', name='two', extra_spec={
            'business_tag': 'two', 'business_max_per_host': '2'})
        self.api.post_server(self._request('two', min_count=4, max_count=4))
        for server in self.api.get_servers():
            self._wait_for_state_change(server, 'ACTIVE')
        self.assertEqual({'host1': 2, 'host2': 2}, self._held('two'))

    def test_several_servers_are_none_when_not_all_find_a_place(self):
        self.api.post_server(self._request(min_count=3, max_count=3))
        for server in self.api.get_servers():
            self._wait_for_state_change(server, 'ERROR')
        self.assertEqual({}, self._held())

    def test_tags_do_not_count_for_each_other(self):
        for tag in ('Web', 'we', 'web.'):
            self._create_flavor(id='f-%s' % tag, name='f-%s' % tag,
                                extra_spec={'business_tag': tag,
                                            'business_max_per_host': '2'})
        self._create('web')
        self._create('web')
        for tag in ('Web', 'we', 'web.'):
            self._create('f-%s' % tag)

    def test_plain_and_namespaced_specs_are_the_same_tag(self):
        self._create_flavor(id='plain-web', name='plain-web', extra_spec={
            'business_tag': 'web', 'business_max_per_host': '1'})
        self._create('web')
        self._create('plain-web')
        self._create('plain-web', state='ERROR')

    def test_the_namespaced_specs_win(self):
        self._create_flavor(id='both', name='both', extra_spec={
            'business_tag': 'web', 'business_max_per_host': '1',
            'mycompany:business_tag': 'other',
            'mycompany:business_max_per_host': '2'})
        for _ in range(4):
            self._create('both')
        self.assertEqual({'host1': 2, 'host2': 2}, {
            host: count for host, count in collections.Counter(
                self._host(server) for server in self.api.get_servers()
            ).items()})
        self._create('web')

    def test_a_migration_does_not_count_the_server_itself(self):
        server = self._create()
        self._migrate_server(server)
        server = self._confirm_resize(server)
        self._live_migrate(server)
        self.assertEqual(1, sum(self._held().values()))

    def test_a_migration_finds_no_host_when_all_are_full(self):
        servers = [self._create(), self._create()]
        for action in ({'migrate': None},
                       {'os-migrateLive': {'host': None,
                                           'block_migration': 'auto'}}):
            self.api.api_post('/servers/%s/action' % servers[0]['id'], action,
                              check_response_status=[202])
            self._wait_for_action_fail(servers[0], list(action)[0])
            self._wait_for_server_parameter(
                servers[0], {'OS-EXT-STS:task_state': None})
        self.assertEqual({'host1': 1, 'host2': 1}, self._held())

    def _wait_for_action_fail(self, server, action):
        name = {'migrate': instance_actions.MIGRATE,
                'os-migrateLive': instance_actions.LIVE_MIGRATION,
                'resize': instance_actions.RESIZE}[action]
        event = {'migrate': 'conductor_migrate_server',
                 'resize': 'conductor_migrate_server',
                 'os-migrateLive': 'conductor_live_migrate_instance'}[action]
        self._wait_for_action_fail_completion(server, name, event)

    def test_a_resize_to_a_tagged_flavor_is_spread(self):
        self.flags(allow_resize_to_same_host=True)
        self._create('web')
        other = self._create('web')
        plain = self._create('plain')
        self.api.post_server_action(
            plain['id'], {'resize': {'flavorRef': 'web'}})
        self._wait_for_action_fail(plain, 'resize')
        self._wait_for_server_parameter(
            plain, {'status': 'ACTIVE', 'OS-EXT-STS:task_state': None})

        self.api.delete_server(other['id'])
        self._wait_until_deleted(other)
        server = self._resize_server(plain, 'web')
        self.assertEqual('web', self._column(server))
        self.assertEqual({'host1': 1, 'host2': 1}, self._held())
        self._create('web', state='ERROR')

    def test_a_resize_from_a_tagged_flavor_frees_a_place(self):
        self._create('web')
        server = self._create('web')
        self._resize_server(server, 'plain')
        self.assertEqual('', self._column(server))
        # As long as it may be reverted, its place is kept.
        self._create('web', state='ERROR')
        self._confirm_resize(server)
        self._create('web')

    def test_a_resize_can_be_reverted(self):
        self.flags(allow_resize_to_same_host=True)
        server = self._create('web')
        source = self._host(server)
        self._resize_server(server, 'web2')
        # One slot at each end: none is left.
        self._create('web', state='ERROR')
        self._revert_resize(server)
        self.assertEqual(source, self._host(server))
        self.assertEqual('web', self._column(server))
        self._create('web')
        self.assertEqual({'host1': 1, 'host2': 1}, self._held())

    def test_an_evacuated_server_does_not_pass_the_limit(self):
        servers = [self._create(), self._create()]
        source = self._host(servers[0])
        self._stop_compute(source)
        self.api.post_server_action(servers[0]['id'], {'evacuate': {}})
        self._wait_for_state_change(servers[0], 'ERROR')
        self.assertEqual(1, self._held()[self._host(servers[1])])

    def test_a_server_is_evacuated_to_where_there_is_room(self):
        server = self._create()
        self._stop_compute(self._host(server))
        server = self._evacuate_server(server)
        self.assertEqual(1, self._held()[self._host(server)])

    def _stop_compute(self, host):
        service = self.computes[host].service_ref
        self.computes[host].stop()
        service.forced_down = True
        service.save()

    def test_a_rebuild_is_not_affected(self):
        server = self._create()
        with mock.patch.object(
                queries, 'count_by_node', side_effect=AssertionError):
            self._rebuild_server(
                server, nova_fixtures.GlanceFixture.image2['id'])

    def test_a_shelved_offloaded_server_counts_nowhere(self):
        server = self._create()
        self._create()
        self._shelve_server(server)
        third = self._create()
        # And finds no place until there is one.
        self.api.post_server_action(server['id'], {'unshelve': None})
        self._wait_for_server_parameter(
            server, {'status': 'SHELVED_OFFLOADED',
                     'OS-EXT-STS:task_state': None})
        self.api.delete_server(third['id'])
        self._wait_until_deleted(third)
        self._unshelve_server(server)
        self.assertEqual({'host1': 1, 'host2': 1}, self._held())

    def test_a_soft_deleted_server_still_counts(self):
        self.flags(reclaim_instance_interval=3600)
        server = self._create()
        self._create()
        self.api.delete_server(server['id'])
        self._wait_for_state_change(server, 'SOFT_DELETED')
        self._create(state='ERROR')
        self.api.post_server_action(server['id'], {'restore': {}})
        self._wait_for_state_change(server, 'ACTIVE')
        self.assertEqual({'host1': 1, 'host2': 1}, self._held())

    def test_a_forced_host_is_checked_on_the_compute_node(self):
        server = self._create()
        host = self._host(server)
        refused = self._create(
            availability_zone='nova:%s' % host, state='ERROR')
        self.assertEqual(
            'Host %s already holds 1 servers with the business tag web, and '
            'at most 1 are allowed' % host, self._fault(refused))
        self.assertEqual({host: 1}, self._held())

    def test_a_bad_extra_spec_is_no_traceback(self):
        # The API refuses it, so it comes another way.
        flavor = objects.Flavor.get_by_flavor_id(
            nova_context.get_admin_context(), 'plain')
        flavor.extra_specs = {'business_tag': 'x' * 300}
        flavor.save()
        with self.assertLogs('nova.scheduler.filters.business_spread_filter',
                             'WARNING') as logs:
            server = self._create('plain', state='ERROR')
        self.assertIn('No valid host', self._fault(server))
        self.assertIn('has 300 characters; expected are 1 to 255',
                      logs.output[0])

    def test_bad_extra_specs_are_refused_when_they_are_set(self):
        for name, value in (
            ('business_tag', 'x' * 256), ('business_tag', ' web'),
            ('mycompany:business_tag', 'a\u200bb'),
            ('business_max_per_host', '0'), ('business_max_per_host', 'many'),
            ('mycompany:business_max_per_host', '1.5'),
            ('mycompany:business_tags', 'web'),
        ):
            self.api.api_post(
                '/flavors/plain/os-extra_specs',
                {'extra_specs': {name: value}},
                check_response_status=[400])
        self.assertEqual({}, self.api.get_flavor('plain')['extra_specs'])

    def test_what_the_scheduler_misses_is_rescheduled(self):
        """As when another scheduler chose the host a moment ago."""
        taken = self._host(self._create())
        free = ({'host1', 'host2'} - {taken}).pop()
        weigh = self.scheduler.manager.host_manager.get_weighed_hosts

        def full_one_first(hosts, spec_obj):
            hosts = weigh(hosts, spec_obj)
            return sorted(hosts, key=lambda host: host.obj.host != taken)

        with mock.patch.object(
            queries, 'count_by_node',
            return_value=(collections.Counter(), 0),
        ), mock.patch.object(
            self.scheduler.manager.host_manager, 'get_weighed_hosts',
            new=full_one_first,
        ):
            server = self._create()
        self.assertEqual(free, self._host(server))
        # It is no failed build.
        node = self.computes[taken].manager.rt.stats[taken]
        self.assertEqual(0, int(node.get('failed_builds', 0)))

    def test_the_check_needs_no_upcall(self):
        self.flags(disable_group_policy_check_upcall=True,
                   group='workarounds')
        server = self._create()
        with mock.patch.object(
                objects.InstanceGroup, 'get_by_hint',
                side_effect=AssertionError):
            self._create(availability_zone='nova:%s' % self._host(server),
                         state='ERROR')


class RaceTestCase(_SpreadTestCase):
    """Two schedulers choose at the same time."""

    hosts = ('host1', 'host2', 'host3')
    limit = 2

    def setUp(self):
        # Every server may try every host.
        self.flags(max_attempts=3, group='scheduler')
        self.flags(track_instance_changes=False, group='filter_scheduler')
        super().setUp()
        self._create_flavor(id='raced', name='raced', extra_spec={
            'business_tag': 'raced', 'business_max_per_host': '2'})
        self.useFixture(
            nova_fixtures.ServiceFixture('scheduler', 'scheduler2'))

    def _race(self, count):
        """Create servers at once, with stale counts, and return the states.

        The counts of both schedulers are those of before the race, whatever
        happens meanwhile: the worst that can be.
        """
        stale = {}
        count_by_node = queries.count_by_node

        def count_once(context, tag, *args):
            if context.cell_uuid not in stale:
                stale[context.cell_uuid] = count_by_node(context, tag)
            counts, unfilled = stale[context.cell_uuid]
            return collections.Counter(counts), unfilled

        with mock.patch.object(queries, 'count_by_node', new=count_once):
            servers = [self.api.post_server(self._request('raced'))
                       for _ in range(count)]
            for server in servers:
                self._wait_for_settled(server)
        return collections.Counter(
            server['status'] for server in self.api.get_servers())

    def test_creates_at_once_never_pass_the_limit(self):
        """With true counts, which are stale by the time they are used."""
        with concurrent.futures.ThreadPoolExecutor(9) as users:
            servers = list(users.map(
                lambda _: self.api.post_server(self._request('raced')),
                range(9)))
        for server in servers:
            self._wait_for_settled(server)
        self.assertEqual({'ACTIVE': 6, 'ERROR': 3}, collections.Counter(
            server['status'] for server in self.api.get_servers()))
        self.assertEqual({host: self.limit for host in self.hosts},
                         self._held('raced'))

    def _wait_for_settled(self, server):
        for _ in range(200):
            status = self.api.get_server(server['id'])['status']
            if status in ('ACTIVE', 'ERROR'):
                return
            time.sleep(0.1)
        self.fail('server %s is still %s' % (server['id'], status))

    def test_as_many_as_the_limit_allows_become_active(self):
        for _ in range(3):
            states = self._race(9)
            self.assertEqual({'ACTIVE': 6, 'ERROR': 3}, states)
            self.assertEqual({host: self.limit for host in self.hosts},
                             self._held('raced'))
            for server in self.api.get_servers():
                self.api.delete_server(server['id'])
            for server in self.api.get_servers():
                self._wait_until_deleted(server)

    def test_the_last_place_of_each_host_goes_to_one(self):
        for _ in self.hosts:
            self._create('raced')
        states = self._race(5)
        self.assertEqual({'ACTIVE': 6, 'ERROR': 2}, states)
        self.assertEqual({host: self.limit for host in self.hosts},
                         self._held('raced'))


class AggregateFilterTestCase(_SpreadTestCase):

    @staticmethod
    def _default_filters():
        return _SpreadTestCase._default_filters() + [
            'AggregateInstanceExtraSpecsFilter']

    def test_the_namespaced_specs_pass_the_aggregate_filter(self):
        self._create('web')
        self._create('web')
        self.assertEqual({'host1': 1, 'host2': 1}, self._held())


class ColumnTestCase(_SpreadTestCase):

    hosts = ('host1', 'host2', 'host3')

    def test_the_column_follows_the_flavor(self):
        server = self._create('plain')
        self.assertEqual('', self._column(server))
        self._resize_server(server, 'web')
        self.assertEqual('web', self._column(server))
        self._revert_resize(server)
        self.assertEqual('', self._column(server))
        self._resize_server(server, 'web')
        self._confirm_resize(server)
        self.assertEqual('web', self._column(server))

    def test_a_server_in_cell0_has_its_tag_too(self):
        self._create('web', hypervisor_hostname='host1')
        server = self._create('web', hypervisor_hostname='host1',
                              state='ERROR')
        with nova_context.target_cell(
                nova_context.get_admin_context(),
                self.cell_mappings['cell0']) as context:
            instance = main_db_api.instance_get_by_uuid(context, server['id'])
            self.assertEqual('web', instance.business_tag)

    def _forget(self):
        """As servers are that are older than the column."""
        @main_db_api.pick_context_manager_writer
        def forget(context):
            context.session.execute(sa.update(models.Instance).values(
                business_tag=None))
        with nova_context.target_cell(
                nova_context.get_admin_context(),
                self.cell_mappings['cell1']) as context:
            forget(context)

    def test_servers_not_filled_in_are_counted(self):
        for _ in range(3):
            self._create()
        self._create('plain')
        self._forget()
        with self.assertLogs('nova.scheduler.filters.business_spread_filter',
                             'WARNING') as logs:
            self._create(state='ERROR')
        self.assertIn('has 4 servers whose business tag is not filled in',
                      logs.output[0])


class TwoCellsTestCase(_SpreadTestCase):

    NUMBER_OF_CELLS = 2
    hosts = ()

    def setUp(self):
        super().setUp()
        self._start_compute('host1', cell_name='cell1')
        self._start_compute('host2', cell_name='cell2')

    def test_servers_are_counted_in_all_cells(self):
        self._create()
        self._create()
        self.assertEqual({'host1': 1, 'host2': 1}, self._held())
        self._create(state='ERROR')

    def _create_with_cell2_down(self, state):
        count = queries.count_by_node

        def fail(context, *args):
            if context.cell_uuid == self.cell_mappings['cell2'].uuid:
                raise exception.CellTimeout()
            return count(context, *args)

        with mock.patch.object(queries, 'count_by_node', new=fail):
            return self._create(state=state)

    def test_the_hosts_of_a_cell_that_does_not_answer_are_left_out(self):
        with self.assertLogs('nova.scheduler.filters.business_spread_filter',
                             'WARNING') as logs:
            server = self._create_with_cell2_down('ACTIVE')
        self.assertEqual('host1', self._host(server))
        self.assertIn(self.cell_mappings['cell2'].uuid, logs.output[0])
        self._create_with_cell2_down('ERROR')

    def test_its_hosts_can_be_used_all_the_same(self):
        self.flags(unanswering_cells='pass', group='business_spread')
        self._create_with_cell2_down('ACTIVE')
        self._create_with_cell2_down('ACTIVE')
        self.assertEqual({'host1': 1, 'host2': 1}, self._held())


class StatementsTestCase(test.TestCase):
    """What one request asks of the database."""

    def setUp(self):
        super().setUp()
        self.context = nova_context.get_admin_context()
        self.cell = self.cell_mappings['cell1']
        with nova_context.target_cell(self.context, self.cell) as context:
            self.engine = main_db_api.get_engine(context=context)
        self.statements = []
        sa.event.listen(self.engine, 'before_cursor_execute', self._record)
        self.addCleanup(sa.event.remove, self.engine, 'before_cursor_execute',
                        self._record)

    def _record(self, _connection, _cursor, statement, *_args):
        # oslo.db asks for 1 to see whether the connection lives.
        if statement.startswith('SELECT') and statement != 'SELECT 1':
            self.statements.append(statement)

    def _statements(self, hosts):
        states = []
        for number in range(hosts):
            state = host_manager.HostState(
                'host%d' % number, 'node', self.cell.uuid)
            states.append(state)
        spec_obj = objects.RequestSpec(
            instance_uuid=uuids.server, scheduler_hints={},
            flavor=objects.Flavor(
                name='web', extra_specs={'business_tag': 'web'}))
        self.statements.clear()
        spread = business_spread_filter.BusinessSpreadFilter()
        self.assertEqual(hosts, len(spread.filter_all(states, spec_obj)))
        # The second server of the same request.
        business_spread_filter.count_pick(spec_obj, states[0])
        spread.filter_all(states, spec_obj)
        return len(self.statements)

    def test_their_number_does_not_depend_on_the_number_of_hosts(self):
        counts = {self._statements(hosts) for hosts in (3, 30, 300)}
        self.assertEqual({2}, counts, '\n'.join(self.statements))
        self.assertEqual(1, len([
            statement for statement in self.statements
            if 'GROUP BY' in statement]))
