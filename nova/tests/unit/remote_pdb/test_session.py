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

import functools
import inspect
import os
import socket
import sys
import threading
from unittest import mock

from nova.remote_pdb import session
from nova import test
from nova.tests.fixtures import remote_pdb as pdb_fixtures
from nova import utils


def _decorated(function):
    @functools.wraps(function)
    def decorator(*args, **kwargs):
        return function(*args, **kwargs)
    return decorator


@_decorated
def add(first, second):
    total = first + second
    return total


@_decorated
def divide(first, second):
    return first / second


def double(number):
    return number * 2


def wait_and_double(waits, event, number):
    waits.set()
    event.wait(30)
    return double(number)


class SessionTestCase(test.NoDBTestCase):

    def setUp(self):
        super().setUp()
        self.port = pdb_fixtures.free_port()
        self.flags(group='remote_pdb', port=self.port, timeout=30)

    def _start(self, function, *args):
        """Debug a call in a green thread; that, whose wait() returns what the
        call does.
        """
        started = utils.spawn(
            session.debug, inspect.unwrap(function).__code__, function, args,
            {})
        self.addCleanup(started.kill)
        return started

    def _client(self, **how):
        client = pdb_fixtures.PdbClient(self.port, **how)
        self.addCleanup(client.close)
        return client

    def test_the_call_stops_below_its_decorators_and_goes_on_when_told(self):
        call = self._start(add, 20, 22)
        client = self._client()
        self.assertIn('-> total = first + second', client.read())
        self.assertIn('(20, 22)\n', client.tell('p first, second'))
        self.assertIn('-> return total', client.tell('next'))
        client.tell('!total = 43')
        self.assertEqual('', client.tell('continue'))
        self.assertEqual(43, call.wait())
        self.assertIsNone(sys.gettrace())

    def test_an_ipv6_client_is_served_too(self):
        self.flags(group='remote_pdb', host='::1')
        call = self._start(add, 1, 2)
        client = self._client(host='::1')
        self.assertIn('-> total', client.read())
        client.send('continue')
        self.assertEqual(3, call.wait())

    def test_the_exception_of_the_call_is_raised(self):
        call = self._start(divide, 1, 0)
        client = self._client()
        client.read()
        client.send('continue')
        self.assertRaises(ZeroDivisionError, call.wait)

    def test_quit_lets_the_call_go_on(self):
        call = self._start(add, 1, 2)
        client = self._client()
        client.read()
        self.assertEqual('', client.tell('quit'))
        self.assertEqual(3, call.wait())
        self.assertIsNone(sys.gettrace())

    def test_commands_that_come_at_once_are_all_done(self):
        call = self._start(add, 1, 2)
        client = self._client()
        client.read()
        client.send('next\n!total = 43\ncontinue')
        self.assertEqual(43, call.wait())

    def test_the_session_ends_with_the_call_whatever_is_still_set(self):
        call = self._start(add, 1, 2)
        client = self._client()
        client.read()
        client.tell('break %s:%d' % (
            double.__code__.co_filename, double.__code__.co_firstlineno + 1))
        self.assertEqual('', client.tell('continue'))
        self.assertEqual(3, call.wait())
        self.assertIsNone(sys.gettrace())
        self.assertEqual(4, double(2))

    def test_a_client_that_goes_away_lets_the_call_go_on(self):
        call = self._start(add, 1, 2)
        client = self._client()
        client.read()
        client.close()
        self.assertEqual(3, call.wait())
        self.assertIsNone(sys.gettrace())

    def test_a_client_that_resets_its_connection_lets_the_call_go_on(self):
        call = self._start(add, 1, 2)
        client = self._client()
        client.read()
        # What pdb would say has nowhere to go.
        client._socket.setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')
        client.send('p "x" * 10 ** 7')
        client.close()
        self.assertEqual(3, call.wait())
        self.assertIsNone(sys.gettrace())

    def test_a_client_that_says_nothing_lets_the_call_go_on(self):
        self.flags(group='remote_pdb', timeout=3)
        call = self._start(add, 1, 2)
        self.assertIn('-> total', self._client().read())
        self.assertEqual(3, call.wait())

    def test_bytes_that_are_no_text_do_no_harm(self):
        call = self._start(add, 1, 2)
        client = self._client()
        client.read()
        client._socket.sendall(b'\xff\xfe\n')
        self.assertIn('***', client.read())
        client.send('continue')
        self.assertEqual(3, call.wait())

    def test_without_a_client_the_call_goes_on(self):
        self.flags(group='remote_pdb', timeout=1)
        self.assertEqual(3, self._start(add, 1, 2).wait())
        self.assertIn('there is no client: timed out',
                      self.stdlog.logger.output)

    def test_the_call_goes_on_when_the_port_is_taken(self):
        with socket.socket() as other:
            other.bind(('127.0.0.1', self.port))
            other.listen(1)
            self.assertEqual(3, self._start(add, 1, 2).wait())
        self.assertIn('Address already in use', self.stdlog.logger.output)

    def test_nobody_listens_any_more_once_a_client_is_there(self):
        call = self._start(add, 1, 2)
        client = self._client()
        client.read()
        self.assertRaises(ConnectionRefusedError, self._client, wait=0)
        client.send('continue')
        self.assertEqual(3, call.wait())

    def test_another_user_gets_no_prompt_and_the_call_goes_on_waiting(self):
        with mock.patch.object(session, '_user_of',
                               side_effect=[os.geteuid() + 4711, None, 0]):
            call = self._start(add, 1, 2)
            self.assertEqual('', self._client().read())
            self.assertEqual('', self._client().read())
            client = self._client()
            self.assertIn('-> total', client.read())
        client.send('continue')
        self.assertEqual(3, call.wait())

    def test_steps_do_not_lead_into_another_green_thread(self):
        waits, event, done = threading.Event(), threading.Event(), []
        call = self._start(wait_and_double, waits, event, 1)
        client = self._client()
        client.read()
        client.tell('break %s:%d' % (
            double.__code__.co_filename, double.__code__.co_firstlineno + 1))
        client.send('continue')
        # It is traced, waits for the event, and leaves the thread to others.
        waits.wait(30)
        other = utils.spawn(lambda: done.append(double(5)))
        other.wait()
        self.assertEqual([10], done)
        event.set()
        self.assertIn('-> return number * 2', client.read())
        self.assertIn('1\n', client.tell('p number'))
        client.send('quit')
        self.assertEqual(2, call.wait())

    def test_what_is_in_pdbrc_is_not_run(self):
        home = self.useFixture(test.fixtures.TempDir()).path
        with open(os.path.join(home, '.pdbrc'), 'w') as pdbrc:
            pdbrc.write('p "from a file"\n')
        self.useFixture(test.fixtures.EnvironmentVariable('HOME', home))
        call = self._start(add, 1, 2)
        client = self._client()
        self.assertNotIn('from a file', client.read())
        client.send('continue')
        self.assertEqual(3, call.wait())

    def test_commands_that_would_do_harm_are_refused(self):
        self.useFixture(test.fixtures.MonkeyPatch('sys.argv', ['nova-api']))
        call = self._start(add, 1, 2)
        client = self._client()
        client.read()
        for command in ('interact', 'debug double(1)', 'run --other',
                        'restart --other'):
            self.assertIn('*** it would', client.tell(command))
        self.assertEqual(['nova-api'], sys.argv)
        self.assertIn('-> return total', client.tell('next'))
        client.send('continue')
        self.assertEqual(3, call.wait())

    def test_help_is_for_the_client(self):
        call = self._start(add, 1, 2)
        client = self._client()
        client.read()
        with mock.patch('pydoc.pager') as pager:
            self.assertIn('The Python Debugger', client.tell('help pdb'))
        pager.assert_not_called()
        client.send('continue')
        self.assertEqual(3, call.wait())


class UserTestCase(test.NoDBTestCase):

    def _connect(self, host, family):
        listener = socket.socket(family)
        self.addCleanup(listener.close)
        listener.bind((host, 0))
        listener.listen(1)
        client = socket.socket(family)
        self.addCleanup(client.close)
        client.connect(listener.getsockname())
        connection, _peer = listener.accept()
        self.addCleanup(connection.close)
        return client, connection

    def test_the_user_of_a_connection_is_known(self):
        _client, connection = self._connect('127.0.0.1', socket.AF_INET)
        self.assertEqual(os.geteuid(), session._user_of(connection))

    def test_the_user_of_an_ipv6_connection_is_known(self):
        _client, connection = self._connect('::1', socket.AF_INET6)
        self.assertEqual(os.geteuid(), session._user_of(connection))

    def test_who_has_hung_up_is_nobody(self):
        # The kernel says 0, root, of a connection without a process.
        client, connection = self._connect('127.0.0.1', socket.AF_INET)
        client.sendall(b'p 1\n')
        client.close()
        self.assertIsNone(session._user_of(connection))
