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

"""What the CMDB's records are made of, from a cell's database.

Each is a fixed number of statements, however many servers are asked for. Only
the columns that a record needs are read.
"""

import sqlalchemy as sa

from nova.compute import vm_states
from nova.db.main import api as main_db_api
from nova.db.main import models
# Imported for what it does: the model of servers has the column.
from nova.db.mycompany import business_tag  # noqa: F401


def _servers(context, *filters):
    instance = models.Instance
    extra, cache = models.InstanceExtra, models.InstanceInfoCache
    return context.session.query(
        instance.uuid, instance.display_name, instance.project_id,
        instance.user_id, instance.host, instance.node,
        instance.availability_zone, instance.vm_state, instance.created_at,
        instance.business_tag, extra.flavor, cache.network_info,
    ).outerjoin(
        extra, sa.and_(extra.instance_uuid == instance.uuid,
                       extra.deleted == 0),
    ).outerjoin(
        cache, sa.and_(cache.instance_uuid == instance.uuid,
                       cache.deleted == 0),
    ).filter(
        instance.deleted == 0,
        # The guest is gone; Nova has not finished tidying up after it.
        sa.or_(instance.vm_state.is_(None),
               instance.vm_state != vm_states.DELETED),
        # The copy in the other cell of a resize across cells.
        sa.or_(instance.hidden.is_(None), instance.hidden == sa.false()),
        *filters)


def _with_faults(context, rows):
    """Pairs of a row and its last fault, (code, message) or None."""
    failed = [row.uuid for row in rows if row.vm_state == vm_states.ERROR]
    faults = {}
    if failed:
        fault = models.InstanceFault
        last = sa.select(sa.func.max(fault.id)).where(
            fault.instance_uuid.in_(failed), fault.deleted == 0,
        ).group_by(fault.instance_uuid)
        faults = {uuid: (code, message) for uuid, code, message in
                  context.session.query(
                      fault.instance_uuid, fault.code, fault.message,
                  ).filter(fault.id.in_(last))}
    return [(row, faults.get(row.uuid)) for row in rows]


@main_db_api.pick_context_manager_reader
def get_server(context, uuid):
    """What a server's record is made of.

    :param context: targeted at the cell
    :returns: a pair of a row and its fault; None when there is no server
    """
    rows = _servers(context, models.Instance.uuid == uuid).all()
    return _with_faults(context, rows)[0] if rows else None


@main_db_api.pick_context_manager_reader
def get_page(context, limit, marker=None):
    """The same for the next servers of a cell, ascending by uuid.

    :param limit: of the servers
    :param marker: uuid of the last one of the page before; None to begin
    """
    after = () if marker is None else (models.Instance.uuid > marker,)
    rows = _servers(context, *after).order_by(
        models.Instance.uuid).limit(limit).all()
    return _with_faults(context, rows)
