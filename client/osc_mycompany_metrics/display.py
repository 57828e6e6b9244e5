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

"""How metrics are shown: rows of a table, and figures with their units.

The API names its figures by their units, and what is shown goes by the names:
a figure that a later 1.x of the API adds is shown as well.
"""

import argparse

from cliff import columns

COLUMNS = ('ID', 'Name', 'CPU %', 'Memory', 'RSS', 'Read/s', 'Write/s',
           'Rx/s', 'Tx/s', 'Note')

# What a table can be sorted by, and in which of its columns that is.
SORTS = {'cpu': 2, 'memory': 3, 'rss': 4, 'read': 5, 'write': 6, 'rx': 7,
         'tx': 8, 'name': 1}
DEFAULT_SORT = 'cpu'

# What is not known. Never a 0, which would be a figure.
UNKNOWN = '-'

# Of what a row's figures are, in the order of COLUMNS from 'CPU %' on.
_KINDS = ('utilisation', 'bytes', 'bytes', 'bytes_per_second',
          'bytes_per_second', 'bytes_per_second', 'bytes_per_second')


class Figure(columns.FormattableColumn):
    """A figure, or what is made of some: with units for people.

    :param kind: its name in the API, the end of which is its unit
    """

    def __init__(self, value, kind):
        super().__init__(value)
        self._kind = kind

    def __eq__(self, other):
        return super().__eq__(other) and self._kind == other._kind

    def __lt__(self, other):
        return _order(self._value) < _order(other._value)

    def human_readable(self):
        return human(self._value, self._kind)


def _order(value):
    """What is not known is less than all else."""
    return (value is not None, value)


def human(value, kind=''):
    """A figure as text: 1.5 MiB of 1572864 bytes.

    :param kind: its name in the API, the end of which is its unit
    """
    if value is None:
        return UNKNOWN
    if isinstance(value, list):
        return '\n'.join(human(item) for item in value) or UNKNOWN
    if isinstance(value, dict):
        return '\n'.join('%s: %s' % (name, human(part, name))
                         for name, part in value.items())
    if kind.endswith('utilisation'):
        return '%.1f' % value
    if kind.endswith('bytes_per_second'):
        return _binary(value) + '/s'
    if kind.endswith('bytes'):
        return _binary(value)
    if kind.endswith('_per_second'):
        return '%.1f/s' % value
    if kind.endswith('time_ns'):
        return '%.1f s' % (value / 1e9)
    if kind.endswith('_seconds'):
        return '%.1f s' % value
    return str(value)


def _binary(value):
    """A number of bytes: 1023 B, 1.0 KiB, 1.5 GiB."""
    for unit in ('B', 'KiB', 'MiB', 'GiB'):
        if abs(value) < 1024:
            break
        value /= 1024
    else:
        unit = 'TiB'
    return ('%d %s' if unit == 'B' else '%.1f %s') % (value, unit)


def flat(metrics):
    """The metrics of a server as pairs of name and figure.

    What is grouped has its group in its name: memory_rss_bytes. Disks,
    interfaces and vCPUs stay lists.
    """
    pairs = []
    for name, value in metrics.items():
        if isinstance(value, dict):
            pairs += [('%s_%s' % (name, inner), part)
                      for inner, part in value.items()]
        else:
            pairs.append((name, value))
    return pairs


def rows(found, missing, names):
    """The rows of the table, plain: what COLUMNS names.

    :param found: metrics of servers
    :param missing: what the API says of servers that have none
    :param names: of servers, by id
    """
    return [_row(one, names) for one in found] + [
        (one['server_id'], names.get(one['server_id']),
         *[None] * len(_KINDS), one['message']) for one in missing]


def _row(one, names):
    return (one['server_id'], names.get(one['server_id']),
            one['cpu']['utilisation'],
            one['memory']['allocated_bytes'], one['memory']['rss_bytes'],
            _sum(one, 'disks', 'read_bytes_per_second'),
            _sum(one, 'disks', 'write_bytes_per_second'),
            _sum(one, 'interfaces', 'rx_bytes_per_second'),
            _sum(one, 'interfaces', 'tx_bytes_per_second'), '')


def _sum(one, group, name):
    """A rate of all disks or interfaces; None when any is not known."""
    rates = [device[name] for device in one[group]]
    if one['window_seconds'] is None or None in rates:
        return None
    return sum(rates)


def sort(rows, by, ascending=None):
    """The rows in order, and those of which that figure is not known last.

    :param by: a key of SORTS
    :param ascending: unless told, names go up and figures go down
    """
    column = SORTS[by]
    if ascending is None:
        ascending = by == 'name'
    known = [row for row in rows if row[column] is not None]
    unknown = [row for row in rows if row[column] is None]
    return sorted(known, key=lambda row: row[column],
                  reverse=not ascending) + unknown


def parse_sort(text):
    """The arguments of sort() for KEY or KEY:asc or KEY:desc."""
    by, _, way = text.partition(':')
    if by not in SORTS or way not in ('', 'asc', 'desc'):
        raise argparse.ArgumentTypeError(
            '%s: expected one of %s, with :asc or :desc after it or nothing'
            % (text, ', '.join(SORTS)))
    return by, (way == 'asc') if way else None


def figures(row):
    """A row for cliff: with units in a table, plain for machines."""
    return (*row[:2], *map(Figure, row[2:-1], _KINDS), row[-1])


def texts(row, raw=False):
    """A row as strings, for a table of our own."""
    if raw:
        return [UNKNOWN if cell is None else str(cell) for cell in row]
    return [human(cell, kind) for cell, kind in zip(
        row, ('', '', *_KINDS, ''))]
