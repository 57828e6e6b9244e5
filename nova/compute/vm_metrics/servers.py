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

"""Which servers are asked for metrics, looked up with as little as it takes.

An Instance object costs far more than what is needed of it; a page of the list
is read from the cells' databases without.
"""

import dataclasses
import typing as ty

from oslo_serialization import jsonutils

from nova.compute import instance_list
from nova.compute import vm_states
from nova import context as nova_context
from nova.db.mycompany import server_page
from nova import exception
from nova import objects

# The states in which the hypervisor may run a guest. It is the compute node
# that knows: a server in error may well run, and an active one have crashed.
_MAY_RUN = (vm_states.ACTIVE, vm_states.PAUSED, vm_states.RESCUED,
            vm_states.RESIZED, vm_states.ERROR)

# As GET /servers sorts.
_SORT_KEYS = ['created_at', 'id', 'uuid']
_SORT_DIRS = ['desc', 'desc', 'asc']


@dataclasses.dataclass(frozen=True)
class Server:
    """What must be known of a server.

    :param vm_state: None if its cell does not answer
    :param vifs: of its ports, at least ``id``, ``address`` and ``devname``
    """

    uuid: str
    project_id: str
    host: ty.Optional[str] = None
    cell_uuid: ty.Optional[str] = None
    vm_state: ty.Optional[str] = None
    task_state: ty.Optional[str] = None
    vifs: ty.Sequence[ty.Mapping] = ()

    @property
    def cell_is_silent(self):
        return self.vm_state is None

    @property
    def may_run(self):
        return bool(self.host) and self.vm_state in _MAY_RUN


def from_instance(instance, cell_uuid):
    return Server(
        uuid=instance.uuid, project_id=instance.project_id,
        host=instance.host, cell_uuid=cell_uuid, vm_state=instance.vm_state,
        task_state=instance.task_state,
        # One that has no host yet may come without its network.
        vifs=instance.get_network_info() if instance.host else ())


class _Lister(instance_list.InstanceLister):
    """Lists servers of several cells, each with the cell it is in."""

    def get_by_filters(self, ctx, filters, limit, marker, **kwargs):
        return [
            {'created_at': row.created_at, 'id': row.id, 'uuid': row.uuid,
             'server': _from_row(row, ctx.cell_uuid)}
            for row in server_page.get(
                ctx, filters, limit, marker, self.sort_ctx.sort_keys,
                self.sort_ctx.sort_dirs)]


def _from_row(row, cell_uuid):
    return Server(
        uuid=row.uuid, project_id=row.project_id, host=row.host,
        cell_uuid=cell_uuid, vm_state=row.vm_state,
        task_state=row.task_state,
        vifs=jsonutils.loads(row.network_info or '[]'))


def get_cells():
    """All cells, as this process knows them."""
    nova_context.load_cells()
    return nova_context.CELLS


def get_page(context, limit, marker=None, host=None, project_id=None):
    """The servers of a project or a host, the newest first.

    When a cell does not answer, its servers of the project are put on top of
    the first page, without more than their ids, up to `limit`.

    :param context: may see the servers
    :param marker: uuid of the last server of the page before
    :returns: (those on the page, those whose cell does not answer)
    :raises MarkerNotFound: there is no server of that uuid
    :raises CellTimeout: the cell of the host does not answer, or is not known
    """
    filters = {}
    if project_id is not None:
        filters['project_id'] = project_id
    if host is None:
        cells = get_cells()
    else:
        filters['host'] = host
        try:
            mapping = objects.HostMapping.get_by_host(context, host)
        except exception.HostMappingNotFound:
            return [], []
        cells = [cell for cell in get_cells()
                 if cell.uuid == mapping.cell_mapping.uuid]
        if not cells:
            # Added since this process has read them.
            raise exception.CellTimeout()
    lister = _Lister(
        _SORT_KEYS, _SORT_DIRS, cells=cells,
        batch_size=instance_list.get_instance_list_cells_batch_size(
            limit, cells))
    page = [record['server'] for record in lister.get_records_sorted(
        context, filters, limit, marker, cell_down_support=True)]
    silent = lister.cells_failed + lister.cells_timed_out
    if silent and host is not None:
        # Of a cell that does not answer, only the projects are known.
        raise exception.CellTimeout()
    unknown = []
    for cell_uuid in silent:
        left = limit - len(unknown)
        if marker is not None or left <= 0:
            break
        unknown += [
            Server(uuid=mapping.instance_uuid, project_id=mapping.project_id)
            for mapping in
            objects.InstanceMappingList.get_not_deleted_by_cell_and_project(
                context, cell_uuid, project_id, limit=left)]
    return page, unknown


def by_host(servers):
    """Group servers: dict of (cell uuid, host) to a list of them."""
    hosts: ty.Dict[tuple, list] = {}
    for server in servers:
        hosts.setdefault((server.cell_uuid, server.host), []).append(server)
    return hosts
