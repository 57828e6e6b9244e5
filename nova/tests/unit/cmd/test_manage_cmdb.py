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

import io
from unittest import mock

from oslo_serialization import jsonutils
from oslo_utils.fixture import uuidsentinel as uuids

from nova.cmd import manage
from nova.cmd import manage_cmdb
from nova.cmdb import agent
from nova.cmdb import errors
from nova.cmdb import lease
from nova import test
from nova.tests.fixtures import mycompany_cmdb as cmdb_fixtures


class RegistrationTestCase(test.NoDBTestCase):

    def test_nova_manage_has_the_commands(self):
        command = manage.CATEGORIES['cmdb']()
        self.assertEqual(
            ['diff', 'sync'],
            [name for name, _method in manage.cmd_common.methods_of(command)])


class CommandsTestCase(test.TestCase):
    """There is no server, so every record is a ghost."""

    def setUp(self):
        super().setUp()
        self.useFixture(cmdb_fixtures.no_waiting())
        self.driver = self.useFixture(cmdb_fixtures.CMDBFixture()).driver

    def _run(self, command, **kwargs):
        with mock.patch('sys.stdout', new=io.StringIO()) as out, \
                mock.patch('sys.stderr', new=io.StringIO()) as err:
            status = getattr(manage_cmdb.CMDBCommands(), command)(**kwargs)
        return status, out.getvalue(), err.getvalue()

    def _ghosts(self, count):
        for number in range(count):
            server_id = getattr(uuids, 'ghost%d' % number)
            self.driver.records[server_id] = {'id': server_id}

    def test_diff_says_when_nothing_differs(self):
        status, out, err = self._run('diff')
        self.assertEqual((0, ''), (status, err))
        self.assertIn('0 servers, 0 records: 0 missing', out)

    def test_diff_lists_what_differs_and_changes_nothing(self):
        self._ghosts(1)
        status, out, _err = self._run('diff')
        self.assertEqual(1, status)
        self.assertIn('ghost %s' % uuids.ghost0, out)
        self.assertEqual(1, len(self.driver.records))

    def test_json_is_all_there_is_on_standard_output(self):
        self._ghosts(1)
        status, out, _err = self._run('diff', as_json=True)
        self.assertEqual(
            [{'kind': 'ghost', 'server_id': uuids.ghost0, 'fields': []}],
            jsonutils.loads(out)['differences'])

    def test_sync_repairs(self):
        self._ghosts(2)
        self.assertEqual(0, self._run('sync')[0])
        self.assertEqual({}, self.driver.records)

    def test_sync_leaves_too_many_ghosts_unless_forced(self):
        self._ghosts(20)
        status, _out, err = self._run('sync')
        self.assertEqual((1, 20), (status, len(self.driver.records)))
        self.assertIn('--force', err)
        self.assertEqual(0, self._run('sync', force=True)[0])
        self.assertEqual({}, self.driver.records)

    def test_a_cmdb_that_is_down_is_said(self):
        self.driver.before = cmdb_fixtures.unavailable()
        for command in ('diff', 'sync'):
            status, out, err = self._run(command)
            self.assertEqual((2, '', 'The CMDB does not work: down\n'),
                             (status, out, err))

    def test_options_that_will_not_do_are_said(self):
        agent.load_driver.side_effect = errors.Misconfigured('bad')
        self.assertEqual((2, '', 'bad\n'), self._run('diff'))

    def test_sync_waits_for_another_one(self):
        other = lease.Lease()
        other.acquire()
        with mock.patch.object(
                manage_cmdb.time, 'sleep',
                side_effect=lambda _seconds: other.release(done=True)):
            status, _out, err = self._run('sync')
        self.assertEqual(0, status)
        self.assertEqual(1, err.count('waiting for it'))

    def test_diff_waits_for_nobody(self):
        lease.Lease().acquire()
        self.assertEqual(0, self._run('diff')[0])

    def test_a_sync_counts_as_a_comparison_of_the_agents(self):
        self.assertIsNone(lease.Lease().idle_for())
        self._run('sync')
        self.assertIsNotNone(lease.Lease().idle_for())


class ProgressTestCase(test.NoDBTestCase):

    def _draw(self, terminal):
        stream = io.StringIO()
        stream.isatty = lambda: terminal
        with mock.patch.object(manage_cmdb.time, 'monotonic') as clock:
            clock.return_value = 0
            progress = manage_cmdb._Progress(stream)
            for number, letter in enumerate('048c'):
                clock.return_value = 100 * (number + 1)
                progress.walked(letter + '0000000-0000')
            progress.clear()
        return stream.getvalue()

    def test_a_terminal_gets_a_bar_that_is_taken_away_at_the_end(self):
        text = self._draw(True)
        self.assertIn('\r[%s%s]  50 %%, 3' % (20 * '#', 20 * '.'), text)
        self.assertTrue(text.endswith('\r\033[K'))

    def test_a_log_gets_lines(self):
        self.assertEqual('0 %, 1\n25 %, 2\n50 %, 3\n75 %, 4\n',
                         self._draw(False))
