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

import os
from unittest import mock

from oslo_utils.fixture import uuidsentinel as uuids

from nova.compute import api as compute_api
from nova.compute import hook_process
from nova.compute import hooks
from nova.compute import utils as compute_utils
from nova.compute import vm_states
from nova import context as nova_context
from nova.network import model as network_model
from nova.network import neutron
from nova import objects
from nova import test
from nova.tests.fixtures import mycompany_hooks as hooks_fixtures
from nova.tests.unit.compute import test_compute
from nova.tests.unit import fake_instance
from nova.tests.unit import fake_network_cache_model


def _instance(**values):
    context = nova_context.get_admin_context()
    return context, fake_instance.fake_instance_obj(
        context, **dict({'uuid': uuids.server, 'vm_state': vm_states.ACTIVE,
                         'project_id': 'project', 'user_id': 'user',
                         'deleted': False}, **values))


class NotifyTestCase(test.NoDBTestCase):

    def test_with_no_hook_enabled_nothing_is_looked_up_or_started(self):
        with mock.patch.object(hooks, '_pipe') as pipe, \
                mock.patch('subprocess.Popen') as start:
            hooks.notify(hooks.UPDATED, None, None)
            hooks.notify_addresses(None, None, None)
        pipe.assert_not_called()
        start.assert_not_called()

    def test_an_event_is_what_is_documented(self):
        told = self.useFixture(hooks_fixtures.HooksFixture()).events
        context, instance = _instance()
        self.flags(host='node1')
        hooks.notify(hooks.CREATE_FAILED, context, instance,
                     ValueError('no disk'))
        event, = told
        self.assertEqual(
            ('create_failed', uuids.server, 'project', 'user', 'node1',
             'no disk', context.request_id), event[:-1])
        self.assertRegex(event.at, r'^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d')

    def test_a_long_reason_is_cut_so_that_the_event_fits_a_packet(self):
        told = self.useFixture(hooks_fixtures.HooksFixture()).events
        context, instance = _instance()
        for letter in 'x\u20ac\U0001f600':
            hooks.notify(hooks.CREATE_FAILED, context, instance,
                         letter * 100000)
        for event in told:
            self.assertLessEqual(len(hooks._encode(event)), 4096)
            self.assertGreaterEqual(len(event.reason), 50)

    def test_an_event_of_a_later_release_is_understood(self):
        self.assertEqual(
            ('updated', 'id'),
            hooks.decode(b'{"event": "updated", "server_id": "id", "x": 1}'
                         )[:2])

    def test_nothing_that_goes_wrong_reaches_the_caller(self):
        self.useFixture(hooks_fixtures.HooksFixture(
            mock.Mock(side_effect=RuntimeError('hook'))))
        context, instance = _instance()
        hooks.notify(hooks.UPDATED, context, instance)
        self.assertIn('cannot be told of an event',
                      self.stdlog.logger.output)
        with mock.patch.object(hooks, '_encode', side_effect=TypeError):
            hooks.notify(hooks.UPDATED, context, instance)


class PipeTestCase(test.NoDBTestCase):
    """The pipe itself is real, and nobody reads it."""

    def setUp(self):
        super().setUp()
        self.process = mock.Mock(returncode=1)
        self.process.poll.return_value = None
        self.start = self.useFixture(test.fixtures.MockPatch(
            'subprocess.Popen', return_value=self.process)).mock
        self.clock = self.useFixture(test.fixtures.MockPatchObject(
            hooks.time, 'monotonic', return_value=1000)).mock
        self.pipe = hooks._Pipe('slow')
        self.addCleanup(os.close, self.pipe._read_from)
        self.addCleanup(self.pipe._write_to.close)

    def _log(self, text):
        return self.stdlog.logger.output.count(text)

    def test_a_pipe_that_may_not_be_large_is_used_as_it_is(self):
        with mock.patch.object(hooks.fcntl, 'fcntl',
                               side_effect=PermissionError('no more')):
            pipe = hooks._Pipe('small')
        self.addCleanup(os.close, pipe._read_from)
        self.addCleanup(pipe._write_to.close)
        pipe.put(b'x')
        self.assertEqual(b'x', os.read(pipe._read_from, 10))
        self.assertEqual(1, self._log('stays small'))

    def test_a_full_pipe_drops_and_counts(self):
        for _ in range(hooks.CAPACITY + 10):
            self.pipe.put(b'x' * 300)
        self.assertEqual(10, self.pipe._dropped)
        self.assertEqual(1, self._log('does not keep up'))
        self.clock.return_value += hooks.LOG_INTERVAL
        self.pipe.put(b'x')
        self.assertEqual(1, self._log('11 events for it were dropped'))

    def test_what_was_dropped_is_said_when_events_are_taken_again_too(self):
        for _ in range(hooks.CAPACITY + 5):
            self.pipe.put(b'x')
        self.assertEqual(1, self._log(' 1 events for it were dropped'))
        for _ in range(3):
            self.clock.return_value += hooks.LOG_INTERVAL
            self.assertEqual(b'x', os.read(self.pipe._read_from, 100))
            self.pipe.put(b'x')
        self.assertEqual(1, self._log(' 5 events for it were dropped'))

    def test_a_read_takes_exactly_one_event(self):
        self.pipe.put(b'first')
        self.pipe.put(b'second')
        self.assertEqual(b'first', os.read(self.pipe._read_from, 65536))
        self.assertEqual(b'second', os.read(self.pipe._read_from, 65536))

    def test_one_process_is_started_with_the_first_event(self):
        self.start.assert_not_called()
        self.pipe.put(b'x')
        self.pipe.put(b'x')
        self.assertEqual(1, self.start.call_count)
        self.assertEqual(
            ['-m', 'nova.compute.hook_process', 'slow'],
            self.start.call_args.args[0][1:4])

    def test_a_process_that_ends_is_started_again_but_not_at_once(self):
        self.pipe.put(b'x')
        self.process.poll.return_value = 1
        self.pipe.put(b'x')
        self.assertEqual(1, self.start.call_count)
        self.clock.return_value += hooks.RESTART_INTERVAL
        self.pipe.put(b'x')
        self.assertEqual(2, self.start.call_count)
        # What the first one has not read is for the second.
        self.assertEqual(self.start.call_args_list[0].kwargs['pass_fds'],
                         self.start.call_args_list[1].kwargs['pass_fds'])

    def test_a_process_that_cannot_be_started_is_logged(self):
        self.start.side_effect = OSError('no memory')
        self.pipe.put(b'x')
        self.assertEqual(1, self._log('cannot be started: no memory'))


