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

"""How nova-compute says that a server has changed, and nova-cmdb-agent hears.

A message is a server's id. It lies in one durable queue of the bus that Nova
has anyway, on an exchange of our own: Nova's may have been declared as not
durable. Agents compete for messages, and a message leaves the queue when it
was dealt with. Where ``[oslo_messaging_rabbit] rabbit_quorum_queue`` is set,
this queue is one too.

Each cell has its bus. Nova's services send to their own, agents listen to all.
"""

from oslo_config import cfg
import oslo_messaging as messaging
from oslo_messaging._drivers import amqp
from oslo_messaging import opts as messaging_opts

import nova.conf
from nova import exception
from nova import objects

CONF = nova.conf.CONF

EXCHANGE = 'nova_cmdb'
TOPIC = 'nova_cmdb'
#: What notifications of this level to that topic lie in.
QUEUE = TOPIC + '.info'

_EVENT_TYPE = 'server.changed'


def _conf(workers=1):
    """The configuration of the bus, with what is ours set.

    It is a copy, so that what is set here is for this queue alone.
    """
    conf = cfg.ConfigOpts()
    conf([], project='nova', default_config_files=CONF.config_file or [],
         default_config_dirs=CONF.config_dir or [])
    for group, opts in messaging_opts.list_opts():
        conf.register_opts(opts, group=group)
    conf.set_override('control_exchange', EXCHANGE)
    # So many messages are dealt with, and as many are taken off the queue.
    conf.set_override('executor_thread_pool_size', workers)
    for name, value in (('amqp_durable_queues', True),
                        ('rabbit_qos_prefetch_count', workers)):
        conf.set_override(name, value, group='oslo_messaging_rabbit')
    return conf


class Publisher:
    """Says which servers have changed, on the bus of this service."""

    def __init__(self):
        conf = _conf()
        transport = messaging.get_notification_transport(
            conf, url=CONF.transport_url)
        # While the bus is down, wait for it.
        self._notifier = messaging.Notifier(
            transport, publisher_id='nova.' + CONF.host, driver='messaging',
            topics=[TOPIC], retry=-1)

    def send(self, server_id: str) -> None:
        """Say that a server has changed; wait until the bus has it."""
        self._notifier.info({}, _EVENT_TYPE, {'server_id': server_id})


def urls(context):
    """The buses to listen to: this service's own, and those of the cells."""
    found = [CONF.transport_url]
    for cell in objects.CellMappingList.get_all(context):
        if not cell.is_cell0():
            found.append(cell.transport_url)
    # One bus may serve several cells.
    return list(dict.fromkeys(filter(None, found)))


def listen(url, workers, handle):
    """A listener of one bus, not started yet.

    :param handle: called in a thread, with a server's id, which may be
        anything, and the time the message was sent as a text. It returns
        whether the message was dealt with; if not, the bus keeps it
    """
    # What could not be acknowledged, as the bus went away, comes again when it
    # is back. oslo.messaging would pass it over as a duplicate and never
    # acknowledge it; so many of them, and nothing else is sent to us. Here it
    # is done again, which does no harm. There is no option for this.
    amqp._MsgIdCache.DUP_MSG_CHECK_SIZE = 0

    class Endpoint:

        def info(self, ctxt, publisher_id, event_type, payload, metadata):
            server_id = (payload.get('server_id')
                         if isinstance(payload, dict) else None)
            if handle(server_id, metadata.get('timestamp')):
                return messaging.NotificationResult.HANDLED
            return messaging.NotificationResult.REQUEUE

    try:
        transport = messaging.get_notification_transport(
            _conf(workers), url=url)
    except (messaging.InvalidTransportURL,
            messaging.DriverLoadFailure) as error:
        # Their texts hold the URL, and so a password.
        raise exception.NovaException(
            'A transport URL cannot be used: %s' % type(error).__name__)
    return messaging.get_notification_listener(
        transport, [messaging.Target(topic=TOPIC, exchange=EXCHANGE)],
        [Endpoint()], executor='threading', allow_requeue=True)
