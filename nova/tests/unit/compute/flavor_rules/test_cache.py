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
import shutil
import tempfile
import threading
from unittest import mock

from nova.compute.flavor_rules import cache
from nova.compute.flavor_rules import rules
from nova.compute.flavor_rules import rules_file
from nova.compute.flavor_rules import store
from nova import test

PROJECT = 'a1b2c3d4e5f64718a9b0c1d2e3f40516'


class _Clock:
    """Stands in for the clock; what waits is woken by the test."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class CacheTestCase(test.NoDBTestCase):

    def setUp(self):
        super().setUp()
        self.clock = _Clock()
        patcher = mock.patch.object(
            cache.time, 'monotonic', new=self.clock)
        patcher.start()
        self.addCleanup(patcher.stop)
        self.cache = cache.Cache()

    def _allowed(self, name='m1'):
        return self.cache.get().decide(PROJECT, name, 'id').allowed


class FileTestCase(CacheTestCase):

    def setUp(self):
        super().setUp()
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        self.path = os.path.join(folder, 'rules.yaml')
        self.flags(rules_file=self.path, refresh_interval=5,
                   group='flavor_rules')

    def _write(self, text):
        # As an operator should: beside it, and renamed into place.
        with open(self.path + '.new', 'w') as stream:
            stream.write(text)
        os.rename(self.path + '.new', self.path)

    def _deny(self, pattern):
        self._write('version: 1\ndefault: {deny: ["%s"]}\n' % pattern)

    def test_a_change_holds_after_the_refresh_interval(self):
        self._deny('m1')
        self.cache.load_file()
        self.assertFalse(self._allowed())
        self._deny('m2')
        self.clock.now += 4.9
        self.assertFalse(self._allowed())
        self.clock.now += 0.1
        self.assertTrue(self._allowed())
        self.assertFalse(self._allowed('m2'))

    def test_the_file_is_not_read_again_while_it_is_the_same(self):
        self._deny('m1')
        self.cache.load_file()
        with mock.patch.object(rules_file, 'read', side_effect=AssertionError):
            for _ in range(3):
                self.clock.now += 5
                self.assertFalse(self._allowed())

    def test_a_change_that_keeps_size_and_times_is_seen(self):
        self._deny('m1')
        self.cache.load_file()
        before = os.stat(self.path)
        self._deny('m2')
        os.utime(self.path, ns=(before.st_atime_ns, before.st_mtime_ns))
        self.clock.now += 5
        self.assertTrue(self._allowed())

    def test_a_broken_edit_keeps_the_last_good_rules_with_one_error(self):
        self._deny('m1')
        self.cache.load_file()
        self._write('version: 1\ndefault: [')
        with self.assertLogs('nova.compute.flavor_rules.cache') as logs:
            for _ in range(5):
                self.clock.now += 5
                self.assertFalse(self._allowed())
        self.assertEqual(1, len(logs.output))
        self.assertIn('ERROR', logs.output[0])
        self.assertIn('%s, line ' % self.path, logs.output[0])

        self._deny('m2')
        self.clock.now += 5
        self.assertTrue(self._allowed())

    def test_a_second_broken_edit_is_another_error(self):
        self._deny('m1')
        self.cache.load_file()
        with self.assertLogs('nova.compute.flavor_rules.cache') as logs:
            for text in ('version: 2', 'version: 3'):
                self._write(text)
                for _ in range(2):
                    self.clock.now += 5
                    self.assertFalse(self._allowed())
        self.assertEqual(2, len(logs.output))

    def test_a_file_that_is_gone_keeps_the_last_good_rules(self):
        self._deny('m1')
        self.cache.load_file()
        os.rename(self.path, self.path + '.away')
        with self.assertLogs('nova.compute.flavor_rules.cache') as logs:
            for _ in range(3):
                self.clock.now += 5
                self.assertFalse(self._allowed())
        self.assertEqual(1, len(logs.output))
        os.rename(self.path + '.away', self.path)
        self.clock.now += 5
        with self.assertLogs('nova.compute.flavor_rules.cache', 'INFO'):
            self.assertFalse(self._allowed())

    def test_a_file_that_could_never_be_read_lets_nothing_through(self):
        self.assertRaises(cache.RulesUnavailable, self.cache.get)

    def test_a_fault_that_passes_does_not_lose_the_edit(self):
        self._deny('m1')
        self.cache.load_file()
        self._deny('m2')
        self.clock.now += 5
        with self.assertLogs('nova.compute.flavor_rules.cache',
                             'ERROR') as logs, mock.patch.object(
                rules_file, 'read', side_effect=OSError(24, 'too many')):
            for _ in range(3):
                self.clock.now += 5
                self.assertFalse(self._allowed('m1'))
        self.assertEqual(1, len(logs.output))
        self.clock.now += 5
        self.assertFalse(self._allowed('m2'))

    def test_who_comes_while_another_reads_goes_by_what_is_there(self):
        self._deny('m1')
        self.cache.load_file()
        self._deny('m2')
        self.clock.now += 5
        with self.cache._file._lock:
            self.assertFalse(self._allowed('m1'))
        self.assertFalse(self._allowed('m2'))

    def test_loading_says_what_is_wrong(self):
        self.assertRaises(FileNotFoundError, self.cache.load_file)
        self._write('version: 9')
        self.assertRaises(rules_file.InvalidRulesFile, self.cache.load_file)


class DatabaseTestCase(CacheTestCase):

    def setUp(self):
        super().setUp()
        self.flags(use_database=True, refresh_interval=5, database_timeout=2,
                   database_max_age=60, group='flavor_rules')
        self.token = 'token 1'
        self.entries = [rules.Entry(PROJECT, deny=('m1',))]
        self.asked = []
        self.fault = None
        patcher = mock.patch.object(store, 'read', new=self._read)
        patcher.start()
        self.addCleanup(patcher.stop)

    def _read(self, known_token=None):
        self.asked.append(known_token)
        if self.fault is not None:
            raise self.fault
        if known_token == self.token:
            return self.token, None
        return self.token, self.entries

    def _change(self):
        self.token = 'token 2'
        self.entries = [rules.Entry(PROJECT, deny=('m2',))]

    def test_a_change_holds_after_the_refresh_interval(self):
        self.assertFalse(self._allowed())
        self._change()
        self.clock.now += 4.9
        self.assertFalse(self._allowed())
        self.clock.now += 0.1
        self.assertTrue(self._allowed())
        self.assertFalse(self._allowed('m2'))

    def test_it_is_asked_once_in_the_refresh_interval(self):
        for _ in range(10):
            self._allowed()
        self.assertEqual([None], self.asked)

    def test_rules_that_have_not_changed_are_not_built_again(self):
        first = self.cache.get()
        self.clock.now += 5
        self.assertIs(first, self.cache.get())
        self.assertEqual([None, 'token 1'], self.asked)

    def test_the_database_wins_over_the_file_for_one_project(self):
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        path = os.path.join(folder, 'rules.yaml')
        with open(path, 'w') as stream:
            stream.write('version: 1\nprojects:\n  %s: {deny: [m9]}\n'
                         '  other: {deny: [m8]}\n' % PROJECT)
        self.flags(rules_file=path, group='flavor_rules')
        self.assertTrue(self._allowed('m9'))
        self.assertFalse(self._allowed('m1'))
        self.assertFalse(self.cache.get().decide('other', 'm8', '').allowed)

    def test_a_failure_is_logged_once_and_the_rules_are_used(self):
        self._allowed()
        self.fault = RuntimeError('no database')
        with self.assertLogs('nova.compute.flavor_rules.cache') as logs:
            for _ in range(10):
                self.clock.now += 5
                self.assertFalse(self._allowed())
        self.assertEqual(1, len(logs.output))
        self.assertIn('no database', logs.output[0])
        self.assertIn('until they are 60 seconds old', logs.output[0])

    def test_rules_are_used_until_the_set_age_and_no_longer(self):
        self._allowed()
        self.fault = RuntimeError('no database')
        self.clock.now += 60
        self.assertFalse(self._allowed())
        self.clock.now += 0.1
        self.assertRaises(cache.RulesUnavailable, self.cache.get)

    def test_it_is_asked_again_after_a_failure(self):
        self._allowed()
        self.fault = RuntimeError('no database')
        self.clock.now += 100
        self.assertRaises(cache.RulesUnavailable, self.cache.get)
        asked = len(self.asked)
        # Who comes right after it does not ask again,
        self.assertRaises(cache.RulesUnavailable, self.cache.get)
        self.assertEqual(asked, len(self.asked))
        # but soon somebody does.
        self.clock.now += 1
        self.fault = None
        with self.assertLogs('nova.compute.flavor_rules.cache',
                             'INFO') as logs:
            self.assertFalse(self._allowed())
        self.assertIn('can be read from the API database again',
                      logs.output[0])

    def test_while_rules_are_usable_a_failure_costs_one_try_an_interval(self):
        self._allowed()
        self.fault = RuntimeError('no database')
        self.clock.now += 5
        for _ in range(10):
            self._allowed()
        self.assertEqual(2, len(self.asked))

    def test_without_any_rules_nothing_gets_through(self):
        self.fault = RuntimeError('no database')
        error = self.assertRaises(cache.RulesUnavailable, self.cache.get)
        self.assertIn('no database', str(error))

    def test_a_question_that_is_cut_off_is_no_answer(self):
        # GreenletExit and eventlet's Timeout are no Exceptions.
        self.fault = SystemExit()
        self.assertRaises(cache.RulesUnavailable, self.cache.get)

    def test_no_rules_are_kept_with_an_age_of_nothing(self):
        self.flags(database_max_age=0, group='flavor_rules')
        self._allowed()
        self.clock.now += 5
        self.fault = RuntimeError('no database')
        self.assertRaises(cache.RulesUnavailable, self.cache.get)


class HungDatabaseTestCase(CacheTestCase):
    """A database that takes the question and does not answer."""

    def setUp(self):
        super().setUp()
        self.flags(use_database=True, refresh_interval=5,
                   database_timeout=0.5, database_max_age=60,
                   group='flavor_rules')
        self.entries = [rules.Entry(PROJECT, deny=('m1',))]
        self.asked = 0
        self.hung = False
        self.release = threading.Event()
        self.addCleanup(self._wait_for_threads)
        self.addCleanup(self.release.set)
        patcher = mock.patch.object(store, 'read', new=self._read)
        patcher.start()
        self.addCleanup(patcher.stop)

    @staticmethod
    def _wait_for_threads():
        for thread in threading.enumerate():
            if thread.name == 'flavor-rules':
                thread.join()

    def _read(self, known_token=None):
        self.asked += 1
        if self.hung:
            self.release.wait()
        return 'token', None if known_token == 'token' else self.entries

    def test_rules_at_hand_are_used_and_only_one_waits_for_an_answer(self):
        self._allowed()
        self.hung = True
        self.clock.now += 5
        with self.assertLogs('nova.compute.flavor_rules.cache') as logs:
            self.assertFalse(self._allowed())
            self.clock.now += 1
            question = self.cache._database._question
            with mock.patch.object(
                    question.answered, 'wait', return_value=False) as wait:
                self.assertFalse(self._allowed())
            # The time is over: nobody waits any more.
            wait.assert_called_once_with(0)
        self.assertEqual(1, len(logs.output))
        self.assertIn('no answer within 0.5 seconds', logs.output[0])
        self.assertEqual(2, self.asked)

    def test_rules_too_old_let_nothing_through(self):
        self._allowed()
        self.hung = True
        self.clock.now += 61
        self.assertRaises(cache.RulesUnavailable, self.cache.get)

    def test_a_late_answer_is_taken_if_it_is_not_too_old(self):
        self.hung = True
        self.assertRaises(cache.RulesUnavailable, self.cache.get)
        self.release.set()
        self._wait_for_threads()
        self.clock.now += 1
        self.assertFalse(self._allowed())
        self.assertEqual(1, self.asked)

    def test_after_an_answer_too_late_it_is_asked_again(self):
        self.flags(refresh_interval=0.5, group='flavor_rules')
        self.hung = True
        self.assertRaises(cache.RulesUnavailable, self.cache.get)
        self.release.set()
        self._wait_for_threads()
        self.clock.now += 1
        self.assertFalse(self._allowed())
        self.assertEqual(2, self.asked)

    def test_only_so_many_questions_are_given_up(self):
        self.hung = True
        for _ in range(10):
            self.assertRaises(cache.RulesUnavailable, self.cache.get)
            self.clock.now += 2.5
        self.assertEqual(1 + cache._MOST_GIVEN_UP, self.asked)
        self.release.set()
        self._wait_for_threads()
        self.hung = False
        self.assertFalse(self._allowed())

    def test_a_question_without_an_answer_is_given_up_for_a_new_one(self):
        self.hung = True
        self.assertRaises(cache.RulesUnavailable, self.cache.get)
        self.hung = False
        self.assertRaises(cache.RulesUnavailable, self.cache.get)
        self.clock.now += 2.5
        self.assertFalse(self._allowed())
        self.assertEqual(2, self.asked)

    def test_the_answer_to_a_question_given_up_is_not_taken(self):
        self.hung = True
        self.assertRaises(cache.RulesUnavailable, self.cache.get)
        self.hung = False
        self.clock.now += 2.5
        first = self.cache.get()
        self.entries = []
        self.release.set()
        self._wait_for_threads()
        self.assertIs(first, self.cache.get())

    def test_those_who_come_together_ask_once(self):
        self.hung = True
        self.flags(database_timeout=30, group='flavor_rules')
        answers = []
        users = [threading.Thread(
            target=lambda: answers.append(self._allowed()))
            for _ in range(5)]
        for user in users:
            user.start()
        self.release.set()
        for user in users:
            user.join()
        self.assertEqual([False] * 5, answers)
        self.assertEqual(1, self.asked)
