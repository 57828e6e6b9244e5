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

"""How nova-compute builds a server, end to end in the compute manager.

Upstream's tests of this path replace one half to look at the other. These run
build_and_run_instance down to the driver, with a database, so that whatever
the fork ties in there is seen together with its effect on the server.
"""

from unittest import mock

from nova.compute import power_state
from nova.compute import vm_states
from nova import exception
from nova.network import model as network_model
from nova import objects
from nova.tests import fixtures as nova_fixtures
from nova.tests.fixtures import mycompany_hooks as hooks_fixtures
from nova.tests.unit.compute import test_compute
from nova.tests.unit import fake_network


class BuildPathTestCase(test_compute.BaseTestCase):

    def setUp(self):
        super().setUp()
        # The build runs in a green thread of its own: run it at once.
        self.useFixture(nova_fixtures.SpawnIsSynchronousFixture())
        self.instance = self._create_fake_instance_obj(
            params={'vm_state': vm_states.BUILDING,
                    'task_state': None, 'launched_at': None,
                    'power_state': power_state.NOSTATE,
                    'host': None, 'node': None})
        # Upstream's base class leaves out the networks: here they count.
        fake_network.unset_stub_network_methods(self)
        self.flags(network_allocate_retries=0)
        self.allocate = self._mock(
            self.compute.network_api, 'allocate_for_instance',
            return_value=network_model.NetworkInfo())
        self.deallocate = self._mock(
            self.compute.network_api, 'deallocate_for_instance')
        # The allocation runs beside the build; like a real driver, wait for
        # it before the server starts.
        self.spawn = self._mock(
            self.compute.driver, 'spawn',
            side_effect=lambda *args, network_info, **kwargs:
                network_info.wait())
        self.reschedule = self._mock(
            self.compute.compute_task_api, 'build_instances')
        self.hooks = self.useFixture(hooks_fixtures.HooksFixture())

    def _mock(self, target, name, **kwargs):
        patcher = mock.patch.object(target, name, **kwargs)
        self.addCleanup(patcher.stop)
        return patcher.start()

    def _told(self, *names):
        """The events of these names, as often as hooks were told."""
        return [event for event in self.hooks.events if event.event in names]

    def _build(self, retry={'num_attempts': 1, 'hosts': []}):
        self.compute.build_and_run_instance(
            self.context, self.instance, image={}, request_spec={},
            filter_properties={'retry': dict(retry)} if retry else {},
            accel_uuids=[], admin_password='secret', injected_files=[],
            requested_networks=None, security_groups=[],
            block_device_mapping=[], node=self.node_name(),
            host_list=None)
        self.instance.refresh()

    def node_name(self):
        return self.compute.driver.get_available_nodes()[0]

    def test_a_build_spawns_once_and_allocates_the_network_once(self):
        self._build()

        self.assertEqual(1, self.spawn.call_count)
        self.assertEqual(1, self.allocate.call_count)
        self.assertEqual(self.instance.uuid,
                         self.spawn.call_args.args[1].uuid)
        self.assertEqual(vm_states.ACTIVE, self.instance.vm_state)
        self.assertIsNone(self.instance.task_state)
        self.assertEqual(self.compute.host, self.instance.host)
        self.assertIsNotNone(self.instance.launched_at)
        self.reschedule.assert_not_called()
        self.deallocate.assert_not_called()
        event, = self._told('post_create', 'create_failed')
        self.assertEqual(('post_create', self.instance.uuid, None),
                         (event.event, event.server_id, event.reason))

    def test_a_failed_network_allocation_aborts_the_build(self):
        self.allocate.side_effect = (
            exception.VirtualInterfaceCreateException())

        self._build()

        self.assertEqual(1, self.allocate.call_count)
        self.assertEqual(vm_states.ERROR, self.instance.vm_state)
        self.assertIsNone(self.instance.task_state)
        self.assertIsNone(self.instance.launched_at)
        self.assertNotEqual(power_state.RUNNING, self.instance.power_state)
        self.assertIn('Failed to allocate the network(s)',
                      self.instance.fault.message)
        # An abort is final: no other host is tried, nothing is left behind.
        self.reschedule.assert_not_called()
        self.assertEqual(1, self.deallocate.call_count)
        event, = self._told('post_create', 'create_failed')
        self.assertEqual(('create_failed', self.instance.uuid),
                         (event.event, event.server_id))
        self.assertIn('Failed to allocate the network(s)', event.reason)

    def test_a_network_allocation_that_never_started_aborts_the_build(self):
        self._mock(self.compute, '_build_networks_for_instance',
                   side_effect=test_compute.test.TestingException())

        self._build()

        self.spawn.assert_not_called()
        self.assertEqual(vm_states.ERROR, self.instance.vm_state)
        self.reschedule.assert_not_called()
        event, = self._told('post_create', 'create_failed')
        self.assertEqual('create_failed', event.event)

    def test_hooks_are_told_of_what_is_saved(self):
        states = []

        def look(event):
            if event.event in ('post_create', 'create_failed'):
                instance = objects.Instance.get_by_uuid(
                    self.context, event.server_id)
                states.append((event.event, instance.vm_state,
                               instance.task_state))

        self.hooks._handle = look
        self._build()
        self.assertEqual([('post_create', 'active', None)], states)

    def test_a_build_that_is_rescheduled_has_not_failed(self):
        self.spawn.side_effect = test_compute.test.TestingException('host')
        self._build()
        self.assertEqual(1, self.reschedule.call_count)
        self.assertEqual([], self._told('post_create', 'create_failed'))

    def test_a_build_with_no_host_left_to_try_has_failed(self):
        self.spawn.side_effect = test_compute.test.TestingException('host')
        self._build(retry=None)
        self.reschedule.assert_not_called()
        event, = self._told('post_create', 'create_failed')
        self.assertEqual(('create_failed', 'host'),
                         (event.event, event.reason))

    def test_a_server_deleted_while_it_is_built_has_not_failed(self):
        self.spawn.side_effect = exception.InstanceNotFound(
            instance_id=self.instance.uuid)
        self._build()
        self.assertEqual([], self._told('post_create', 'create_failed'))
