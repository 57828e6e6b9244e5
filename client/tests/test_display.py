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

from osc_mycompany_metrics import display


def row(name, cpu):
    return ('id-' + name, name, cpu, None, None, None, None, None, None, '')


def metrics(**groups):
    return dict({
        'server_id': 'x', 'window_seconds': 10.0,
        'cpu': {'utilisation': 1.5},
        'memory': {'allocated_bytes': 1, 'rss_bytes': 2},
        'disks': [], 'interfaces': []}, **groups)


class HumanTestCase(unittest.TestCase):

    def test_bytes_get_a_binary_unit(self):
        for value, text in ((0, '0 B'), (1023, '1023 B'), (1024, '1.0 KiB'),
                            (3 * 2 ** 29, '1.5 GiB'), (2 ** 41, '2.0 TiB'),
                            (2 ** 52, '4096.0 TiB')):
            with self.subTest(value):
                self.assertEqual(text, display.human(value, 'rss_bytes'))

    def test_the_unit_is_that_of_the_name(self):
        for name, text in (('cpu_utilisation', '1500.0'),
                           ('read_bytes_per_second', '1.5 KiB/s'),
                           ('read_requests_per_second', '1536.0/s'),
                           ('window_seconds', '1536.0 s'),
                           ('vcpus', '1536')):
            with self.subTest(name):
                self.assertEqual(text, display.human(
                    1500 if name == 'cpu_utilisation' else 1536, name))

    def test_nanoseconds_become_seconds(self):
        self.assertEqual('1.5 s', display.human(1500000000, 'cpu_time_ns'))

    def test_what_is_not_known_is_no_zero(self):
        self.assertEqual('-', display.human(None, 'rss_bytes'))
        self.assertEqual('-', display.human([], 'disks'))

    def test_each_device_has_its_figures_with_their_units(self):
        self.assertEqual(
            'device: vda\nread_bytes: 4.0 KiB\ndevice: vdb\nread_bytes: -',
            display.human([{'device': 'vda', 'read_bytes': 4096},
                           {'device': 'vdb', 'read_bytes': None}], 'disks'))


class FigureTestCase(unittest.TestCase):

    def test_machines_get_the_plain_value(self):
        self.assertEqual(
            4096, display.Figure(4096, 'rss_bytes').machine_readable())

    def test_what_is_not_known_sorts_before_all_else(self):
        figures = [display.Figure(value, 'rss_bytes') for value in (1, None)]
        self.assertEqual(figures[::-1], sorted(figures))


class FlatTestCase(unittest.TestCase):

    def test_a_group_is_in_the_names_of_its_figures(self):
        self.assertEqual(
            [('version', '1.1'), ('memory_rss_bytes', 5), ('disks', [])],
            display.flat({'version': '1.1', 'memory': {'rss_bytes': 5},
                          'disks': []}))


class RowsTestCase(unittest.TestCase):

    def _read(self, **groups):
        row, = display.rows([metrics(**groups)], [], {})
        return row[display.SORTS['read']]

    def _disks(self, *rates):
        return [{'read_bytes_per_second': rate, 'write_bytes_per_second': 0}
                for rate in rates]

    def test_a_rate_is_that_of_all_disks_together(self):
        self.assertEqual(7.0, self._read(disks=self._disks(3.0, 4.0)))

    def test_a_rate_is_not_known_when_that_of_a_disk_is_not(self):
        self.assertIsNone(self._read(disks=self._disks(3.0, None)))

    def test_a_server_without_disks_reads_nothing(self):
        self.assertEqual(0, self._read())

    def test_without_a_window_there_is_no_rate(self):
        self.assertIsNone(self._read(window_seconds=None))

    def test_a_server_without_metrics_has_a_row_that_says_why(self):
        row, = display.rows([], [{'server_id': 'x', 'code': 409,
                                  'message': 'stopped'}], {'x': 'web'})
        self.assertEqual(('x', 'web', *[None] * 7, 'stopped'), row)
        self.assertEqual(len(display.COLUMNS), len(row))


class SortTestCase(unittest.TestCase):

    def _names(self, *how):
        rows = [row('b', 2.0), row('c', None), row('a', 3.0)]
        return [one[1] for one in display.sort(rows, *how)]

    def test_the_busiest_comes_first(self):
        self.assertEqual(['a', 'b', 'c'], self._names('cpu'))

    def test_names_go_up(self):
        self.assertEqual(['a', 'b', 'c'], self._names('name'))
        self.assertEqual(['c', 'b', 'a'], self._names('name', False))

    def test_what_is_not_known_is_last_either_way(self):
        self.assertEqual(['b', 'a', 'c'], self._names('cpu', True))

    def test_each_key_is_a_column(self):
        for key, column in display.SORTS.items():
            self.assertTrue(display.COLUMNS[column].lower().startswith(key))

    def test_a_key_may_have_a_way(self):
        self.assertEqual(('cpu', None), display.parse_sort('cpu'))
        self.assertEqual(('rx', True), display.parse_sort('rx:asc'))
        self.assertEqual(('rx', False), display.parse_sort('rx:desc'))

    def test_another_key_is_refused_with_those_there_are(self):
        for text in ('size', 'cpu:up'):
            with self.assertRaisesRegex(argparse.ArgumentTypeError,
                                        text + ': .*cpu, memory'):
                display.parse_sort(text)
