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

import threading
from unittest import mock

from oslo_utils.fixture import uuidsentinel as uuids

from nova.cmdb import delivery
from nova.cmdb import errors
from nova import test
from nova.tests.fixtures import mycompany_cmdb as cmdb_fixtures


class Servers:
    """What each look at the server finds, in this order."""

    def __init__(self, *found):
        self.found = list(found)

    def read(self, server_id):
        return self.found.pop(0) if len(self.found) > 1 else self.found[0]


def _record(name):
    return {'id': uuids.server, 'name': name}


class SettleTestCase(test.NoDBTestCase):

    def setUp(self):
        super().setUp()
        self.driver = cmdb_fixtures.MemoryDriver()

    def _settle(self, *found):
        delivery.settle(self.driver, Servers(*found), uuids.server)
        return [method for method, _id in self.driver.calls]

    def test_a_server_is_put_once(self):
        self.assertEqual(['put'], self._settle(_record('a')))
        self.assertEqual(_record('a'), self.driver.records[uuids.server])

    def test_a_server_that_is_gone_is_deleted(self):
        self.driver.records[uuids.server] = _record('a')
        self.assertEqual(['delete'], self._settle(None))
        self.assertEqual({}, self.driver.records)

    def test_what_changes_meanwhile_is_put_again(self):
        self.assertEqual(['put', 'put'],
                         self._settle(_record('a'), _record('b')))
        self.assertEqual(_record('b'), self.driver.records[uuids.server])

    def test_what_is_deleted_meanwhile_leaves_no_ghost(self):
        self.assertEqual(['put', 'delete'], self._settle(_record('a'), None))
        self.assertEqual({}, self.driver.records)

    def test_a_server_that_never_rests_is_left_for_later(self):
        self.assertRaises(
            errors.Unavailable, self._settle,
            *[_record(number) for number in range(100)])

    def test_two_agents_with_an_old_and_a_new_state_leave_the_new_one(self):
        # The first has read the old state, and is slow to write it.
        present = {'record': _record('old')}
        servers = mock.Mock(read=lambda server_id: present['record'])
        second_done = []

        def before(method, server_id):
            if not second_done:
                second_done.append(True)
                present['record'] = _record('new')
                delivery.settle(self.driver, servers, uuids.server)

        self.driver.before = before
        delivery.settle(self.driver, servers, uuids.server)
        self.assertEqual(_record('new'), self.driver.records[uuids.server])

    def test_a_put_that_comes_after_a_delete_leaves_no_ghost(self):
        present = {'record': _record('old')}
        servers = mock.Mock(read=lambda server_id: present['record'])
        second_done = []

        def before(method, server_id):
            if not second_done:
                second_done.append(True)
                present['record'] = None
                delivery.settle(self.driver, servers, uuids.server)

        self.driver.before = before
        delivery.settle(self.driver, servers, uuids.server)
        self.assertEqual({}, self.driver.records)


class GateTestCase(test.NoDBTestCase):

    def setUp(self):
        super().setUp()
        self.stopping = mock.Mock()
        self.stopping.is_set.return_value = False
        self.stopping.wait.side_effect = self._pass
        self.now = 1000.0
        self.useFixture(test.fixtures.MockPatchObject(
            delivery.time, 'monotonic', side_effect=lambda: self.now))
        self.chance = self.useFixture(test.fixtures.MockPatchObject(
            delivery.random, 'uniform', side_effect=lambda low, high: high)
        ).mock
        self.gate = delivery.Gate(self.stopping)

    def _pass(self, seconds):
        self.now += seconds

    def _times_of_calls(self, count, retry_after=None):
        times = []

        def fail():
            times.append(self.now)
            raise errors.Unavailable('down', retry_after)

        self.assertRaises(errors.Unavailable, self.gate.call, fail,
                          tries=count)
        return times

    def _pauses(self, *args):
        times = self._times_of_calls(*args)
        return [round(after - before, 1)
                for before, after in zip(times, times[1:])]

    def test_pauses_grow_up_to_the_option(self):
        self.flags(retry_max_delay=6, group='cmdb')
        self.assertEqual([0.5, 1, 2, 4, 6, 6], self._pauses(7))

    def test_a_part_of_each_pause_is_by_chance(self):
        self._pauses(2)
        self.assertEqual((0.5, 1), self.chance.call_args_list[0].args)

    def test_it_waits_as_long_as_the_cmdb_asks(self):
        self.assertEqual([33], self._pauses(2, 30))

    def test_it_does_not_wait_for_ever(self):
        self.assertEqual([660], self._pauses(2, 10 ** 9))

    def test_a_success_opens_it(self):
        self._times_of_calls(3)
        self.gate.call(lambda: None)
        before = self.now
        self.gate.call(lambda: None)
        self.assertEqual(before, self.now)

    def test_a_refused_record_opens_it_too(self):
        self._times_of_calls(1)
        self.assertRaises(errors.Rejected, self.gate.call, mock.Mock(
            side_effect=errors.Rejected('no')))
        before = self.now
        self.gate.enter()
        self.assertEqual(before, self.now)

    def test_one_at_a_time_tries_whether_it_works_again(self):
        self._times_of_calls(1)
        self.now += 10
        self.gate.enter()
        # From another thread: the first one is still at it.
        other = []

        def enter():
            try:
                self.gate.enter(deadline=self.now + 5)
            except delivery.Waited as waited:
                other.append(waited)

        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
        self.assertEqual(1, len(other))
        self.gate.succeeded()
        self.gate.enter()

    def test_another_fault_lets_the_next_one_try(self):
        self._times_of_calls(1)
        self.assertRaises(ValueError, self.gate.call,
                          mock.Mock(side_effect=ValueError))
        self.gate.enter(deadline=self.now + 1)

    def test_nobody_waits_when_the_service_is_to_end(self):
        self._times_of_calls(1)
        self.stopping.is_set.return_value = True
        self.assertRaises(delivery.Stopped, self.gate.enter)

    def test_it_says_so_once_when_it_closes_and_when_it_opens(self):
        self._times_of_calls(5)
        self.gate.call(lambda: None)
        output = self.stdlog.logger.output
        self.assertEqual(1, output.count('The CMDB does not work: down'))
        self.assertEqual(1, output.count('The CMDB works again'))
