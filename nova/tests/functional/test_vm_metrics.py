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

"""Live metrics through the API, RPC and a fake hypervisor."""

import logging
import time
from unittest import mock
from urllib import parse

import fixtures
import jsonschema
from oslo_utils import fixture as utils_fixture
from oslo_utils.fixture import uuidsentinel as uuids

from nova.api.openstack.compute.schemas import vm_metrics as schema
from nova.compute import power_state
from nova.compute.vm_metrics import rpc
from nova import context as nova_context
from nova.db.main import api as main_db_api
from nova.db.main import models
from nova.policies import vm_metrics as policies
from nova import test
from nova.tests import fixtures as nova_fixtures
from nova.tests.functional.api import client
from nova.tests.functional import fixtures as func_fixtures
from nova.tests.functional import integrated_helpers
from nova.virt import vm_metrics

PORT = nova_fixtures.NeutronFixture.port_1


class _MetricsTestCase(test.TestCase, integrated_helpers.InstanceHelperMixin):

    CAST_AS_CALL = False
    microversion = 'latest'

    def setUp(self):
        super().setUp()
        self.useFixture(func_fixtures.PlacementFixture())
        self.neutron = self.useFixture(nova_fixtures.NeutronFixture(self))
        self.useFixture(nova_fixtures.GlanceFixture(self))
        self.useFixture(nova_fixtures.CinderFixture(self))
        self.policy = self.useFixture(nova_fixtures.RealPolicyFixture())
        self.notifier = self.useFixture(
            nova_fixtures.NotificationFixture(self))
        self.api_fixture = self.useFixture(
            nova_fixtures.OSAPIFixture(api_version='v2.1'))
        self.api = self.api_fixture.api
        self.admin_api = self.api_fixture.admin_api
        for api in (self.api, self.admin_api):
            api.microversion = self.microversion
        self.other_project_api = client.TestOpenStackClient(
            'fake', self.api.base_url, project_id=uuids.project,
            roles=['reader', 'member'])
        self.other_project_api.microversion = self.microversion
        self.start_service('conductor')
        self.start_service('scheduler')

    def _create(self, api=None, networks='none', **kwargs):
        server = (api or self.api).post_server({'server': self._build_server(
            networks=networks, **kwargs)})
        return self._wait_for_state_change(server, 'ACTIVE')

    def _show(self, server, api=None):
        body = (api or self.api).api_get(
            '/servers/%s/metrics' % server['id']).body
        jsonschema.validate(body, schema.show_response)
        return body['server_metrics']

    def _list(self, query='', api=None):
        body = (api or self.api).api_get('/servers/metrics' + query).body
        jsonschema.validate(body, schema.list_response)
        return body

    def _found(self, *args, **kwargs):
        """The ids of the servers whose metrics are in the list."""
        return [metrics['server_id'] for metrics in
                self._list(*args, **kwargs)['servers_metrics']]

    def _missing(self, *args, **kwargs):
        """The code by id of the servers that are in the list without."""
        return {missing['server_id']: missing['code'] for missing in
                self._list(*args, **kwargs)['servers_metrics_missing']}

    def _refused(self, status, function, *args, **kwargs):
        """Call what must be refused; return the error's response."""
        error = self.assertRaises(
            client.OpenStackApiException, function, *args, **kwargs)
        self.assertEqual(status, error.response.status_code, str(error))
        return error.response

    def _message(self, response):
        (fault,) = response.json().values()
        self.assertEqual(response.status_code, fault['code'])
        return fault['message']

    def _calls(self):
        """Record the calls for metrics: a list of (host, server ids)."""
        calls = []
        call = rpc.Client._call

        def record(self, context, host, server_ids, timeout):
            calls.append((host, sorted(server_ids)))
            return call(self, context, host, server_ids, timeout)

        self.useFixture(fixtures.MonkeyPatch(
            'nova.compute.vm_metrics.rpc.Client._call', record))
        return calls

    def _be_an_old_node(self, service):
        """Take the endpoint from a compute service, as stock Nova's."""
        endpoints = service.rpcserver.dispatcher.endpoints
        endpoints[:] = [endpoint for endpoint in endpoints
                        if not isinstance(endpoint, rpc.Endpoint)]

    def _die(self, service):
        """Let a compute service take no more messages."""
        service.rpcserver.stop()
        service.rpcserver.wait()

    def _let_time_pass(self, seconds):
        """Make the client believe that time has passed."""
        monotonic = time.monotonic
        self.useFixture(fixtures.MonkeyPatch(
            'nova.compute.vm_metrics.rpc.time.monotonic',
            lambda: monotonic() + seconds))