class ProcessTestCase(test.NoDBTestCase):

    def _run(self, hook, *packets):
        read, write = os.pipe2(os.O_DIRECT)
        for packet in packets:
            os.write(write, packet)
        os.close(write)
        self.addCleanup(os.close, read)
        with mock.patch.object(hook_process, 'load', return_value=hook):
            hook_process.run('test', read)

    def test_it_hands_over_every_event_and_ends_with_the_pipe(self):
        hook = mock.Mock()
        self._run(hook, b'{"event": "updated"}', b'{"event": "post_delete"}')
        self.assertEqual(
            ['updated', 'post_delete'],
            [call.args[0].event for call in hook.handle.call_args_list])

    def test_a_hook_that_raises_gets_the_next_event(self):
        hook = mock.Mock()
        hook.handle.side_effect = [RuntimeError('broken'), None]
        self._run(hook, b'{"event": "updated"}', b'{"event": "updated"}')
        self.assertEqual(2, hook.handle.call_count)
        self.assertIn('has failed on an event', self.stdlog.logger.output)

    def test_what_is_no_event_is_passed_over(self):
        hook = mock.Mock()
        self._run(hook, b'{"event"', b'{"event": "updated"}')
        self.assertEqual(1, hook.handle.call_count)

    def test_a_hook_that_cannot_be_loaded_is_tried_again(self):
        hook = mock.Mock()
        with mock.patch.object(hook_process, 'load', side_effect=[
                ImportError('x'), ImportError('x'), hook]), \
                mock.patch('time.sleep') as sleep:
            self.assertIs(hook, hook_process._load_or_wait('test'))
        self.assertEqual(2, sleep.call_count)
        self.assertEqual(
            1, self.stdlog.logger.output.count('cannot be loaded'))


class SeamsTestCase(test_compute.BaseTestCase):
    """Where Nova tells the hooks; the build is in test_build_path."""

    def setUp(self):
        super().setUp()
        self.hooks = self.useFixture(hooks_fixtures.HooksFixture())
        self.instance = self._create_fake_instance_obj(
            params={'vm_state': vm_states.ACTIVE})

    def _take(self):
        self.assertEqual(
            {self.instance.uuid},
            {event.server_id for event in self.hooks.events} or
            {self.instance.uuid})
        return [event for event, _server in self.hooks.take()]

    def test_the_end_of_an_action_is_an_event(self):
        for announce in (compute_utils.notify_about_instance_action,
                         compute_utils.notify_about_instance_rebuild):
            for phase in ('start', 'end', 'error'):
                announce(self.context, self.instance, 'host',
                         action='pause', phase=phase)
            self.assertEqual(['updated', 'updated'], self._take())

    def test_actions_are_events_without_notifications(self):
        with mock.patch('nova.rpc.NOTIFIER') as notifier:
            notifier.is_enabled.return_value = False
            compute_utils.notify_about_instance_action(
                self.context, self.instance, 'host', action='pause',
                phase='end')
        self.assertEqual(['updated'], self._take())

    def test_a_deleted_server_is_an_event_of_its_own(self):
        bdms = objects.BlockDeviceMappingList()
        self.compute.terminate_instance(self.context, self.instance, bdms)
        self.assertEqual(['post_delete'], [
            event for event in self._take() if event == 'post_delete'])

    def test_a_delete_that_fails_is_no_deletion(self):
        def fail():
            with compute_utils.notify_about_instance_delete(
                    mock.Mock(), self.context, self.instance):
                raise test.TestingException()
        self.assertRaises(test.TestingException, fail)
        self.assertEqual(['updated'], self._take())

    def test_a_server_put_in_error_is_an_event(self):
        self.compute._set_instance_obj_error_state(self.instance)
        self.assertEqual(['updated'], self._take())

    def test_new_addresses_are_an_event(self):
        new = network_model.NetworkInfo([
            fake_network_cache_model.new_vif()])
        for _ in range(2):
            neutron.update_instance_cache_with_nw_info(
                mock.Mock(), self.context, self.instance, nw_info=new)
        # The second time they are not new.
        self.assertEqual(['updated'], self._take())

    def test_addresses_of_a_server_that_is_built_are_no_event(self):
        self.instance.vm_state = vm_states.BUILDING
        neutron.update_instance_cache_with_nw_info(
            mock.Mock(), self.context, self.instance,
            nw_info=network_model.NetworkInfo([
                fake_network_cache_model.new_vif()]))
        self.assertEqual([], self._take())

    def test_a_new_name_is_an_event(self):
        compute_api.API().update_instance(
            self.context, self.instance, {'display_name': 'new'})
        self.assertEqual(['updated'], self._take())
