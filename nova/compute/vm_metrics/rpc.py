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

"""The way of metrics from nova-compute to the API.

:class:`Endpoint` answers in nova-compute, :class:`Client` asks from the API.
They speak in an RPC name space of their own, so upstream's RPC version is left
alone; a node without the endpoint, such as stock Nova's, says so, and that is
no error here. Whatever keeps a node from answering becomes an answer too:
a dead node never fails the servers of others.

An answer is a dict: ``{'metrics': ...}`` (see nova.virt.vm_metrics) or
``{'missing': reason}``, with one of the reasons below.
"""

import queue
import threading
import time

from oslo_log import log as logging
import oslo_messaging as messaging

from nova.compute import rpcapi as compute_rpcapi
import nova.conf
from nova import rpc
from nova.virt import vm_metrics

CONF = nova.conf.CONF
LOG = logging.getLogger(__name__)

_NAMESPACE = 'mycompany.vm_metrics'

# There was no guest of that server when the node last looked.
NOT_RUNNING = 'not_running'
# The node's driver has no metrics, or the node does not know what they are.
UNSUPPORTED = 'unsupported'
# The node does not tell now; it is worth asking again after RETRY_AFTER.
UNAVAILABLE = 'unavailable'

RETRY_AFTER = 10

# For how many seconds a node is not asked again that has just failed. Asking
# a dead node takes a request as long as it may wait. A node that lacks the
# endpoint logs a traceback each time; so it is left alone for a bit longer.
_FORGET_AFTER = {UNAVAILABLE: RETRY_AFTER, UNSUPPORTED: 60}


class Endpoint:
    """What nova-compute answers.

    Version history:

        1.0 - Initial version: get_vm_metrics()
    """

    target = messaging.Target(namespace=_NAMESPACE, version='1.0')

    def __init__(self, manager):
        self._manager = manager
        self._source = None
        self._lock = threading.Lock()

    @messaging.expected_exceptions(NotImplementedError)
    def get_vm_metrics(self, context, server_ids):
        """Answer for servers of this node.

        :param server_ids: a list of uuids
        :returns: dict of uuid to answer
        :raises NotImplementedError: the driver has no metrics
        """
        try:
            found = self._get_source().get(server_ids)
        except vm_metrics.SamplesUnavailable as error:
            LOG.debug('No metrics now: %s', error)
            return {server_id: {'missing': UNAVAILABLE}
                    for server_id in server_ids}
        return {
            server_id: {'metrics': found[server_id]} if server_id in found
            else {'missing': NOT_RUNNING} for server_id in server_ids}

    def _get_source(self):
        # Not when the service starts: the driver is loaded later.
        with self._lock:
            if self._source is None:
                self._source = vm_metrics.source_of(self._manager.driver)
            return self._source


def _missing(server_ids, reason):
    return {server_id: {'missing': reason} for server_id in server_ids}


class Client:
    """Asks compute nodes for metrics, each within a time of its own."""

    def __init__(self):
        self._router = None
        # By cell and host: until when, and with what reason, not to ask.
        self._failed = {}

    def get(self, context, host, server_ids, timeout=None):
        """Ask one compute node.

        :param context: targeted at the cell of the host
        :param timeout: in seconds; at most [vm_metrics] rpc_timeout counts
        :returns: dict of uuid to answer, for all server_ids
        """
        reason = self._get_failure(context.cell_uuid, host)
        if reason is None:
            try:
                return self._call(context, host, server_ids, timeout)
            except (messaging.UnsupportedVersion, NotImplementedError):
                reason = UNSUPPORTED
            except messaging.MessagingTimeout as error:
                reason = UNAVAILABLE
                LOG.debug('Host %(host)s does not tell metrics: %(error)s',
                          {'host': host, 'error': error})
                if timeout is not None and timeout < (
                        CONF.vm_metrics.rpc_timeout):
                    # It was asked late, and may well be alive.
                    return _missing(server_ids, reason)
            except Exception as error:
                # Whatever the node has raised comes back as what it was, if
                # its class is known here.
                if getattr(error, 'exc_type', '') == 'UnsupportedVersion':
                    reason = UNSUPPORTED
                else:
                    reason = UNAVAILABLE
                    LOG.warning('Metrics cannot be had from host %(host)s: '
                                '%(kind)s: %(error)s', {
                                    'host': host, 'error': error,
                                    'kind': type(error).__name__})
            self._failed[context.cell_uuid, host] = (
                time.monotonic() + _FORGET_AFTER[reason], reason)
        return _missing(server_ids, reason)

    def get_many(self, asks):
        """Ask several compute nodes at the same time.

        :param asks: a list of (context, host, server_ids), one per host
        :returns: dict of uuid to answer, for all servers, after at most
            [vm_metrics] list_timeout
        """
        deadline = time.monotonic() + CONF.vm_metrics.list_timeout
        pending = queue.Queue()
        for ask in asks:
            pending.put(ask)
        answers = {}

        def work():
            while True:
                try:
                    context, host, server_ids = pending.get_nowait()
                except queue.Empty:
                    return
                left = deadline - time.monotonic()
                if left > 0:
                    # For the log lines of this thread.
                    context.update_store()
                    answers.update(self.get(context, host, server_ids, left))

        workers = [
            threading.Thread(target=work, daemon=True)
            for _ in range(min(len(asks), CONF.vm_metrics.list_workers))]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(max(0, deadline - time.monotonic()))
        # A copy: what has not come back by now may still do so.
        answers = dict(answers)
        for _context, _host, server_ids in asks:
            for server_id in server_ids:
                answers.setdefault(server_id, {'missing': UNAVAILABLE})
        return answers

    def _call(self, context, host, server_ids, timeout):
        limit = CONF.vm_metrics.rpc_timeout
        timeout = limit if timeout is None else min(timeout, limit)
        # One more try: the first may meet a connection that the broker has
        # closed. Without a limit a broker that is down would be waited for.
        client = self._get_router().client(context).prepare(
            server=host, timeout=timeout, retry=1)
        return client.call(context, 'get_vm_metrics', server_ids=server_ids)

    def _get_router(self):
        # Not when the API starts: there is no transport yet.
        if self._router is None:
            self._router = rpc.ClientRouter(rpc.get_client(messaging.Target(
                topic=compute_rpcapi.RPC_TOPIC, namespace=_NAMESPACE,
                version='1.0')))
        return self._router

    def _get_failure(self, cell_uuid, host):
        until, reason = self._failed.get((cell_uuid, host), (0, None))
        if reason is not None and time.monotonic() >= until:
            self._failed.pop((cell_uuid, host), None)
            return None
        return reason
