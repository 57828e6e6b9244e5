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

"""Queries of business tags in a cell's database.

Each is a fixed number of statements for a cell, however many hosts and servers
it has.
"""

import collections

import sqlalchemy as sa

from nova.compute import task_states
from nova.db.main import api as main_db_api
from nova.db.main import models
from nova.db.mycompany import business_tag

# As upstream's migration_get_in_progress_by_host_and_node.
_ENDED = sorted(('confirmed', 'reverted', 'error', 'failed', 'completed',
                 'cancelled', 'done'))

_RESIZING = (task_states.RESIZE_PREP, task_states.RESIZE_MIGRATING,
             task_states.RESIZE_MIGRATED, task_states.RESIZE_FINISH)

# What the rows of count_by_node are.
_OF_TAG, _OF_NONE, _LEFT_OUT = range(3)


def _settled(*conditions):
    """The grouped count, of the nodes that meet conditions.

    One statement, each part of which is answered by an index alone. Asked for
    both tags with OR, a database may go through all servers.
    """
    placed = _instances.deleted == 0, _instances.host.isnot(None)
    by_node = _instances.host, _instances.node
    of_tag = sa.select(*by_node, sa.func.count(), sa.literal(_OF_TAG)).where(
        _instances.business_tag == sa.bindparam('tag'), *placed,
    ).group_by(*by_node)
    if conditions:
        of_tag = of_tag.having(*conditions)
    of_none = sa.select(
        sa.null(), sa.null(), sa.func.count(), sa.literal(_OF_NONE),
    ).where(_instances.business_tag.is_(None), *placed)
    left_out = sa.select(*by_node, sa.literal(1), sa.literal(_LEFT_OUT)).where(
        _instances.uuid == sa.bindparam('leave_out'),
        _instances.business_tag == sa.bindparam('tag'), *placed)
    return sa.union_all(of_tag, of_none, left_out)


def _moving():
    """The moves that are under way, with their servers, if these have the tag
    or may get it.

    Most moves have ended, and rows of them stay for years. The others are
    found between them in the index: asked with NOT IN, SQLite would look at
    all. Their servers then are looked up one by one. Through COALESCE no index
    answers which of them matter, or a database may begin with all servers of
    the tag.
    """
    status = _migrations.status
    gaps = [status < _ENDED[0], *(
        sa.and_(status > low, status < high)
        for low, high in zip(_ENDED, _ENDED[1:])), status > _ENDED[-1]]
    moves = sa.union_all(*(sa.select(
        _migrations.instance_uuid,
        _migrations.source_compute, _migrations.source_node,
        _migrations.dest_compute, _migrations.dest_node,
    ).where(_migrations.deleted == 0, gap) for gap in gaps)).subquery('moves')
    return sa.select(
        _instances.uuid, _instances.deleted, _instances.business_tag,
        _instances.task_state, _instances.host, _instances.node,
        moves.c.source_compute, moves.c.source_node,
        moves.c.dest_compute, moves.c.dest_node,
    ).where(
        _instances.uuid == moves.c.instance_uuid,
        sa.or_(
            sa.func.coalesce(_instances.business_tag, '') ==
            sa.bindparam('tag'),
            sa.func.coalesce(_instances.task_state, '').in_(_RESIZING)))


# What every request asks. The statements are made once: to put them together
# takes longer than most databases take to answer them.
_instances = models.Instance.__table__.c
_migrations = models.Migration.__table__.c

_SETTLED = _settled()
_SETTLED_AT_LEAST = _settled(sa.or_(
    sa.func.count() >= sa.bindparam('at_least'),
    _instances.host.in_(sa.bindparam('moving', expanding=True))))
_MOVING = _moving()


@main_db_api.pick_context_manager_reader
def count_by_node(context, tag, leave_out=None, at_least=1):
    """How many servers of a tag hold a slot on each node of a cell.

    A server that moves holds one at its destination too, and one that may be
    reverted at its source.

    :param context: targeted at the cell
    :param leave_out: uuid of a server that is not counted
    :param at_least: nodes that hold fewer need not be told. In a large cloud
        nearly all do, and to fetch each of them would take most of the time
    :returns: the counts by (host, node), which are too low for the nodes that
        need not be told; and how many servers on hosts nobody has looked at
        yet (they are counted all the same)
    """
    counts = _count_moving(context, tag, leave_out)
    # What the moves add to a node may make it one to be told.
    hosts = {host for host, _node in counts}
    settled, unfilled = _count_settled(context, tag, leave_out, at_least,
                                       hosts)
    if unfilled:
        if at_least > 1:
            # So may these, on any node; but only until they are filled in.
            settled, unfilled = _count_settled(context, tag, leave_out)
        counts.update(_count_unfilled(context, tag, leave_out))
    counts.update(settled)
    return counts, unfilled


def _count_settled(context, tag, leave_out, at_least=1, hosts=()):
    """Count the servers by the column alone.

    :param hosts: whose nodes are told, whatever they hold
    :returns: as count_by_node
    """
    counts, unfilled = collections.Counter(), 0
    for host, node, count, kind in context.session.execute(
            _SETTLED_AT_LEAST if at_least > 1 else _SETTLED,
            {'tag': tag, 'leave_out': leave_out, 'at_least': at_least,
             'moving': sorted(hosts) or [None]}):
        if kind == _OF_NONE:
            unfilled = count
        else:
            counts[host, node] += count if kind == _OF_TAG else -count
    return counts, unfilled


