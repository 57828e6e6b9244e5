"""Calls of Nova's database API, in a process of the Nova that makes them.

A program of its own, run as Cell.call() does: its arguments are Nova's
configuration file and a JSON list of calls, each a function here with its
arguments. It prints the JSON list of what they return.

Servers are called by the names that they are shown with; the database wants a
uuid.
"""

import json
import sys
import time
import uuid

# Before anything else of Nova, as in its services.
import nova.monkey_patch  # noqa: F401

from nova import config
from nova import context as nova_context
from nova.db.main import api as db
from nova import objects
import sqlalchemy as sa


def create(context, name, specs, host='host1'):
    """Write a server with a flavor of these extra specs."""
    db.instance_create(context, {
        'uuid': _uuid(name), 'display_name': name, 'host': host, 'node': host,
        'vm_state': 'active', 'extra': {'flavor': _flavor(specs)}})


def resize(context, name, specs):
    db.instance_extra_update_by_uuid(
        context, _uuid(name), {'flavor': _flavor(specs)})


def delete(context, name):
    db.instance_destroy(context, _uuid(name))


def _uuid(name):
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, name))


def _flavor(specs):
    return json.dumps({
        'cur': objects.Flavor(name='f', extra_specs=specs).obj_to_primitive(),
        'old': None, 'new': None})


# Those below are of the fork alone.

def count(context, tag):
    """What the scheduler counts: by host, and how many are not filled in."""
    from nova.db.mycompany import business_spread
    counts, unfilled = business_spread.count_by_node(context, tag)
    return [{host: found for (host, _node), found in counts.items()}, unfilled]


def explain_count(context, tag, words='GROUP BY'):
    """How the database answers the grouped count: rows of EXPLAIN.

    :param words: of the statement that is meant, among those of a count
    """
    from nova.db.mycompany import business_spread
    asked = []

    @sa.event.listens_for(
        db.get_engine(), 'before_cursor_execute', named=True)
    def record(statement, parameters, **_):
        if words in statement:
            asked.append((statement, parameters))

    business_spread.count_by_node(context, tag, _uuid('other'))
    (statement, parameters), = asked
    with db.get_engine().connect() as connection:
        return [dict(row) for row in connection.exec_driver_sql(
            'EXPLAIN ' + statement, parameters).mappings()]


def choose(context, cells, specs):
    """What BusinessSpreadFilter leaves of one host for each cell.

    :param cells: the URLs of their databases by the names of their hosts
    :returns: names of hosts, and how many seconds that took
    """
    from nova.scheduler.filters import business_spread_filter
    from nova.scheduler import host_manager
    # All that the scheduler knows; they are in no API database.
    nova_context.CELLS = [objects.CellMapping(
        uuid=_uuid(host), name=host, transport_url='none:///',
        database_connection=url) for host, url in cells.items()]
    hosts = [host_manager.HostState(host, host, _uuid(host)) for host in cells]
    started = time.monotonic()
    passing = business_spread_filter.BusinessSpreadFilter().filter_all(
        hosts, objects.RequestSpec(
            instance_uuid=_uuid('new'),
            flavor=objects.Flavor(name='f', extra_specs=specs)))
    return [[host.host for host in passing], time.monotonic() - started]


def main(conf, calls):
    config.parse_args(['nova', '--config-file', conf])
    objects.register_all()
    context = nova_context.get_admin_context()
    print(json.dumps([globals()[name](context, *arguments)
                      for name, *arguments in json.loads(calls)]))


if __name__ == '__main__':
    main(*sys.argv[1:])
