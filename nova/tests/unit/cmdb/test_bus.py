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

import queue

from oslo_utils.fixture import uuidsentinel as uuids

from nova.cmdb import bus
from nova.cmdb import hook
from nova.compute import hooks
from nova import context as nova_context
from nova import objects
from nova import test


class BusTestCase(test.NoDBTestCase):
    """On oslo.messaging's bus within a process."""

    def setUp(self):
        super().setUp()
        # One exchange for all the transports of a process.
        self.flags(transport_url='fake:/')

    def test_what_the_hook_says_is_heard_until_it_was_dealt_with(self):
        heard = queue.Queue()
        tries = iter([False, False, True])

        def handle(server_id, sent):
            heard.put((server_id, sent))
            return next(tries)

        listener = bus.listen('fake:/', 2, handle)
        listener.start()
        self.addCleanup(listener.wait)
        self.addCleanup(listener.stop)
        hook.CMDBHook().handle(hooks.Event(
            'updated', uuids.server, None, None, 'host', None, None, 'now'))
        for _ in range(3):
            server_id, sent = heard.get(timeout=30)
            self.assertEqual(uuids.server, server_id)
            self.assertRegex(sent, r'^\d{4}-\d\d-\d\d \d\d:\d\d')

    def test_the_queue_is_durable_and_on_an_exchange_of_its_own(self):
        conf = bus._conf(workers=3)
        self.assertEqual('nova_cmdb', conf.control_exchange)
        self.assertTrue(conf.oslo_messaging_rabbit.amqp_durable_queues)
        # No more is taken off the queue than is dealt with.
        self.assertEqual(
            3, conf.oslo_messaging_rabbit.rabbit_qos_prefetch_count)
        self.assertEqual(3, conf.executor_thread_pool_size)

    def test_a_url_that_will_do_no_good_is_not_repeated(self):
        error = self.assertRaises(
            test.exception.NovaException, bus.listen,
            'nosuch://user:secret@host', 1, None)
        self.assertNotIn('secret', str(error))


class URLsTestCase(test.TestCase):

    def test_each_bus_is_listened_to_once(self):
        context = nova_context.get_admin_context()
        self.flags(transport_url='rabbit://top')
        for name, url in (('a', 'rabbit://a'), ('b', 'rabbit://a'),
                          ('c', 'rabbit://top')):
            objects.CellMapping(
                context, uuid=getattr(uuids, name), name=name,
                transport_url=url, database_connection=name).create()
        urls = bus.urls(context)
        self.assertEqual(len(set(urls)), len(urls))
        self.assertEqual('rabbit://top', urls[0])
        self.assertIn('rabbit://a', urls)
        self.assertFalse([url for url in urls if url.startswith('none')])