def _count_unfilled(context, tag, leave_out):
    """Count the servers whose tag is only in their flavor as yet."""
    counts = collections.Counter()
    instance, extra = models.Instance, models.InstanceExtra
    for host, node, uuid, flavor in context.session.query(
        instance.host, instance.node, instance.uuid, extra.flavor,
    ).join(extra, extra.instance_uuid == instance.uuid).filter(
        instance.deleted == 0,
        instance.business_tag.is_(None),
        instance.host.isnot(None),
        extra.flavor.like('%business\\_tag%', escape='\\'),
    ):
        if uuid != leave_out and business_tag.of_flavor_info(flavor) == tag:
            counts[host, node] += 1
    return counts


def _count_moving(context, tag, leave_out):
    """Count the second slots of the servers that move."""
    counts = collections.Counter()
    # Destinations of those that may get the tag by a resize.
    resizing = {}
    for uuid, deleted, found, task, host, node, *ends in (
            context.session.execute(_MOVING, {'tag': tag})):
        if deleted or uuid == leave_out:
            continue
        source, dest = tuple(ends[:2]), tuple(ends[2:])
        if found == tag:
            for end in {source, dest} - {(host, node)}:
                if None not in end:
                    counts[end] += 1
        elif task in _RESIZING and None not in dest:
            resizing[uuid] = dest
    if resizing:
        extra = models.InstanceExtra
        for uuid, flavor in context.session.query(
            extra.instance_uuid, extra.flavor,
        ).filter(
            extra.instance_uuid.in_(resizing),
            extra.flavor.like('%business\\_tag%', escape='\\'),
        ):
            if business_tag.of_flavor_info(flavor, 'new') == tag:
                counts[resizing[uuid]] += 1
    return counts


@main_db_api.pick_context_manager_reader
def count_unfilled(context):
    """How many servers of a cell nobody has looked at yet."""
    instance = models.Instance
    return context.session.query(sa.func.count(instance.id)).filter(
        instance.deleted == 0, instance.business_tag.is_(None)).scalar()


def _flavors(context, *filters):
    instance, extra = models.Instance, models.InstanceExtra
    return context.session.query(
        instance.id, instance.business_tag, extra.flavor,
    ).outerjoin(extra, extra.instance_uuid == instance.uuid).filter(
        *filters).order_by(instance.id)


def _set(context, ids_by_tag):
    instance = models.Instance
    for tag, ids in ids_by_tag.items():
        context.session.query(instance).filter(instance.id.in_(ids)).update({
            instance.business_tag: tag,
            instance.updated_at: instance.updated_at,
        }, synchronize_session=False)


@main_db_api.pick_context_manager_writer
def fill(context, max_count):
    """Fill in the tag of servers nobody has looked at yet.

    :param max_count: of the servers to look at
    :returns: how many were found and how many of them are done now, as
        nova-manage db online_data_migrations wants it. Each call goes on
        where the last one ended, whoever made it
    """
    instance = models.Instance
    found = _flavors(
        context, instance.deleted == 0, instance.business_tag.is_(None),
    ).limit(max_count).all()
    ids_by_tag = collections.defaultdict(list)
    for id_, _tag, flavor in found:
        # A server without a flavor is older than any tag.
        ids_by_tag[business_tag.of_flavor_info(flavor) or ''].append(id_)
    _set(context, ids_by_tag)
    return len(found), len(found)


@main_db_api.pick_context_manager_writer
def repair(context, after, max_count, dry_run=False):
    """Compare the tags of servers with their flavors, and set those that
    differ.

    :param after: id of the last server looked at, 0 to begin
    :param max_count: of the servers to look at
    :returns: the id of the last server looked at, None when there are no
        more; and how many differed
    """
    instance = models.Instance
    rows = _flavors(context, instance.deleted == 0,
                    instance.id > after).limit(max_count).all()
    ids_by_tag = collections.defaultdict(list)
    for id_, tag, flavor in rows:
        true = business_tag.of_flavor_info(flavor) or ''
        if tag != true:
            ids_by_tag[true].append(id_)
    if not dry_run:
        _set(context, ids_by_tag)
    return (rows[-1][0] if rows else None,
            sum(map(len, ids_by_tag.values())))


@main_db_api.pick_context_manager_reader
def crowded(context, floor):
    """The nodes with more servers of one tag than a number.

    :returns: rows of tag, host, node, count
    """
    instance = models.Instance
    return [tuple(row) for row in context.session.query(
        instance.business_tag, instance.host, instance.node, sa.func.count(),
    ).filter(
        instance.deleted == 0, instance.business_tag > '',
        instance.host.isnot(None),
    ).group_by(instance.business_tag, instance.host, instance.node).having(
        sa.func.count() > floor)]


@main_db_api.pick_context_manager_reader
def flavors_on(context, tag, host, node):
    """The servers of a tag on a node.

    :returns: pairs of uuid and the JSON of the flavor
    """
    instance, extra = models.Instance, models.InstanceExtra
    return [tuple(row) for row in context.session.query(
        instance.uuid, extra.flavor,
    ).outerjoin(extra, extra.instance_uuid == instance.uuid).filter(
        instance.deleted == 0, instance.business_tag == tag,
        instance.host == host, instance.node == node,
    ).order_by(instance.id)]
