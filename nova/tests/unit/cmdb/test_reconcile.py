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

import random
import threading
import types

from oslo_utils import uuidutils

from nova.cmdb import delivery
from nova.cmdb import errors
from nova.cmdb import reconcile
from nova import test
from nova.tests.fixtures import mycompany_cmdb as cmdb_fixtures


class Servers:
    """Servers in memory, by id."""

    def __init__(self):
        self.records = {}
        self.failed_cell = None
        self.streamed = 0

    def read(self, server_id):
        found = self.records.get(server_id)
        if isinstance(found, Exception):
            raise found
        return found

    def stream(self, page_size, failed):
        self.streamed += 1
        for server_id in sorted(self.records):
            if not isinstance(self.records[server_id], Exception):
                yield self.records[server_id]
        if self.failed_cell:
            failed(types.SimpleNamespace(name=self.failed_cell),
                   RuntimeError())


class ReconcilerTestCase(test.NoDBTestCase):

    def setUp(self):
        super().setUp()
        self.useFixture(cmdb_fixtures.no_waiting())
        self.driver = cmdb_fixtures.MemoryDriver()
        self.servers = Servers()
        self.found = []

    def _reconciler(self, **kwargs):
        return reconcile.Reconciler(
            self.driver, self.servers, delivery.Gate(threading.Event()),
            found=lambda *found: self.found.append(found), **kwargs)

    def _server(self, name='server', entry=None):
        """A server, and its entry: None for none, or its name."""
        server_id = uuidutils.generate_uuid()
        record = {'id': server_id, 'name': name}
        self.servers.records[server_id] = record
        if entry is not None:
            self.driver.records[server_id] = dict(record, name=entry)
        return server_id

    def _ghost(self):
        server_id = uuidutils.generate_uuid()
        self.driver.records[server_id] = {'id': server_id, 'name': 'ghost'}
        return server_id

    def _changes(self):
        return [call for call in self.driver.calls if call[0] != 'page']

    def test_diff_names_what_differs_and_changes_nothing(self):
        same, missing = self._server(entry='server'), self._server()
        stale, ghost = self._server(entry='old'), self._ghost()
        result = self._reconciler().diff()
        self.assertEqual(
            {('missing', missing): [], ('stale', stale): ['name'],
             ('ghost', ghost): []},
            {(kind, server_id): fields
             for kind, server_id, fields in self.found})
        self.assertEqual((3, 3, 1, 1, 1), (
            result.servers, result.entries, result.missing, result.stale,
            result.ghosts))
        self.assertEqual([], self._changes())
        self.assertIn(same, self.driver.records)

    def test_sync_repairs_all_of_it_and_nothing_else(self):
        self.flags(reconcile_page_size=3, group='cmdb')
        chance = random.Random(5)
        for _ in range(60):
            chance.choice([
                self._server, self._ghost,
                lambda: self._server(entry='server'),
                lambda: self._server(entry='old')])()
        self.flags(max_delete_share=1, group='cmdb')
        result = self._reconciler().sync()
        self.assertEqual(self.servers.records, self.driver.records)
        self.assertEqual(result.differences, len(self._changes()))
        self.assertEqual(0, self._reconciler().diff().differences)

    def test_too_many_ghosts_are_left_all_of_them(self):
        self.flags(max_delete_share=0.1, group='cmdb')
        for _ in range(100):
            self._server(entry='server')
        for _ in range(12):
            self._ghost()
        result = self._reconciler().sync()
        self.assertTrue(result.refused)
        self.assertEqual([], self._changes())
        self.assertIn('12 of 112 records', self.stdlog.logger.output)
        result = self._reconciler().sync(force=True)
        self.assertEqual((False, 12), (result.refused, result.deleted))
        self.assertEqual(100, len(self.driver.records))

    def test_as_many_ghosts_as_allowed_are_deleted(self):
        self.flags(max_delete_share=0.1, group='cmdb')
        for _ in range(108):
            self._server(entry='server')
        for _ in range(12):
            self._ghost()
        self.assertEqual(12, self._reconciler().sync().deleted)

    def test_ten_ghosts_may_always_go(self):
        self.flags(max_delete_share=0, group='cmdb')
        for _ in range(10):
            self._ghost()
        self.assertEqual(10, self._reconciler().sync().deleted)
        for _ in range(11):
            self._ghost()
        self.assertTrue(self._reconciler().sync().refused)

    def test_an_empty_database_does_not_empty_the_cmdb(self):
        for _ in range(1000):
            self._ghost()
        self._reconciler().sync()
        self.assertEqual(1000, len(self.driver.records))

    def test_no_ghost_is_deleted_while_a_cell_does_not_answer(self):
        ghost, missing = self._ghost(), self._server()
        self.servers.failed_cell = 'cell7'
        result = self._reconciler().sync(force=True)
        self.assertEqual(['cell7'], result.cells_failed)
        self.assertFalse(result.complete)
        self.assertIn(ghost, self.driver.records)
        # All else is repaired.
        self.assertIn(missing, self.driver.records)

    def test_no_ghost_is_deleted_while_a_server_cannot_be_read(self):
        self._ghost()
        server_id = self._server(entry='server')
        self.servers.records[server_id] = RuntimeError('database')
        result = self._reconciler().sync()
        self.assertEqual((1, 0), (result.unknown, result.deleted))
        self.assertEqual([], self._changes())

    def test_a_server_that_came_while_pages_were_read_is_no_ghost(self):
        server_id = self._ghost()
        self.servers.read = lambda _id: {'id': server_id, 'name': 'ghost'}
        self.assertEqual(0, self._reconciler().diff().differences)

    def test_a_server_that_went_while_pages_were_read_is_not_put(self):
        self._server()
        self.servers.read = lambda _id: None
        result = self._reconciler().sync()
        self.assertEqual(0, result.differences)
        self.assertEqual([], self._changes())

    def test_no_more_is_deleted_than_was_counted(self):
        for _ in range(5):
            self._ghost()
        stream = self.servers.stream

        def lose_servers(*args):
            # Between the two walks the database is replaced by an empty one.
            if self.servers.streamed:
                self.servers.records.clear()
            return stream(*args)

        for _ in range(300):
            self._server(entry='server')
        self.servers.stream = lose_servers
        self.flags(max_delete_share=0.02, group='cmdb')
        result = self._reconciler().sync()
        self.assertLessEqual(result.deleted, 10)

    def test_a_record_that_the_cmdb_refuses_stops_no_other(self):
        servers = [self._server() for _ in range(3)]

        def refuse(method, server_id):
            if method == 'put' and server_id == servers[1]:
                raise errors.Rejected('no')

        self.driver.before = refuse
        result = self._reconciler().sync()
        self.assertEqual((2, 1), (result.repaired, result.rejected))

    def test_a_cmdb_that_fails_now_and_then_is_asked_again(self):
        for _ in range(5):
            self._server()
        fail = iter([True, False, True, True] + 100 * [False])

        def before(method, server_id):
            if next(fail):
                raise errors.Unavailable('busy')

        self.driver.before = before
        self.assertEqual(5, self._reconciler().sync().repaired)

    def test_a_cmdb_that_stays_down_ends_it(self):
        self.driver.before = cmdb_fixtures.unavailable()
        self.assertRaises(errors.Unavailable, self._reconciler().diff)

    def test_each_step_is_said(self):
        walked = []
        for _ in range(3):
            self._server()
        self._reconciler(walked=walked.append).diff()
        self.assertEqual(sorted(self.servers.records), walked)
