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

"""Keep hosts that hold too many servers of one business tag out."""

import collections

from oslo_log import log as logging

from nova.compute.business_spread import spec
import nova.conf
from nova import context as nova_context
from nova.db.mycompany import business_spread as queries
from nova.scheduler import filters
from nova.scheduler import utils

CONF = nova.conf.CONF
LOG = logging.getLogger(__name__)

# A filter is one object for all requests, so what is known for a request is
# kept with its RequestSpec, which lives as long.
_KNOWN = '_business_spread'


class _Request:
    """What is known of a tag, for one request."""

    def __init__(self, spread, spec_obj):
        self.spread = spread
        self.server_uuid = spec_obj.instance_uuid
        # A node that holds fewer has room for all servers of the request. A
        # spec that is older than the field does not say how many they are.
        self.matters = spread.limit - spec_obj.num_instances + 1 if (
            'num_instances' in spec_obj) else 1
        self.counts = collections.Counter()
        self.unanswering = set()
        # Servers of this request that have got a host, which are in no
        # database yet.
        self.picks = collections.Counter()
        self.asked = set()


class BusinessSpreadFilter(filters.BaseHostFilter):
    """Filter out hosts that hold business_max_per_host servers of a tag.

    Applies to servers whose flavor has the extra spec ``business_tag``. They
    are counted by host and node: one grouped count for each cell and request,
    for all cells at once. A server that moves is not counted itself; moves
    that are under way count at their destination.

    nova-compute checks again, because two schedulers may choose at the same
    time and a forced host passes no filter.
    """

    RUN_ON_REBUILD = False

    def filter_all(self, filter_obj_list, spec_obj):
        hosts = list(filter_obj_list)
        # A filter that looks at all hosts has to ask this itself.
        if utils.request_is_rebuild(spec_obj):
            return hosts
        try:
            spread = spec.spread_of(spec_obj.flavor.extra_specs)
        except spec.InvalidSpread as error:
            LOG.warning('No host is chosen for server %(server)s with flavor '
                        '%(flavor)s: %(error)s',
                        {'server': spec_obj.instance_uuid,
                         'flavor': spec_obj.flavor.name, 'error': error})
            return []
        if spread is None:
            return hosts
        request = self._request(spec_obj, spread, hosts)
        held = request.counts + request.picks
        nodes_full = {node for node in held if held[node] >= spread.limit}
        passing, full, unknown = [], 0, 0
        for host in hosts:
            if host.cell_uuid in request.unanswering:
                unknown += 1
            elif (host.host, host.nodename) in nodes_full:
                full += 1
            else:
                passing.append(host)
        if not passing and hosts:
            LOG.info(
                'No host is left for server %(server)s with business tag '
                '%(tag)r: of %(all)d hosts, %(full)d hold %(limit)d servers '
                'of it already, %(unknown)d are in cells that did not '
                'answer.', {'server': spec_obj.instance_uuid,
                            'tag': spread.tag, 'all': len(hosts),
                            'full': full, 'limit': spread.limit,
                            'unknown': unknown})
        return passing

    def _request(self, spec_obj, spread, hosts):
        request = getattr(spec_obj, _KNOWN, None)
        if request is None or request.spread != spread:
            request = _Request(spread, spec_obj)
            setattr(spec_obj, _KNOWN, request)
        cells = {host.cell_uuid for host in hosts} - request.asked
        if cells:
            self._ask(request, cells)
        return request

    def _ask(self, request, cell_uuids):
        """Count in some cells, and remember the answers."""
        request.asked |= cell_uuids
        answers = nova_context.scatter_gather_cells(
            nova_context.get_admin_context(), _mappings(cell_uuids),
            CONF.business_spread.count_timeout, queries.count_by_node,
            request.spread.tag, request.server_uuid, request.matters)
        for cell_uuid in cell_uuids:
            answer = answers.get(
                cell_uuid, nova_context.did_not_respond_sentinel)
            if nova_context.is_cell_failure_sentinel(answer):
                drop = CONF.business_spread.unanswering_cells == 'drop'
                LOG.warning(
                    'The servers with business tag %(tag)r in cell %(cell)s '
                    'cannot be counted: %(reason)s. Its hosts are %(done)s '
                    'for this request.', {
                        'tag': request.spread.tag, 'cell': cell_uuid,
                        'reason': answer if isinstance(answer, Exception)
                        else 'it does not answer',
                        'done': 'left out' if drop else
                        'taken to hold none'})
                if drop:
                    request.unanswering.add(cell_uuid)
                continue
            counts, unfilled = answer
            request.counts.update(counts)
            if unfilled:
                LOG.warning(
                    'Cell %(cell)s has %(count)d servers whose business tag '
                    'is not filled in. They are counted, but slowly: run '
                    'nova-manage db online_data_migrations.',
                    {'cell': cell_uuid, 'count': unfilled})


def _mappings(cell_uuids):
    """The cells of these uuids, as far as they are known."""
    nova_context.load_cells()
    known = {cell.uuid: cell for cell in nova_context.CELLS}
    if not cell_uuids <= set(known):
        # A cell that was added after this service started.
        nova_context.CELLS = []
        nova_context.load_cells()
        known = {cell.uuid: cell for cell in nova_context.CELLS}
    return [known[uuid] for uuid in cell_uuids if uuid in known]


def count_pick(spec_obj, host_state):
    """Count a server of this request that has got a host.

    Several servers of one request follow each other before any of them is in
    a database.
    """
    request = getattr(spec_obj, _KNOWN, None)
    if request is not None:
        request.picks[host_state.host, host_state.nodename] += 1
