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

import argparse
import unittest
from unittest import mock

from osc_mycompany_metrics import api
from osc_mycompany_metrics import watch


def row(name, cpu, note=''):
    return ('id-%s' % name, name, cpu, *[1024] * 6, note)


class View:
    """It keeps what it is shown, and presses one key after the other."""

    def __init__(self, keys=()):
        self._keys = iter(keys)
        self.shown = []
        self.waits = []

    def show(self, status, table):
        self.shown.append((status, table))

    def wait(self, seconds):
        self.waits.append(seconds)
        return next(self._keys, None)

    def order(self, number=-1):
        return [line.split()[0] for line in self.shown[number][1][1:]]


class WatchTestCase(unittest.TestCase):

    def _run(self, answers, keys=(), **args):
        chosen = mock.Mock()
        chosen.rows.side_effect = answers
        view = View(keys)
        watch.Watch(chosen, view, argparse.Namespace(**{
            'interval': 5, 'count': len(answers), 'limit': None, 'raw': False,
            'sort': ('cpu', None), **args})).run()
        return view

    def test_it_looks_as_often_as_it_is_told(self):
        view = self._run([[row('a', 1.0)], [row('b', 1.0)]])
        self.assertEqual([['a'], ['b']], [view.order(0), view.order(1)])

    def test_a_failure_leaves_what_is_there_and_says_why(self):
        view = self._run([[row('a', 1.0)], api.MetricsError('busy', 503)])
        self.assertEqual(['a'], view.order())
        self.assertIn('busy', view.shown[-1][0][1])

    def test_the_failure_is_forgotten_with_the_next_answer(self):
        view = self._run([api.MetricsError('busy', 503), [row('a', 1.0)]])
        self.assertEqual(2, len(view.shown[0][0]))
        self.assertEqual(1, len(view.shown[1][0]))

    def test_it_waits_as_long_as_the_api_asks_for(self):
        view = self._run([api.MetricsError('busy', 503, 60), []])
        self.assertGreater(view.waits[0], 50)

    def test_a_failure_that_stays_ends_it(self):
        with self.assertRaisesRegex(api.MetricsError, 'forbidden'):
            self._run([api.MetricsError('forbidden', 403)])

    def test_a_key_sorts_without_another_look(self):
        view = self._run([[row('a', 1.0), row('b', 2.0)]], keys='nq',
                         count=None)
        self.assertEqual([['b', 'a'], ['a', 'b']],
                         [view.order(0), view.order(1)])

    def test_v_turns_the_order_round(self):
        rows = [row('a', 1.0), row('b', 2.0)]
        view = self._run([rows], keys='vvnvq', count=None)
        self.assertEqual(
            [['b', 'a'], ['a', 'b'], ['b', 'a'], ['a', 'b'], ['b', 'a']],
            [view.order(number) for number in range(5)])

    def test_the_limit_is_one_of_what_is_sorted(self):
        view = self._run([[row('a', 1.0), row('b', 2.0)]], limit=1)
        self.assertEqual(['b'], view.order())


class TableTestCase(unittest.TestCase):

    def test_columns_are_in_line(self):
        lines = watch.table([row('a', 1.0, 'x'), row('longer', 100.0, 'y')])
        self.assertEqual(1, len({line.index(note) for line, note in zip(
            lines[1:], 'xy')}))

    def test_a_server_of_unknown_name_is_shown_by_its_id(self):
        self.assertIn('id-', watch.table([('id-x', None, *row('', 1)[2:])])[1])

    def test_a_name_is_no_command_of_the_terminal(self):
        self.assertNotIn('\x1b', ''.join(
            watch.table([row('\x1b[2Jweb', 1.0, '\x1b]0;title\x07')])))

    def test_raw_is_plain_numbers(self):
        self.assertIn(' 1024 ', watch.table([row('a', 1.0)], raw=True)[1])


class ArgumentsTestCase(unittest.TestCase):

    def test_no_interval_is_too_short_to_be_kind_to_the_api(self):
        for text in ('0.5', '-1', 'nan'):
            with self.assertRaises(argparse.ArgumentTypeError):
                watch._interval(text)
        self.assertEqual(1.5, watch._interval('1.5'))