class ShowTestCase(_MetricsTestCase):

    def setUp(self):
        super().setUp()
        self.compute = self._start_compute('host1')
        self.server = self._create(networks=[{'port': PORT['id']}])

    def test_a_server_shows_what_it_uses(self):
        metrics = self._show(self.server)
        self.assertEqual(self.server['id'], metrics['server_id'])
        self.assertEqual('1.0', metrics['version'])
        self.assertEqual(10, metrics['window_seconds'])
        # 13 seconds of CPU time in 10 seconds, of 2 vCPUs.
        self.assertEqual(
            {'vcpus': 2, 'utilisation': 65, 'time_ns': 173000000000,
             'per_vcpu': [
                 {'id': 0, 'utilisation': 97.5, 'time_ns': 129750000000},
                 {'id': 1, 'utilisation': 32.5, 'time_ns': 43250000000}]},
            metrics['cpu'])
        self.assertEqual(
            {'allocated_bytes': 512 << 20, 'balloon_bytes': 512 << 20,
             'rss_bytes': 310 << 20, 'usable_bytes': None},
            metrics['memory'])
        (disk,) = metrics['disks']
        self.assertEqual(
            ('vda', 262144 + 204800, 20480, 5),
            (disk['device'], disk['read_bytes'],
             disk['read_bytes_per_second'], disk['read_requests_per_second']))

    def test_an_interface_is_named_by_its_port(self):
        (interface,) = self._show(self.server)['interfaces']
        self.assertEqual(
            ('tapce531f90-19', PORT['id'], PORT['mac_address'], 7500),
            (interface['device'], interface['port_id'],
             interface['mac_address'], interface['rx_bytes_per_second']))

    def test_a_port_without_counters_is_listed_without_them(self):
        source = vm_metrics.source_of(self.compute.driver)
        metrics = source.get([self.server['id']])
        metrics[self.server['id']]['interfaces'] = []
        with mock.patch.object(type(source), 'get', return_value=metrics):
            (interface,) = self._show(self.server)['interfaces']
        self.assertEqual(
            (PORT['id'], None, None, None),
            (interface['port_id'], interface['device'],
             interface['rx_bytes'], interface['rx_bytes_per_second']))

    def test_the_action_answers_the_same(self):
        answer = self.api.api_post(
            '/servers/%s/action' % self.server['id'], {'get_metrics': None})
        self.assertEqual(200, answer.status)
        self.assertEqual({'server_metrics': self._show(self.server)},
                         answer.body)

    def test_no_microversion_is_needed(self):
        latest = self._show(self.server)
        self.api.microversion = None
        self.assertEqual(latest, self._show(self.server))

    def test_unknown_parameters_are_refused(self):
        self._refused(400, self.api.api_get,
                      '/servers/%s/metrics?since=1' % self.server['id'])
        self._refused(400, self.api.api_post,
                      '/servers/%s/action' % self.server['id'],
                      {'get_metrics': {'since': 1}})

    # States.

    def test_a_stopped_server_is_a_conflict_until_it_runs_again(self):
        self._stop_server(self.server)
        message = self._message(
            self._refused(409, self._show, self.server))
        self.assertIn('its vm_state is stopped', message)
        self._refused(409, self.api.api_post,
                      '/servers/%s/action' % self.server['id'],
                      {'get_metrics': None})
        self._start_server(self.server)
        self._show(self.server)

    def test_a_paused_server_has_metrics(self):
        self.api.post_server_action(self.server['id'], {'pause': None})
        self._wait_for_state_change(self.server, 'PAUSED')
        self._show(self.server)

    def test_a_crashed_guest_is_a_conflict(self):
        guest = self.compute.driver.instances[self.server['id']]
        guest.state = power_state.CRASHED
        self.assertIn('its vm_state is active', self._message(
            self._refused(409, self._show, self.server)))

    def test_a_server_that_was_never_built_is_a_conflict(self):
        self.flags(ram=-1, group='quota')
        server = self.api.post_server({'server': self._build_server(
            networks='none', flavor_id=self._create_flavor(
                memory_mb=10 ** 9))})
        self._wait_for_state_change(server, 'ERROR')
        self.assertIn('its vm_state is error', self._message(
            self._refused(409, self._show, server)))

    # Who may ask.

    def test_the_servers_of_other_projects_are_not_found(self):
        self._refused(404, self._show, self.server, self.other_project_api)

    def test_an_admin_sees_the_servers_of_all_projects(self):
        server = self._create(api=self.other_project_api)
        self._show(server, self.admin_api)

    def test_a_reader_may_ask(self):
        self._show(self.server, self.api_fixture.reader_api)

    def test_the_policy_may_forbid_it(self):
        self.policy.set_rules({policies.SHOW: '!'}, overwrite=False)
        self._refused(403, self._show, self.server)

    def test_what_is_no_server_is_not_found(self):
        for server_id in (uuids.server, 'server'):
            self._refused(404, self._show, {'id': server_id})

    # Nodes that do not answer.

    def test_an_old_node_is_not_implemented(self):
        self._be_an_old_node(self.compute)
        message = self._message(self._refused(501, self._show, self.server))
        self.assertIn(self.server['id'], message)
        self.assertNotIn('host1', message)

    def test_an_admin_is_told_which_node_is_old(self):
        self._be_an_old_node(self.compute)
        self.assertIn('host1', self._message(self._refused(
            501, self._show, self.server, self.admin_api)))

    def test_an_old_node_is_not_asked_at_every_poll(self):
        self._be_an_old_node(self.compute)
        calls = self._calls()
        for _ in range(3):
            self._refused(501, self._show, self.server)
        self.assertEqual(1, len(calls))

    def test_a_node_that_was_upgraded_answers_after_a_minute(self):
        endpoints = list(self.compute.rpcserver.dispatcher.endpoints)
        self._be_an_old_node(self.compute)
        self._refused(501, self._show, self.server)
        self.compute.rpcserver.dispatcher.endpoints[:] = endpoints
        self._let_time_pass(60)
        self._show(self.server)

    def test_a_node_that_lacks_the_version_is_not_implemented(self):
        with mock.patch.object(rpc.Endpoint, 'target', rpc.messaging.Target(
                namespace=rpc.Endpoint.target.namespace, version='2.0')):
            self._refused(501, self._show, self.server)

    def test_a_newer_node_answers(self):
        with mock.patch.object(rpc.Endpoint, 'target', rpc.messaging.Target(
                namespace=rpc.Endpoint.target.namespace, version='1.9')):
            self._show(self.server)

    def test_a_stock_api_is_answered_as_by_a_stock_node(self):
        # All that stock Nova's API sends is upstream's RPC API.
        self.assertEqual('6.3', self.compute.manager.target.version)
        calls = self._calls()
        self.admin_api.api_get('/servers/%s/diagnostics' % self.server['id'])
        self.assertEqual([], calls)

    def test_a_driver_without_metrics_is_not_implemented(self):
        with mock.patch.object(vm_metrics, '_SOURCES', {}):
            self._refused(501, self._show, self.server)

    def test_a_node_without_a_sample_is_unavailable(self):
        source = type(vm_metrics.source_of(self.compute.driver))
        with mock.patch.object(
                source, 'get', side_effect=vm_metrics.SamplesUnavailable):
            response = self._refused(503, self._show, self.server)
        self.assertEqual('10', response.headers['Retry-After'])
        # The node has answered, so it is asked again.
        self._show(self.server)

    def test_a_dead_node_is_unavailable(self):
        self.flags(rpc_timeout=0.2, group='vm_metrics')
        self._die(self.compute)
        response = self._refused(503, self._show, self.server)
        self.assertEqual('10', response.headers['Retry-After'])
        self.assertNotIn('host1', self._message(response))

    def test_a_dead_node_is_not_waited_for_at_every_poll(self):
        self.flags(rpc_timeout=0.2, group='vm_metrics')
        self._die(self.compute)
        calls = self._calls()
        for _ in range(3):
            self._refused(503, self._show, self.server)
        self.assertEqual(1, len(calls))
        self._let_time_pass(rpc.RETRY_AFTER)
        self._refused(503, self._show, self.server)
        self.assertEqual(2, len(calls))

    def test_a_node_that_is_asked_late_is_not_taken_for_dead(self):
        self.flags(rpc_timeout=0.2, group='vm_metrics')
        self._die(self.compute)
        calls = self._calls()
        asker = rpc.Client()
        with nova_context.target_cell(
                nova_context.get_admin_context(),
                self.cell_mappings['cell1']) as context:
            # As long as it may take is not late.
            for timeout in (0.1, 0.1, 0.2, 0.2, None):
                answers = asker.get(
                    context, 'host1', [self.server['id']], timeout)
                self.assertEqual(
                    {self.server['id']: {'missing': rpc.UNAVAILABLE}},
                    answers)
        self.assertEqual(3, len(calls))

    def test_a_node_that_fails_is_unavailable(self):
        source = type(vm_metrics.source_of(self.compute.driver))
        with mock.patch.object(source, 'get', side_effect=KeyError('bug')):
            self._refused(503, self._show, self.server)

    def test_a_cell_that_is_down_is_unavailable(self):
        with nova_fixtures.DownCellFixture():
            response = self._refused(503, self._show, self.server)
        self.assertEqual('10', response.headers['Retry-After'])

    # What a poll leaves behind.

    def test_a_poll_leaves_nothing_behind(self):
        log = self.useFixture(fixtures.FakeLogger(level=logging.INFO))
        before = self._left_behind()
        self._show(self.server)
        self._list()
        guest = self.compute.driver.instances[self.server['id']]
        guest.state = power_state.CRASHED
        self._refused(409, self._show, self.server)
        self.assertEqual(before, self._left_behind())
        # Upstream's own line for each request is not ours to leave out.
        self.assertEqual([], [line for line in log.output.splitlines()
                              if '"GET /v2.1/servers/' not in line])

    def _left_behind(self):
        @main_db_api.pick_context_manager_reader
        def rows(context):
            return [context.session.query(table).count() for table in (
                models.InstanceFault, models.InstanceAction)]

        context = nova_context.get_admin_context()
        with nova_context.target_cell(
                context, self.cell_mappings['cell1']) as cctxt:
            return (rows(cctxt), len(self.notifier.notifications),
                    len(self.notifier.versioned_notifications))

    # What stays as it is.

    def test_nothing_is_made_until_somebody_asks(self):
        (endpoint,) = [
            endpoint for endpoint in self.compute.manager.additional_endpoints
            if isinstance(endpoint, rpc.Endpoint)]
        self.admin_api.api_get('/servers/%s/diagnostics' % self.server['id'])
        self.assertIsNone(endpoint._source)
        self._show(self.server)
        self.assertIsNotNone(endpoint._source)

    def test_other_methods_on_the_list_keep_their_answers(self):
        for path in ('/servers/metrics', '/servers/nothing'):
            response = self._refused(
                404, self.api.api_put, path, {'server': {'name': 'new'}})
            self.assertIn('could not be found', self._message(response))
            self._refused(404, self.api.api_delete, path)
            self._refused(404, self.api.api_post, path, {'server': {}})


