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
import signal
import sys
import threading
import types
from unittest import mock

import fixtures
from oslo_config import cfg
from oslo_utils.fixture import uuidsentinel as uuids

from nova.api.openstack import wsgi_app
from nova.cmdb import agent
from nova import remote_pdb
from nova import service
from nova import test


class SeamTestCase(test.NoDBTestCase):

    def setUp(self):
        super().setUp()
        self.setup = self.useFixture(fixtures.MockPatchObject(
            remote_pdb, 'setup')).mock

    def test_a_service_sets_it_up_before_its_workers_are_there(self):
        self.useFixture(fixtures.MonkeyPatch('nova.service._launcher', None))
        with mock.patch('oslo_service.service.launch',
                        side_effect=lambda *args, **kwargs:
                        self.setup.assert_called_once_with()) as launch:
            service.serve(mock.sentinel.service)
        launch.assert_called_once()

    def test_the_api_sets_it_up_before_its_workers_are_there(self):
        with mock.patch('oslo_service.service.ProcessLauncher',
                        side_effect=lambda *args, **kwargs:
                        self.setup.assert_called_once_with()) as launcher:
            service.process_launcher()
        launcher.assert_called_once()

    def test_a_wsgi_application_sets_it_up(self):
        wsgi_app.init_global_data.reset()
        self.addCleanup(wsgi_app.init_global_data.reset)
        with mock.patch('nova.config.parse_args'), \
                mock.patch('oslo_log.log.setup'), \
                mock.patch.object(wsgi_app.gmr, 'TextGuruMeditation'):
            wsgi_app.init_global_data([], 'osapi_compute')
        self.setup.assert_called_once_with()

    def test_the_cmdb_agent_sets_it_up_before_it_takes_messages(self):
        with mock.patch('nova.config.parse_args'), \
                mock.patch('oslo_log.log.setup'), \
                mock.patch('nova.objects.register_all'), \
                mock.patch('logging.shutdown'), \
                mock.patch('os._exit'), \
                mock.patch.object(agent._Service, 'run', side_effect=lambda:
                                  self.setup.assert_called_once_with(
                                      default=agent._BREAK_AT)) as run:
            agent.main()
        run.assert_called_once()


