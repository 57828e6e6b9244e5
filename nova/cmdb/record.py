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

"""The record of a server, and how servers are read.

A record is built from a cell's database each time it is needed, so it is the
truth at that moment. What it holds is in drivers/base.py.
"""

import datetime
import heapq
import itertools
import operator
import typing as ty

from oslo_log import log as logging
from oslo_serialization import jsonutils

from nova.compute import vm_states
from nova import context as nova_context
from nova.db.mycompany import business_tag
from nova.db.mycompany import cmdb as queries
from nova import exception
from nova import objects

LOG = logging.getLogger(__name__)

Record = ty.Dict[str, ty.Any]


class Servers:
    """All servers of all cells. It may be used by several threads."""

    def __init__(self):
        self._context = nova_context.get_admin_context()

    def cells(self) -> 'ty.List[objects.CellMapping]':
        """The cells, cell0 among them: its servers have failed to build, and
        are servers to their users.
        """
        return list(objects.CellMappingList.get_all(self._context))

    def read(self, server_id: str) -> ty.Optional[Record]:
        """The present record of a server; None when there is no server.

        :raises Exception: it cannot be told, as a database does not answer
        """
        try:
            mapping = objects.InstanceMapping.get_by_instance_uuid(
                self._context, server_id)
        except exception.InstanceMappingNotFound:
            return None
        cell = mapping.cell_mapping
        if cell is None:
            # It waits for a scheduler, and is in no cell yet.
            return None
        with nova_context.target_cell(self._context, cell) as context:
            found = queries.get_server(context, server_id)
        return None if found is None else build(cell, *found)

    def stream(self, page_size: int,
               failed: ty.Callable
               ) -> ty.Iterator[Record]:
        """The records of all servers, ascending by id.

        Pages are read as they are needed, so this takes as much memory as
        one page of each cell.

        :param failed: called with a cell that does not answer, and with what
            it answered instead; the stream goes on without the rest of it
        """
        cells = [self._stream_cell(cell, page_size, failed)
                 for cell in self.cells()]
        records = heapq.merge(*cells, key=operator.itemgetter('id'))
        # A server that moves between cells may be seen in both.
        for _id, same in itertools.groupby(
                records, key=operator.itemgetter('id')):
            yield next(same)

    def _stream_cell(self, cell, page_size, failed):
        marker = None
        while True:
            try:
                with nova_context.target_cell(self._context, cell) as context:
                    page = queries.get_page(context, page_size, marker)
            except Exception as error:
                failed(cell, error)
                return
            for found in page:
                yield build(cell, *found)
            if len(page) < page_size:
                return
            marker = page[-1][0].uuid


def build(cell, row, fault) -> Record:
    """The record of a server.

    :param cell: objects.CellMapping
    :param row: of nova.db.mycompany.cmdb
    :param fault: a pair of code and message, or None
    """
    flavor = _flavor(row)
    return {
        'id': row.uuid.lower(),
        'name': row.display_name or '',
        'project_id': row.project_id,
        'user_id': row.user_id,
        'flavor': flavor.get('name'),
        'vcpus': flavor.get('vcpus'),
        'memory_mb': flavor.get('memory_mb'),
        'disk_gb': flavor.get('root_gb'),
        'host': row.host,
        'node': row.node,
        'cell': cell.name or cell.uuid,
        'availability_zone': row.availability_zone,
        'addresses': _addresses(row),
        'state': _state(row.vm_state),
        'fault': fault and {'code': fault[0], 'message': fault[1] or ''},
        'created_at': _time(row.created_at),
        # NULL says that nobody has filled it in yet, '' that there is none.
        'business_tag': (
            business_tag.of_flavor_info(row.flavor)
            if row.business_tag is None else row.business_tag) or None,
    }


def _state(vm_state):
    if vm_state == vm_states.SOFT_DELETED:
        return 'soft_deleted'
    return vm_state or 'building'


def _time(when: ty.Optional[datetime.datetime]):
    return when and when.strftime('%Y-%m-%dT%H:%M:%SZ')


def _flavor(row):
    try:
        return jsonutils.loads(row.flavor)['cur']['nova_object.data']
    except (TypeError, ValueError, KeyError):
        # Older than flavors in this table, or written half.
        LOG.warning('The flavor of server %s cannot be read; its record goes '
                    'without.', row.uuid)
        return {}


def _addresses(row):
    """All addresses of a network info cache, as a record has them."""
    try:
        return sorted(
            _each_address(jsonutils.loads(row.network_info or '[]') or ()),
            key=lambda entry: (entry['address'], entry['port_id'] or ''))
    except (TypeError, ValueError, KeyError, AttributeError):
        LOG.warning('The network info cache of server %s cannot be read; its '
                    'record has no addresses.', row.uuid)
        return []


def _each_address(vifs):
    for vif in vifs:
        network = vif.get('network') or {}
        for subnet in network.get('subnets') or ():
            for fixed in subnet.get('ips') or ():
                for kind, entry in [('fixed', fixed)] + [
                        ('floating', floating)
                        for floating in fixed.get('floating_ips') or ()]:
                    if not entry.get('address'):
                        continue
                    yield {
                        'address': entry['address'],
                        'version': 6 if ':' in entry['address'] else 4,
                        'type': kind,
                        'mac_address': vif.get('address'),
                        'network': network.get('label'),
                        'port_id': vif.get('id'),
                    }