class ListTestCase(_MetricsTestCase):

    NUMBER_OF_CELLS = 2

    def setUp(self):
        super().setUp()
        self.computes = {
            'host1': self._start_compute('host1', cell_name='cell1'),
            'host2': self._start_compute('host2', cell_name='cell2')}

        self.other_project_admin_api = client.TestOpenStackClient(
            'admin', self.api.base_url, project_id=uuids.project,
            roles=['reader', 'member', 'admin'])
        self.other_project_admin_api.microversion = self.microversion

    def _create_on(self, host, api=None):
        return self._create(api=api or self.admin_api, host=host)

    def test_the_servers_of_all_cells_are_listed_the_newest_first(self):
        clock = self.useFixture(utils_fixture.TimeFixture())
        ids = []
        for host in ('host1', 'host2', 'host1'):
            ids.append(self._create_on(host)['id'])
            # Of those of the same second, each cell's are in their own order.
            clock.advance_time_seconds(1)
        self.assertEqual(ids[::-1], self._found())

    def test_the_answer_for_a_server_is_that_of_show(self):
        server = self._create_on('host1')
        self.assertEqual(
            {'servers_metrics': [self._show(server)],
             'servers_metrics_missing': []}, self._list())

    def test_there_is_one_call_per_host(self):
        servers = [self._create_on(host)['id']
                   for host in ('host1', 'host2', 'host1', 'host2')]
        calls = self._calls()
        self._list()
        self.assertEqual(
            [('host1', sorted(servers[::2])),
             ('host2', sorted(servers[1::2]))], sorted(calls))

    def test_a_server_that_is_not_running_is_missing(self):
        running = self._create_on('host1')
        stopped = self._stop_server(self._create_on('host1'))
        self.assertEqual([running['id']], self._found())
        self.assertEqual({stopped['id']: 409}, self._missing())

    def test_deleted_servers_are_not_listed(self):
        self._delete_server(self._create_on('host1'))
        self.assertEqual(
            {'servers_metrics': [], 'servers_metrics_missing': []},
            self._list())

    # Whose.

    def test_only_the_servers_of_the_own_project_are_listed(self):
        ours = self._create_on('host1')
        theirs = self._create_on('host1', self.other_project_admin_api)
        for api in (self.api, self.admin_api):
            self.assertEqual([ours['id']], self._found(api=api))
        self.assertEqual([theirs['id']],
                         self._found(api=self.other_project_api))

    def test_an_admin_may_list_another_project(self):
        self._create_on('host1')
        theirs = self._create_on('host2', self.other_project_admin_api)
        query = '?project_id=%s' % uuids.project
        self.assertEqual([theirs['id']], self._found(query, self.admin_api))
        self._refused(403, self._list, query)
        self.assertEqual([theirs['id']],
                         self._found(query, self.other_project_api))

    def test_an_admin_may_list_a_host(self):
        self._create_on('host1')
        ids = {self._create_on('host2')['id'],
               self._create_on('host2', self.other_project_admin_api)['id']}
        self.assertEqual(ids, set(self._found('?host=host2', self.admin_api)))
        self._refused(403, self._list, '?host=host2')

    def test_host_and_project_are_both_meant(self):
        self._create_on('host1')
        wanted = self._create_on('host2')
        self._create_on('host2', self.other_project_admin_api)
        self.assertEqual([wanted['id']], self._found(
            '?host=host2&project_id=%s' % self.api.project_id,
            self.admin_api))

    def test_an_unknown_host_has_no_servers(self):
        self.assertEqual([], self._found('?host=host3', self.admin_api))

    def test_the_policy_decides_who_may_list_all_projects(self):
        server = self._create_on('host1', self.other_project_admin_api)
        self.policy.set_rules(
            {policies.LIST_ALL_PROJECTS: 'role:reader'}, overwrite=False)
        self.assertEqual([server['id']], self._found('?host=host1'))

    def test_the_policy_may_forbid_it(self):
        self.policy.set_rules({policies.LIST: '!'}, overwrite=False)
        self._refused(403, self._list)

    # Pages.

    def test_the_links_lead_through_all_pages(self):
        ids = {self._create_on(host)['id']
               for host in ('host1', 'host2', 'host1')}
        self._stop_server({'id': min(ids)})
        seen = []
        query = '?limit=1&project_id=%s' % self.api.project_id
        while query:
            page = self._list(query)
            entries = (page['servers_metrics'] +
                       page['servers_metrics_missing'])
            self.assertLessEqual(len(entries), 1)
            seen += [entry['server_id'] for entry in entries]
            links = page.get('servers_metrics_links')
            query = links and '?' + parse.urlsplit(links[0]['href']).query
        self.assertEqual(3, len(seen))
        self.assertEqual(ids, set(seen))

    def test_a_link_leads_to_the_list(self):
        self._create_on('host1')
        (link,) = self._list('?limit=1')['servers_metrics_links']
        self.assertEqual('/v2.1/%s/servers/metrics' % self.api.project_id
                         if self.api_fixture.use_project_id_in_urls
                         else '/v2.1/servers/metrics',
                         parse.urlsplit(link['href']).path)

    def test_a_page_is_no_longer_than_the_operator_lets_it_be(self):
        self.flags(max_limit=2, group='api')
        for _ in range(3):
            self._create_on('host1')
        for query in ('', '?limit=3'):
            page = self._list(query)
            self.assertEqual(2, len(page['servers_metrics']))
            self.assertIn('servers_metrics_links', page)

    def test_bad_parameters_are_refused(self):
        for query in ('?limit=0', '?limit=many', '?marker=last',
                      '?marker=%s' % uuids.server, '?host=', '?since=1',
                      '?host=host1&host=host2'):
            self._refused(400, self._list, query, self.admin_api)

    # Hosts and cells that do not answer.

    def test_a_dead_host_costs_its_timeout_once_and_only_its_servers(self):
        dead = {self._create_on('host1')['id'] for _ in range(3)}
        alive = self._create_on('host2')['id']
        # Long enough for the other one to answer on a busy machine.
        self.flags(rpc_timeout=4, group='vm_metrics')
        self._die(self.computes['host1'])
        calls = self._calls()
        started = time.monotonic()
        page = self._list()
        # Less than twice, let alone once for each of its servers.
        self.assertLess(time.monotonic() - started, 7.5)
        self.assertEqual([('host1', sorted(dead)), ('host2', [alive])],
                         sorted(calls))
        self.assertEqual([alive], [
            metrics['server_id'] for metrics in page['servers_metrics']])
        self.assertEqual(
            dict.fromkeys(dead, 503),
            {missing['server_id']: missing['code']
             for missing in page['servers_metrics_missing']})

    def test_dead_hosts_cost_no_more_than_the_lists_timeout(self):
        servers = {self._create_on(host)['id'] for host in self.computes}
        self.flags(rpc_timeout=60, list_timeout=1, list_workers=1,
                   group='vm_metrics')
        for service in self.computes.values():
            self._die(service)
        started = time.monotonic()
        self.assertEqual(dict.fromkeys(servers, 503), self._missing())
        # Of a minute for each of them.
        self.assertLess(time.monotonic() - started, 30)

    def test_the_servers_of_an_old_host_are_missing(self):
        server = self._create_on('host1')
        self._be_an_old_node(self.computes['host1'])
        self.assertEqual({server['id']: 501}, self._missing())

    def test_the_servers_of_a_cell_that_is_down_are_missing(self):
        alive, silent = (self._create_on(host)['id']
                         for host in ('host1', 'host2'))
        self._create_on('host2', self.other_project_admin_api)
        with nova_fixtures.DownCellFixture([self.cell_mappings['cell2']]):
            page = self._list()
        self.assertEqual([alive], [
            metrics['server_id'] for metrics in page['servers_metrics']])
        (missing,) = page['servers_metrics_missing']
        self.assertEqual((silent, 503),
                         (missing['server_id'], missing['code']))

    def test_a_host_in_a_cell_that_is_down_is_unavailable(self):
        self._create_on('host2')
        with nova_fixtures.DownCellFixture([self.cell_mappings['cell2']]):
            response = self._refused(
                503, self._list, '?host=host2', self.admin_api)
        self.assertEqual('10', response.headers['Retry-After'])

    def test_a_host_in_a_cell_that_is_not_known_yet_is_unavailable(self):
        self._create_on('host2')
        with mock.patch.object(nova_context, 'CELLS',
                               [self.cell_mappings['cell1']]):
            self._refused(503, self._list, '?host=host2', self.admin_api)
