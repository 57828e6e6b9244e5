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

import os
from unittest import mock

from oslo_utils.fixture import uuidsentinel as uuids

from nova.cmdb import agent
from nova.cmdb import errors
from nova.cmdb import lease
from nova.cmdb import metrics as cmdb_metrics
from nova import test
from nova.tests.fixtures import mycompany_cmdb as cmdb_fixtures

SENT = '2026-11-25 15:00:00.5'


class MessagesTestCase(test.NoDBTestCase):

    def setUp(self):
        super().setUp()
        self.useFixture(cmdb_fixtures.no_waiting())
        self.flags(retry_max_delay=0.1, group='cmdb')
        self.driver = cmdb_fixtures.MemoryDriver()
        self.metrics = cmdb_metrics.Metrics()
        self.agent = agent.Agent(self.driver, self.metrics)
        self.agent._servers = mock.Mock()
        self.agent._servers.read.side_effect = lambda server_id: {
            'id': server_id}

    def _handle(self, server_id=uuids.server):
        return self.agent._handle(server_id, SENT)

    def _count(self, name):
        return self.metrics.snapshot()[name]

    def test_a_message_is_done_when_the_cmdb_agrees(self):
        self.assertTrue(self._handle())
        self.assertEqual({uuids.server: {'id': uuids.server}},
                         self.driver.records)
        self.assertEqual((1, 1), (self._count('delivered_total'),
                                  self._count('up')))

    def test_what_names_no_server_is_passed_over(self):
        for garbage in (None, 5, {}, '', '../etc/passwd',
                        uuids.server + '/x'):
            self.assertTrue(self._handle(garbage))
        self.assertEqual([], self.driver.calls)
        self.assertEqual(6, self._count('ignored_total'))

    def test_while_the_cmdb_is_down_the_message_is_held(self):
        fails = iter([True] * 5 + [False] * 9)

        def before(method, server_id):
            snapshot = self.metrics.snapshot()
            self.assertEqual(1, snapshot['held_messages'])
            self.assertGreater(snapshot['lag_seconds'], 0)
            if next(fails):
                raise errors.Unavailable('down')

        self.driver.before = before
        self.assertTrue(self._handle())
        self.assertEqual((5, 1, 0), (
            self._count('retried_total'), self._count('delivered_total'),
            self._count('held_messages')))

    def test_after_a_while_it_goes_back_to_the_bus(self):
        self.driver.before = cmdb_fixtures.unavailable()
        with mock.patch.object(agent, '_HOLD', 0.2):
            self.assertFalse(self._handle())
        self.assertEqual(0, self._count('up'))

    def test_a_refused_record_is_said_once_and_the_message_done(self):
        self.driver.before = mock.Mock(side_effect=errors.Rejected('no'))
        for _ in range(3):
            self.assertTrue(self._handle())
        self.assertEqual(3, self._count('rejected_total'))
        self.assertEqual(1, self.stdlog.logger.output.count('refuses'))

    def test_a_database_that_is_away_is_waited_for(self):
        answers = iter([RuntimeError('secret')] * 3)

        def read(server_id):
            error = next(answers, None)
            if error:
                raise error

        self.agent._servers.read.side_effect = read
        self.assertTrue(self._handle())
        self.assertEqual(3, self._count('retried_total'))
        self.assertNotIn('secret', self.stdlog.logger.output)

    def test_when_the_agent_ends_a_message_goes_back(self):
        self.driver.before = mock.Mock(
            side_effect=lambda *args: self.agent._stopping.set() or
            cmdb_fixtures.unavailable()())
        self.assertFalse(self._handle())


