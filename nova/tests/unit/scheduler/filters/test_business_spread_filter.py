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

import collections
from unittest import mock

from oslo_utils.fixture import uuidsentinel as uuids

from nova import context as nova_context
from nova.db.mycompany import business_spread as queries
from nova import exception
from nova import objects
from nova.scheduler.filters import business_spread_filter
from nova.scheduler import host_manager
from nova.scheduler import manager
from nova import test


class BusinessSpreadFilterTestCase(test.NoDBTestCase):

    def setUp(self):
        super().setUp()
        self.filter = business_spread_filter.BusinessSpreadFilter()
        self.counts = collections.Counter()
        self.asked = []
        for owner, name, fake in (
            (nova_context, 'CELLS', [
                objects.CellMapping(uuid=cell)
                for cell in (uuids.cell1, uuids.cell2)]),
            (nova_context, 'scatter_gather_cells', self._gather),
        ):
            patcher = mock.patch.object(owner, name, new=fake)
            patcher.start()
            self.addCleanup(patcher.stop)
        self.answers = {}

    def _gather(self, _context, cells, timeout, function, *args):
        self.asked.append((timeout, function, *args,
                           [cell.uuid for cell in cells]))
        return {cell.uuid: self.answers.get(cell.uuid, (self.counts, 0))
                for cell in cells}

    @staticmethod
    def _hosts(*names, cell=uuids.cell1):
        return [host_manager.HostState(name, 'node', cell) for name in names]

    @staticmethod
    def _spec(hints=None, **extra_specs):
        return objects.RequestSpec(
            instance_uuid=uuids.server, scheduler_hints=hints or {},
            flavor=objects.Flavor(name='f', extra_specs=extra_specs))

    def _pass(self, hosts, spec_obj):
        return [host.host for host in self.filter.filter_all(hosts, spec_obj)]

    def test_without_a_tag_nothing_is_asked(self):
        self.assertEqual(
            ['a', 'b'], self._pass(self._hosts('a', 'b'), self._spec()))
        self.assertEqual([], self.asked)

    def test_hosts_that_are_full_are_left_out(self):
        self.counts.update({('a', 'node'): 3, ('b', 'node'): 2,
                            ('c', 'other'): 3})
        self.assertEqual(['b', 'c'], self._pass(
            self._hosts('a', 'b', 'c'), self._spec(business_tag='web')))

    def test_cells_are_asked_together_once_for_a_request(self):
        hosts = (self._hosts('a', 'b') +
                 self._hosts('c', cell=uuids.cell2))
        spec_obj = self._spec(business_tag='web')
        for _ in range(3):
            self._pass(hosts, spec_obj)
        (*asked, cells), = self.asked
        self.assertEqual(
            [10, queries.count_by_node, 'web', uuids.server, 1], asked)
        self.assertEqual({uuids.cell1, uuids.cell2}, set(cells))

    def test_nodes_with_room_for_the_whole_request_are_not_asked_for(self):
        for count, matters in ((1, 3), (2, 2), (9, -5)):
            spec_obj = self._spec(business_tag='web')
            spec_obj.num_instances = count
            self._pass(self._hosts('a'), spec_obj)
            self.assertEqual(matters, self.asked.pop()[4])

    def test_another_request_asks_again(self):
        for _ in range(2):
            self._pass(self._hosts('a'), self._spec(business_tag='web'))
        self.assertEqual(2, len(self.asked))

    def test_servers_of_the_same_request_count(self):
        spec_obj = self._spec(business_tag='web', business_max_per_host='1')
        hosts = self._hosts('a', 'b')
        self.assertEqual(['a', 'b'], self._pass(hosts, spec_obj))
        business_spread_filter.count_pick(spec_obj, hosts[0])
        self.assertEqual(['b'], self._pass(hosts, spec_obj))

    def test_the_scheduler_counts_what_it_picks(self):
        spec_obj = self._spec(business_tag='web', business_max_per_host='1')
        spec_obj.instance_group = None
        hosts = self._hosts('a', 'b')
        self._pass(hosts, spec_obj)
        with mock.patch.object(host_manager.HostState,
                               'consume_from_request'):
            manager.SchedulerManager._consume_selected_host(
                hosts[0], spec_obj)
        self.assertEqual(['b'], self._pass(hosts, spec_obj))

    def test_a_pick_of_an_untagged_server_is_nothing(self):
        spec_obj = self._spec()
        business_spread_filter.count_pick(spec_obj, self._hosts('a')[0])
        self.assertEqual(['a'], self._pass(self._hosts('a'), spec_obj))

    def test_a_rebuild_passes(self):
        self.counts['a', 'node'] = 9
        self.assertEqual(['a'], self._pass(self._hosts('a'), self._spec(
            {'_nova_check_type': ['rebuild']}, business_tag='web')))

    def test_a_tag_that_cannot_be_used_leaves_no_host(self):
        with self.assertLogs(business_spread_filter.LOG.logger,
                             'WARNING') as logs:
            self.assertEqual([], self._pass(
                self._hosts('a'), self._spec(business_tag=' web')))
        self.assertIn('begins or ends with a space', logs.output[0])

    def test_cells_that_do_not_answer_are_left_out(self):
        hosts = self._hosts('a') + self._hosts('b', cell=uuids.cell2)
        for answer in (nova_context.did_not_respond_sentinel,
                       exception.CellTimeout(), RuntimeError('no table')):
            self.answers[uuids.cell2] = answer
            with self.assertLogs(business_spread_filter.LOG.logger,
                                 'WARNING') as logs:
                self.assertEqual(['a'], self._pass(
                    hosts, self._spec(business_tag='web')))
            self.assertIn(uuids.cell2, logs.output[0])

    def test_cells_that_do_not_answer_may_be_used_all_the_same(self):
        self.flags(unanswering_cells='pass', group='business_spread')
        self.answers[uuids.cell1] = nova_context.did_not_respond_sentinel
        self.assertEqual(['a'], self._pass(
            self._hosts('a'), self._spec(business_tag='web')))

    def test_a_cell_that_was_added_is_found(self):
        new = objects.CellMapping(uuid=uuids.new)

        def load():
            nova_context.CELLS = nova_context.CELLS or [new]

        with mock.patch.object(nova_context, 'load_cells', new=load):
            self._pass(self._hosts('a', cell=uuids.new),
                       self._spec(business_tag='web'))
        self.assertEqual([uuids.new], self.asked[0][-1])

    def test_a_cell_that_is_not_known_has_no_hosts(self):
        with mock.patch.object(nova_context, 'load_cells'):
            self.assertEqual([], self._pass(
                self._hosts('a', cell=uuids.unknown),
                self._spec(business_tag='web')))

    def test_it_says_why_no_host_is_left(self):
        self.counts['a', 'node'] = 3
        with self.assertLogs(business_spread_filter.LOG.logger,
                             'INFO') as logs:
            self._pass(self._hosts('a'), self._spec(business_tag='web'))
        self.assertIn("business tag 'web': of 1 hosts, 1 hold 3 servers of it "
                      "already", logs.output[0])

    def test_it_says_what_is_not_filled_in(self):
        self.answers[uuids.cell1] = (self.counts, 7)
        with self.assertLogs(business_spread_filter.LOG.logger,
                             'WARNING') as logs:
            self._pass(self._hosts('a'), self._spec(business_tag='web'))
        self.assertIn('7 servers whose business tag is not filled in',
                      logs.output[0])
