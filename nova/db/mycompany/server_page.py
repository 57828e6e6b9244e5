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


"""Pages of servers in a cell's database, with little of each.

Upstream's instance_get_all_by_filters_sort reads whole rows, and all metadata
of each, which takes several times as long.
"""

from oslo_db.sqlalchemy import utils as sqlalchemyutils
import sqlalchemy as sa

from nova.compute import vm_states
from nova.db.main import api as main_db_api
from nova.db.main import models
from nova import exception


@main_db_api.pick_context_manager_reader_allow_async
def get(context, filters, limit, marker, sort_keys, sort_dirs):
    """Those servers that upstream lists when nothing else is asked for: not
    deleted in either way, and not hidden.

    :param context: targeted at the cell
    :param filters: columns and the value of each, or a list of values
    :param limit: how many at the most; None for all
    :param marker: uuid of the last server of the page before, or None
    :param sort_keys: columns to sort by, with sort_dirs for each
    :returns: rows of the sort keys and uuid, project_id, host, vm_state,
        task_state and network_info, the JSON of the network info cache
    :raises MarkerNotFound: the marker was never there
    """
    instance, cache = models.Instance, models.InstanceInfoCache
    columns = [getattr(instance, name) for name in dict.fromkeys([
        *sort_keys, 'uuid', 'project_id', 'host', 'vm_state', 'task_state'])]
    query = context.session.query(*columns, cache.network_info).outerjoin(
        cache, cache.instance_uuid == instance.uuid,
    ).filter(
        instance.deleted == 0,
        sa.or_(instance.vm_state != vm_states.SOFT_DELETED,
               instance.vm_state.is_(None)),
        # None in rows of old.
        sa.or_(instance.hidden == sa.false(), instance.hidden.is_(None)),
    )
    for name, value in filters.items():
        column = getattr(instance, name)
        query = query.filter(column.in_(value) if isinstance(value, list)
                             else column == value)
    if marker is not None:
        # It may be deleted by now.
        row = context.session.query(*columns).filter(
            instance.uuid == marker).first()
        if row is None:
            raise exception.MarkerNotFound(marker=marker)
        marker = row
    return sqlalchemyutils.paginate_query(
        query, instance, limit, sort_keys, marker=marker,
        sort_dirs=sort_dirs).all()