class ComparisonTestCase(test.TestCase):

    def setUp(self):
        super().setUp()
        self.agents = [agent.Agent(cmdb_fixtures.MemoryDriver(),
                                   cmdb_metrics.Metrics()) for _ in range(2)]
        self.leases = [lease.Lease(), lease.Lease()]

    def _compare(self, number, interval=100):
        with mock.patch.object(agent.Agent, 'compare') as compare:
            pause = self.agents[number]._compare_if_due(
                self.leases[number], interval)
        return compare.call_count, pause

    def test_two_agents_compare_once_an_interval(self):
        self.assertEqual((1, 100), self._compare(0))
        for number in (0, 1):
            count, pause = self._compare(number)
            self.assertEqual(0, count)
            self.assertGreater(pause, 90)

    def test_while_one_compares_the_other_does_not(self):
        self.leases[0].acquire()
        self.assertEqual((0, lease.LEASE / 3), self._compare(1))

    def test_one_that_fails_is_begun_anew(self):
        with mock.patch.object(agent.Agent, 'compare',
                               side_effect=lease.Lost):
            self.assertEqual(10, self.agents[0]._compare_if_due(
                self.leases[0], 100))
        self.assertEqual(1, self._compare(1)[0])

    def test_what_it_found_is_in_the_counters_and_the_log(self):
        driver, = {self.agents[0]._driver}
        driver.records[uuids.ghost] = {'id': uuids.ghost}
        self.leases[0].acquire()
        self.agents[0].compare(self.leases[0])
        self.assertEqual({}, driver.records)
        values = self.agents[0]._metrics.snapshot()
        self.assertEqual((1, 1), (values['drift_ghosts'],
                                  values['reconcile_complete']))
        self.assertIn('1 without a server; 0 repaired, 1 deleted',
                      self.stdlog.logger.output)

    def test_it_stops_when_the_agent_ends(self):
        self.agents[0]._driver.records[uuids.ghost] = {'id': uuids.ghost}
        self.agents[0]._stopping.set()
        self.leases[0].acquire()
        self.assertRaises(agent.delivery.Stopped, self.agents[0].compare,
                          self.leases[0])


class MetricsTestCase(test.NoDBTestCase):

    def test_the_file_is_replaced_as_a_whole(self):
        folder = self.useFixture(test.fixtures.TempDir()).path
        path = os.path.join(folder, 'agent.prom')
        metrics = cmdb_metrics.Metrics()
        metrics.add('delivered_total', 3)
        metrics.write(path)
        metrics.write(path)
        with open(path) as stream:
            lines = stream.read().splitlines()
        self.assertIn('# TYPE nova_cmdb_agent_delivered_total counter', lines)
        self.assertIn('nova_cmdb_agent_delivered_total 3', lines)
        self.assertEqual(['agent.prom'], os.listdir(folder))

    def test_the_lag_is_that_of_the_oldest_message(self):
        metrics = cmdb_metrics.Metrics()
        with mock.patch.object(cmdb_metrics.time, 'time', return_value=100):
            metrics.hold(1, 90)
            metrics.hold(2, 40)
            self.assertEqual(60, metrics.snapshot()['lag_seconds'])
            metrics.let_go(2)
            self.assertEqual(10, metrics.snapshot()['lag_seconds'])


class ServiceTestCase(test.NoDBTestCase):

    def test_an_unknown_driver_is_named_with_those_there_are(self):
        self.flags(driver='nosuch', group='cmdb')
        error = self.assertRaises(errors.Misconfigured, agent.load_driver)
        self.assertIn("'nosuch'", str(error))

    def test_a_reload_that_will_not_do_changes_nothing(self):
        driver = mock.Mock()
        with mock.patch.object(agent, 'load_driver', side_effect=(
                errors.Misconfigured('bad'))):
            self.assertIs(driver, agent._Service._reload(driver))
        driver.close.assert_not_called()
        self.assertIn('stay as they were: bad', self.stdlog.logger.output)

    def test_a_bus_that_cannot_be_listened_to_is_tried_again(self):
        one = agent.Agent(mock.Mock(), cmdb_metrics.Metrics())
        listener = mock.Mock()

        def start_at_once(target, args, daemon):
            return mock.Mock(start=lambda: target(*args))

        with mock.patch.object(agent.bus, 'urls', return_value=['a']), \
                mock.patch.object(agent.threading, 'Thread',
                                  new=start_at_once), \
                mock.patch.object(agent.bus, 'listen', side_effect=[
                    RuntimeError('password'), listener]):
            one._listen_to_all()
            self.assertEqual({}, one._listeners)
            one._listen_to_all()
            one._listen_to_all()
        self.assertEqual({'a': listener}, one._listeners)
        listener.start.assert_called_once_with()
        self.assertNotIn('password', self.stdlog.logger.output)
