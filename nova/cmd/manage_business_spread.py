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

"""nova-manage business_spread: report and repair; and the upgrade check.

Answers go to standard output, faults and warnings to standard error. What
every command returns is in its description.
"""

import sys

from oslo_db import exception as db_exc
from oslo_serialization import jsonutils
from oslo_upgradecheck import upgradecheck
import prettytable

from nova.cmd import common as cmd_common
from nova.compute.business_spread import spec
from nova import context as nova_context
from nova.db.mycompany import business_spread as queries
from nova.db.mycompany import business_tag
from nova.i18n import _
from nova import objects

# Servers looked at in one transaction.
_BATCH = 1000


def _cells():
    """Contexts of all cells but cell0, whose servers are on no host."""
    admin = nova_context.get_admin_context()
    for cell in objects.CellMappingList.get_all(admin):
        if not cell.is_cell0():
            with nova_context.target_cell(admin, cell) as context:
                yield cell, context


def _limit_of(flavor):
    """The limit that a server's flavor sets, None if it cannot be told."""
    try:
        data = jsonutils.loads(flavor)['cur']['nova_object.data']
        return spec.spread_of(data['extra_specs']).limit
    except (spec.InvalidSpread, ValueError, KeyError, TypeError,
            AttributeError):
        return None


class BusinessSpreadCommands:
    """Servers spread over hosts by business tag."""

    @cmd_common.action_description("""List the hosts that hold more servers of
a business tag than one of these servers allows, such as after an evacuation or
a change of a limit. Returns 0 when there are none, 1 when there are, 2 when a
cell could not be asked.""")
    @cmd_common.args('--json', action='store_true', dest='as_json',
                     help='As JSON, with the servers.')
    def report(self, as_json=False):
        rows, failed = [], False
        for cell, context in _cells():
            try:
                rows.extend(self._over_limit(cell, context))
            except (db_exc.DBError, db_exc.CantStartEngineError) as error:
                print(_('Cell %(cell)s cannot be asked: %(error)s') % {
                    'cell': cell.identity, 'error': error}, file=sys.stderr)
                failed = True
        rows.sort(key=lambda row: (row['tag'], row['host'], row['node']))
        if as_json:
            print(jsonutils.dumps(rows, indent=4))
        elif rows:
            table = prettytable.PrettyTable(
                ['Tag', 'Host', 'Node', 'Servers', 'Limit'])
            table.align = 'l'
            for row in rows:
                table.add_row([row['tag'], row['host'], row['node'],
                               len(row['servers']), row['limit']])
            print(table)
        else:
            print(_('No host is over the limit'))
        if failed:
            return 2
        return 1 if rows else 0

    @staticmethod
    def _over_limit(cell, context):
        unfilled = queries.count_unfilled(context)
        if unfilled:
            print(_('Warning: in cell %(cell)s the business tag of %(count)d '
                    'servers is not filled in yet, and they are missing '
                    'here: run nova-manage db online_data_migrations') % {
                        'cell': cell.identity, 'count': unfilled},
                  file=sys.stderr)
        # Nobody's limit is below 1.
        for tag, host, node, count in queries.crowded(context, 1):
            servers = queries.flavors_on(context, tag, host, node)
            limits = {_limit_of(flavor) for _uuid, flavor in servers} - {None}
            if limits and len(servers) > min(limits):
                yield {'tag': tag, 'cell': cell.identity, 'host': host,
                       'node': node, 'limit': min(limits),
                       'servers': [uuid for uuid, _flavor in servers]}

    @cmd_common.action_description("""Compare the business tag of every server
with its flavor, and set those that differ: needed once after stock Nova has
resized servers on this database. Returns 0, or 2 when a cell could not be
asked.""")
    @cmd_common.args('--dry-run', action='store_true', dest='dry_run',
                     help='Only say how many differ.')
    def repair(self, dry_run=False):
        failed = False
        for cell, context in _cells():
            try:
                after, differ = 0, 0
                while after is not None:
                    after, count = queries.repair(
                        context, after, _BATCH, dry_run)
                    differ += count
                    if sys.stderr.isatty():
                        print('\r%s: %s' % (cell.identity, after or ''),
                              end='', file=sys.stderr)
            except (db_exc.DBError, db_exc.CantStartEngineError) as error:
                print(_('Cell %(cell)s cannot be asked: %(error)s') % {
                    'cell': cell.identity, 'error': error}, file=sys.stderr)
                failed = True
                continue
            print(_('Cell %(cell)s: %(count)d business tags %(done)s') % {
                'cell': cell.identity, 'count': differ,
                'done': 'differ' if dry_run else 'set'})
        return 2 if failed else 0


def populate_business_tag(context, max_count):
    """Fill in the business tag of servers older than the column.

    For nova-manage db online_data_migrations.

    :returns: how many were found, and how many are done
    """
    return queries.fill(context, max_count)


def check_upgrade(_commands):
    """Say how many servers have no business tag filled in yet.

    For nova-status upgrade check.
    """
    unfilled = {}
    for cell, context in _cells():
        try:
            count = queries.count_unfilled(context)
        except (db_exc.DBError, db_exc.CantStartEngineError) as error:
            return upgradecheck.Result(upgradecheck.Code.FAILURE, _(
                'The column %(column)s cannot be read in cell %(cell)s: '
                '%(error)s. Has nova-manage db sync been run for it?') % {
                    'column': 'instances.%s' % business_tag.COLUMN,
                    'cell': cell.identity, 'error': error})
        if count:
            unfilled[cell.identity] = count
    if unfilled:
        return upgradecheck.Result(upgradecheck.Code.WARNING, _(
            'The business tag of some servers is not filled in yet (%s). They '
            'are counted all the same, but slowly. Run nova-manage db '
            'online_data_migrations.') % ', '.join(
                'cell %s: %d' % pair for pair in sorted(unfilled.items())))
    return upgradecheck.Result(upgradecheck.Code.SUCCESS)
