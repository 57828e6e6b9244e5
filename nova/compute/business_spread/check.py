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

"""The check on the compute node, the last word on every way onto a host.

Schedulers may race, and a forced host skips their filters. So nova-compute
counts again when it has claimed a server's resources, under a lock per node
and tag, and refuses what would pass the limit.

A claim is seen by others before it is checked: several servers that contend
for one slot all see each other, and if each counted the others they would all
be refused. Hence a server on its way here counts only once this process has
*admitted* it: who gets the lock first has the slot. All servers on their way
to a host pass through its one nova-compute, so its memory is enough. When it
restarts, servers that were being built are put in error by Nova; what else was
on its way since before the start counts as admitted.

No API database is asked, so this works in cells without upcalls too.
"""

import threading
import weakref

from oslo_log import log as logging
from oslo_utils import timeutils

from nova.compute.business_spread import spec
from nova.compute import task_states
from nova.compute import vm_states
from nova import exception
from nova.i18n import _
from nova import objects
from nova import utils

LOG = logging.getLogger(__name__)

# nova-compute imports this when it starts.
_STARTED = timeutils.utcnow()

# By ComputeManager and node: uuids of the servers admitted that are, as far
# as is known, still on their way.
_ADMITTED: 'weakref.WeakKeyDictionary' = weakref.WeakKeyDictionary()
_ADMITTED_LOCK = threading.Lock()


# A build takes the first for a lost race, which is rescheduled and does not
# count as a failed build; resize and live migration look for the second.
class BusinessSpreadViolation(exception.GroupAffinityViolation,
                              exception.RescheduledException):
    msg_fmt = _("Host %(host)s already holds %(count)d servers with the "
                "business tag %(tag)s, and at most %(limit)d are allowed")


class InvalidBusinessSpread(BusinessSpreadViolation):
    msg_fmt = _("The flavor's business tag cannot be used: %(reason)s")


def check(manager, context, instance):
    """Refuse a server whose tag has no room left on this host.

    For all ways but a resize, which comes with another flavor: see
    check_resize.

    :param manager: the ComputeManager that is to take the server in
    :raises BusinessSpreadViolation: there are too many already
    """
    spread = _spread_of(instance, instance.flavor)
    if spread is None:
        return
    # The claim has set the node of a build and an unshelve; what moves here
    # still has that of its source.
    node = (instance.node if instance.host == manager.host
            else manager._get_nodename(instance))
    _check(manager, context, instance, spread, node)


def check_resize(manager, context, instance, flavor, node):
    """Refuse a server to be resized or migrated to this host.

    :param flavor: the one that the server will have
    :raises InstanceFaultRollback: there are too many already; the server
        stays as it is
    """
    try:
        spread = _spread_of(instance, flavor)
        if spread is not None:
            _check(manager, context, instance, spread, node)
    except BusinessSpreadViolation as error:
        raise exception.InstanceFaultRollback(inner_exception=error)


def _spread_of(instance, flavor):
    try:
        return spec.spread_of(flavor.extra_specs)
    except spec.InvalidSpread as error:
        raise InvalidBusinessSpread(
            instance_uuid=instance.uuid, reason=str(error))


def _check(manager, context, instance, spread, node):
    @utils.synchronized('business-spread-%s-%s-%s' % (
        manager.host, node, spread.tag))
    def check_and_admit():
        with _ADMITTED_LOCK:
            admitted = _ADMITTED.setdefault(manager, {}).setdefault(
                (node, spread.tag), set())
        count = _count(context, manager.host, node, spread.tag,
                       instance.uuid, admitted)
        if count >= spread.limit:
            admitted.discard(instance.uuid)
            raise BusinessSpreadViolation(
                instance_uuid=instance.uuid, host=manager.host, count=count,
                tag=spread.tag, limit=spread.limit,
                # Read by the handler of RescheduledException.
                reason=_('too many servers with business tag %s') %
                spread.tag)
        admitted.add(instance.uuid)

    check_and_admit()


def _count(context, host, node, tag, leave_out, admitted):
    """How many servers of the tag hold a slot here, but for one.

    :param admitted: uuids of the servers on their way that count; those that
        have arrived, or are not coming any more, are taken out
    """
    here = objects.InstanceList.get_by_host_and_node(
        context, host, node, expected_attrs=['flavor'])
    by_uuid = {instance.uuid: instance for instance in here}
    holders, coming = set(), set()

    for instance in here:
        if not spec.has_tag(instance.flavor, tag):
            continue
        if _is_being_built(instance):
            coming.add(instance.uuid)
            if _is_from_before_the_start(instance):
                holders.add(instance.uuid)
        else:
            holders.add(instance.uuid)

    for migration in objects.MigrationList.get_in_progress_by_host_and_node(
            context, host, node):
        uuid = migration.instance_uuid
        if uuid in holders or uuid == leave_out:
            continue
        instance = by_uuid.get(uuid) or _get(context, uuid)
        if instance is None:
            continue
        resized = instance.vm_state == vm_states.RESIZED
        if (migration.dest_compute == host and migration.dest_node == node and
                not resized):
            flavor = instance.flavor
            if migration.is_resize:
                flavor = instance.new_flavor or flavor
            if spec.has_tag(flavor, tag):
                coming.add(uuid)
                if _is_from_before_the_start(migration):
                    holders.add(uuid)
        if (migration.source_compute == host and
                migration.source_node == node and resized and
                spec.has_tag(instance.old_flavor, tag)):
            # Its slot is kept for as long as it may be reverted.
            holders.add(uuid)

    # Whoever is not coming has arrived or is gone.
    admitted &= coming
    return len((holders | admitted) - {leave_out})


def _is_being_built(instance):
    """Whether a server is claimed here, but not yet running here."""
    return (instance.vm_state == vm_states.BUILDING or
            (instance.vm_state == vm_states.SHELVED_OFFLOADED and
             instance.task_state == task_states.SPAWNING))


def _is_from_before_the_start(record):
    """Whether the memory of its admission may have been lost.

    A server being built cannot be: Nova puts it in error at the start.
    """
    if getattr(record, 'vm_state', None) == vm_states.BUILDING:
        return False
    changed = record.updated_at or record.created_at
    return changed is not None and timeutils.normalize_time(
        changed) < _STARTED


def _get(context, uuid):
    try:
        return objects.Instance.get_by_uuid(
            context, uuid, expected_attrs=['flavor'])
    except exception.InstanceNotFound:
        return None
