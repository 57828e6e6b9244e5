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

"""What servers use right now: GET /servers/{server_id}/metrics and the like.

Made to be polled: an answer, a refusal too, leaves no row, no notification
and no line in the log.
"""

from oslo_utils import uuidutils
import webob

from nova.api.openstack import common
from nova.api.openstack.compute.schemas import vm_metrics as schema
from nova.api.openstack import wsgi
from nova.api import validation
from nova.compute import api as compute
from nova.compute.vm_metrics import rpc as metrics_rpc
from nova.compute.vm_metrics import servers
from nova import context as nova_context
from nova import exception
from nova.i18n import _
from nova.policies import extended_server_attributes as esa_policies
from nova.policies import vm_metrics as policies
from nova.virt import vm_metrics

_LIST_PATH = 'servers/metrics'

# A device's name on the host is a prefix of three letters (tap, vhu, nic) and
# as much of the port's id as an interface's name has room for.
_PREFIX_LENGTH = 3
_PORT_ID_LENGTH = 11

_NOT_COUNTED = dict.fromkeys([
    *vm_metrics.INTERFACE_COUNTERS,
    *('%s_per_second' % name for name in vm_metrics.INTERFACE_RATES)])


def _fault(code, message):
    """A refusal that is returned; one that is raised would be logged."""
    error = webob.exc.status_map[code](explanation=message)
    if code == 503:
        error.headers['Retry-After'] = metrics_rpc.RETRY_AFTER
    return wsgi.Fault(error)


class VMMetricsController(wsgi.Controller):

    _view_builder_class = common.ViewBuilder

    def __init__(self):
        super().__init__()
        self._compute_api = compute.API()
        self._client = metrics_rpc.Client()

    @wsgi.expected_errors(404)
    @validation.query_schema(schema.show_query)
    def show(self, req, server_id):
        """Show the metrics of a server."""
        return self._show(req, server_id)

    @wsgi.expected_errors(404)
    @wsgi.action('get_metrics')
    @validation.schema(schema.get_metrics)
    def _get_metrics(self, req, id, body):
        """The same as show(), for clients that only know actions."""
        return self._show(req, id)

    @wsgi.expected_errors(400)
    @validation.query_schema(schema.list_query)
    def index(self, req):
        """List the metrics of the servers of a project or of a host."""
        context = req.environ['nova.context']
        host = req.GET.get('host')
        project_id = req.GET.get('project_id')
        if host is None and project_id in (None, context.project_id):
            context.can(policies.LIST)
            project_id = context.project_id
        else:
            context.can(policies.LIST_ALL_PROJECTS)
        limit, marker = common.get_limit_and_marker(req)
        try:
            page, unknown = servers.get_page(
                # The policy has decided, whoever it lets in.
                context.elevated(), limit, marker, host, project_id)
        except exception.MarkerNotFound as error:
            raise webob.exc.HTTPBadRequest(explanation=error.format_message())
        except exception.CellTimeout:
            return _fault(503, _('The cell of host %s does not answer at the '
                                 'moment. Please try again later.') % host)
        answers = self._ask(context, page)
        found, missing = [], []
        for server in unknown + page:
            answer = answers.get(server.uuid, {})
            if 'metrics' in answer:
                found.append(_with_ports(answer['metrics'], server.vifs))
            else:
                code, message = _why(context, server, answer)
                missing.append({'server_id': server.uuid, 'code': code,
                                'message': message})
        response = {'servers_metrics': found,
                    'servers_metrics_missing': missing}
        if len(page) == limit:
            response['servers_metrics_links'] = [{
                'rel': 'next',
                'href': self._view_builder._get_next_link(
                    req, page[-1].uuid, _LIST_PATH)}]
        return response

    def _show(self, req, server_id):
        context = req.environ['nova.context']
        try:
            server = self._get_server(context, server_id)
        except exception.InstanceNotFound as error:
            raise webob.exc.HTTPNotFound(explanation=error.format_message())
        except exception.NovaException:
            return _fault(503, _('The cell of server %s does not answer at '
                                 'the moment. Please try again later.') %
                          server_id)
        context.can(policies.SHOW, target={'project_id': server.project_id})
        answer = {}
        if server.may_run:
            # Its look-up has targeted the context at its cell.
            answer = self._client.get(
                context, server.host, [server.uuid])[server.uuid]
        if 'metrics' in answer:
            return {'server_metrics': _with_ports(
                answer['metrics'], server.vifs)}
        return _fault(*_why(context, server, answer))

    def _get_server(self, context, server_id):
        if not uuidutils.is_uuid_like(server_id):
            raise exception.InstanceNotFound(instance_id=server_id)
        # Not get(), which joins three tables more.
        instance = self._compute_api._get_instance(
            context, server_id, ['info_cache'])
        return servers.from_instance(instance, context.cell_uuid)

    def _ask(self, context, page):
        """Ask the hosts of all servers that may run."""
        hosts = servers.by_host(
            server for server in page if server.may_run)
        wanted = {cell_uuid for cell_uuid, _host in hosts}
        targeted = {}
        for cell in servers.get_cells():
            if cell.uuid in wanted:
                # It stays targeted; all that is needed is the message bus.
                with nova_context.target_cell(context, cell) as cctxt:
                    targeted[cell.uuid] = cctxt
        return self._client.get_many([
            (targeted[cell_uuid], host, [server.uuid for server in group])
            for (cell_uuid, host), group in hosts.items()])


def _why(context, server, answer):
    """Why there are no metrics: the HTTP code and a sentence."""
    if server.cell_is_silent:
        return 503, _('The cell of server %s does not answer at the moment. '
                      'Please try again later.') % server.uuid
    reason = answer.get('missing')
    if reason in (None, metrics_rpc.NOT_RUNNING):
        return 409, _(
            'Server %(server)s is not running: its vm_state is %(vm_state)s, '
            'its task_state %(task_state)s.') % {
                'server': server.uuid, 'vm_state': server.vm_state,
                'task_state': server.task_state}
    node = _('The compute node of server %s') % server.uuid
    # Who may see a server's host in GET /servers/detail may see it here.
    if context.can(esa_policies.BASE_POLICY_NAME, fatal=False):
        node = _('Compute node %(host)s of server %(server)s') % {
            'host': server.host, 'server': server.uuid}
    if reason == metrics_rpc.UNSUPPORTED:
        return 501, _('%s has no metrics: its release or its hypervisor does '
                      'not support them.') % node
    return 503, _('%s does not tell metrics at the moment. Please try again '
                  'later.') % node


def _with_ports(metrics, vifs):
    """Say which port each interface is.

    A port without an interface that is known to count, such as a passed
    through device, gets an entry without counters.
    """
    devices = {interface['device']: interface
               for interface in metrics['interfaces']}
    interfaces = []
    for vif in vifs:
        device = _device_of(vif, devices)
        interfaces.append(dict(
            devices.pop(device, None) or _NOT_COUNTED, device=device,
            mac_address=vif['address'], port_id=vif['id']))
    return dict(metrics, interfaces=interfaces + list(devices.values()))


def _device_of(vif, devices):
    if vif.get('devname') in devices:
        return vif['devname']
    for device in devices:
        if device[_PREFIX_LENGTH:] == vif['id'][:_PORT_ID_LENGTH]:
            return device
    return None