class SetupTestCase(test.NoDBTestCase):

    def setUp(self):
        super().setUp()
        # What is debugged; a real session is in test_session.
        self.debugged = []
        self.useFixture(fixtures.MockPatchObject(
            remote_pdb.session, 'debug', self._debug))
        self.addCleanup(signal.signal, remote_pdb.SIGNAL,
                        signal.getsignal(remote_pdb.SIGNAL))
        self.module = types.ModuleType('to_debug')
        self.module.double = lambda number: number * 2
        self.module.Class = type('Class', (), {
            'method': lambda self, number: number * 3,
            'static': staticmethod(lambda number: number * 4),
            'of_class': classmethod(lambda cls, number: (cls, number)),
        })
        self.useFixture(fixtures.MonkeyPatch(
            'sys.modules', dict(sys.modules, to_debug=self.module)))
        self.flags(group='remote_pdb', enabled=True)

    def _debug(self, code, function, args, kwargs):
        self.debugged.append(args)
        return function(*args, **kwargs)

    def _set_up(self, *names, **options):
        self.flags(group='remote_pdb', break_at=names, **options)
        remote_pdb.setup()

    @staticmethod
    def _signal():
        os.kill(os.getpid(), remote_pdb.SIGNAL)

    def test_when_it_is_off_nothing_is_touched(self):
        before = signal.getsignal(remote_pdb.SIGNAL)
        function = self.module.double
        self._set_up('to_debug:double', enabled=False, open_at_start=True)
        self.assertEqual(before, signal.getsignal(remote_pdb.SIGNAL))
        self.assertIs(function, self.module.double)

    def test_until_it_is_opened_nothing_is_debugged(self):
        self._set_up('to_debug:double')
        self.assertEqual(4, self.module.double(2))
        self.assertEqual([], self.debugged)

    def test_the_signal_opens_it_for_one_call(self):
        self._set_up('to_debug:double')
        self._signal()
        self.assertEqual([2, 4, 6], [
            self.module.double(number) for number in (1, 2, 3)])
        self.assertEqual([(1,)], self.debugged)

    def test_two_signals_open_it_for_one_call(self):
        self._set_up('to_debug:double')
        self._signal()
        self._signal()
        self.module.double(1)
        self.module.double(2)
        self.assertEqual([(1,)], self.debugged)

    def test_nobody_is_debugged_while_somebody_is(self):
        self._set_up('to_debug:double')

        def debug(code, function, args, kwargs):
            self.debugged.append(args)
            # One that comes meanwhile, as from another thread.
            self._signal()
            other = threading.Thread(target=self.module.double, args=(7,))
            other.start()
            other.join()
            return function(*args, **kwargs)

        with mock.patch.object(remote_pdb.session, 'debug', debug):
            self._signal()
            self.assertEqual(2, self.module.double(1))
        self.assertEqual([(1,)], self.debugged)

    def test_the_next_one_can_be_debugged_when_one_has_failed(self):
        self._set_up('to_debug:double')
        self._signal()
        self.assertRaises(TypeError, self.module.double, None)
        self._signal()
        self.module.double(2)
        self.assertEqual([(None,), (2,)], self.debugged)

    def test_it_closes_when_nobody_comes_by_in_time(self):
        self._set_up('to_debug:double', timeout=60)
        with mock.patch('time.monotonic', return_value=1000.0):
            self._signal()
        with mock.patch('time.monotonic', return_value=1060.5):
            self.module.double(1)
        self.assertEqual([], self.debugged)

    def test_it_can_be_open_from_the_start_for_whoever_comes(self):
        self._set_up('to_debug:double', open_at_start=True)
        with mock.patch('time.monotonic', return_value=10.0 ** 9):
            self.module.double(1)
            self.module.double(2)
        self.assertEqual([(1,)], self.debugged)

    def test_methods_of_each_kind_can_be_named(self):
        self._set_up('to_debug:Class.method', 'to_debug:Class.static',
                     'to_debug:Class.of_class')
        one = self.module.Class()
        for call in (one.method, one.static, one.of_class):
            self._signal()
            call(5)
        self.assertEqual([(one, 5), (5,), (self.module.Class, 5)],
                         self.debugged)
        self.assertEqual((15, 20, (self.module.Class, 5)), (
            one.method(5), one.static(5), one.of_class(5)))

    def test_unless_told_it_is_where_requests_start(self):
        installed = []
        with mock.patch.object(remote_pdb, '_install',
                               lambda name, _opened: installed.append(name)):
            self._set_up()
        self.assertEqual(list(remote_pdb.REQUESTS), installed)

    def test_a_delivery_of_the_cmdb_agent_can_be_debugged(self):
        self.useFixture(fixtures.MonkeyPatch(
            'nova.cmdb.agent.Agent._deliver',
            lambda self, server_id, sent: server_id))
        remote_pdb.setup(default=agent._BREAK_AT)
        one = agent.Agent(mock.sentinel.driver, mock.Mock())
        self._signal()
        # In a native thread, as those are that take messages.
        other = threading.Thread(
            target=one._handle, args=(uuids.server, '2026-11-27 12:00:00'))
        other.start()
        other.join()
        self.assertEqual([(one, uuids.server, mock.ANY)], self.debugged)

    def test_break_at_goes_before_the_default(self):
        self.flags(group='remote_pdb', break_at=['to_debug:double'])
        remote_pdb.setup(default=('no_such_module:function',))
        self._signal()
        self.module.double(1)
        self.assertEqual([(1,)], self.debugged)

    def test_where_requests_start_is_there(self):
        for name in remote_pdb.REQUESTS:
            module, _colon, path = name.partition(':')
            owner, method = path.split('.')
            self.useFixture(fixtures.MonkeyPatch(
                '%s.%s' % (module, path),
                getattr(getattr(sys.modules[module], owner), method)))
        self._set_up()
        from oslo_messaging.rpc import dispatcher
        self._signal()
        one = dispatcher.RPCDispatcher([], None)
        self.assertRaises(AttributeError, one.dispatch, None)
        self.assertEqual([(one, None)], self.debugged)

    def test_what_is_not_there_is_refused(self):
        for name in ('to_debug:nothing', 'no_such_module:double', 'to_debug',
                     'to_debug:Class', 'to_debug:Class.nothing.more', ':x'):
            self.assertRaisesRegex(
                remote_pdb.BreakpointNotFound,
                r"\[remote_pdb\] break_at: '%s': .*Expected module:function"
                % name, self._set_up, name)

    def test_addresses_of_loopback_are_taken(self):
        for host in ('127.0.0.1', '127.3.2.1', '::1'):
            self._set_up('to_debug:double', host=host)

    def test_an_address_that_others_reach_is_refused(self):
        for host in ('0.0.0.0', '::', '192.0.2.1', '::ffff:127.0.0.1'):
            path = self.useFixture(fixtures.TempDir()).join('nova.conf')
            with open(path, 'w') as conf:
                conf.write('[remote_pdb]\nenabled = true\nhost = %s\n' % host)
            conf = cfg.ConfigOpts()
            remote_pdb.nova.conf.remote_pdb.register_opts(conf)
            conf(['--config-file', path])
            with mock.patch.object(remote_pdb, 'CONF', conf):
                self.assertRaisesRegex(
                    cfg.ConfigFileValueError,
                    'host .*not valid: %s is not a loopback address' % host,
                    remote_pdb.setup)
