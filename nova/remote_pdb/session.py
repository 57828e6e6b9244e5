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

"""One session of pdb with a client on a socket.

The code that is debugged must come to no harm by it. Whatever goes wrong in
the debugger, and whichever way the client leaves it, ends the session, and
the code goes on without it.
"""

import contextlib
import ipaddress
import os
import pdb
import socket
import struct
import sys
import threading
import time

from oslo_log import log as logging

import nova.conf

CONF = nova.conf.CONF
LOG = logging.getLogger(__name__)

# Columns of /proc/net/tcp, and the state of a connection that is open at both
# ends. One that is closed at its end has no owner any more, and shows root's.
_LOCAL, _REMOTE, _STATE, _UID = 1, 2, 3, 7
_ESTABLISHED = '01'


def debug(code, function, args, kwargs):
    """Call a function, and have a client debug the call from its beginning.

    Without a client it is called as ever.

    :param code: of the function below its decorators, to stop in
    :returns: what it returns; it raises what it raises
    """
    try:
        connection = _wait_for_client('%s (%s:%d)' % (
            code.co_name, code.co_filename, code.co_firstlineno))
    except OSError as error:
        LOG.warning('The breakpoint lets the call go on, for there is no '
                    'client: %s', error)
        return function(*args, **kwargs)
    session = Session(connection)
    try:
        return session.debug(code, function, args, kwargs)
    finally:
        session.close()
        LOG.warning('The debugger is gone, and the breakpoint is closed.')


def _wait_for_client(where):
    """Listen until somebody comes who is let in; that connection.

    :raises OSError: nobody does within the time, or nobody can
    """
    host, timeout = CONF.remote_pdb.host, CONF.remote_pdb.timeout
    family = (socket.AF_INET6 if ipaddress.ip_address(host).version == 6
              else socket.AF_INET)
    end = time.monotonic() + timeout
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, CONF.remote_pdb.port))
        listener.listen(1)
        LOG.warning(
            'A breakpoint has stopped %(where)s in process %(pid)d. It waits '
            '%(timeout)d s for a debugger: nc %(host)s %(port)d',
            {'where': where, 'pid': os.getpid(), 'timeout': timeout,
             'host': host, 'port': listener.getsockname()[1]})
        while True:
            listener.settimeout(max(end - time.monotonic(), 0.001))
            connection, peer = listener.accept()
            user = _user_of(connection)
            if user in (0, os.geteuid()):
                LOG.warning('User %(user)d debugs, from port %(port)d.',
                            {'user': user, 'port': peer[1]})
                connection.settimeout(timeout)
                return connection
            connection.close()
            LOG.error('User %s came to debug, and is not let in: expected '
                      'root or the user of this service.', user)


def _user_of(connection):
    """The id of the user at the other end; None when it cannot be told.

    The other end is on this machine, so the kernel knows.
    """
    table = ('/proc/net/tcp6' if connection.family == socket.AF_INET6
             else '/proc/net/tcp')
    with contextlib.suppress(OSError), open(table) as lines:
        theirs, ours = connection.getpeername(), connection.getsockname()
        for line in lines:
            fields = line.split()
            if (fields[_LOCAL] == _in_hex(theirs) and
                    fields[_REMOTE] == _in_hex(ours) and
                    fields[_STATE] == _ESTABLISHED):
                return int(fields[_UID])
    return None


def _in_hex(address):
    """An address as it is in /proc/net/tcp: words in the machine's order."""
    packed = ipaddress.ip_address(address[0]).packed
    return '%s:%04X' % (''.join(
        '%08X' % word for word in struct.unpack(
            '=%dI' % (len(packed) // 4), packed)), address[1])


class Session(pdb.Pdb):
    """A session of pdb that does what it debugs no harm.

    :param connection: a socket with a time-out, which is closed in the end
    """

    def __init__(self, connection):
        self._connection = connection
        # One each: a text stream for both forgets, when it is written to,
        # what it has read ahead, which are the client's next commands.
        stdin, stdout = (
            connection.makefile(mode, encoding='utf-8', errors='replace')
            for mode in 'rw')
        # What is in the working or home folder is not run.
        super().__init__(stdin=stdin, stdout=stdout, nosigint=True,
                         readrc=False)
        # Under eventlet this tells green threads apart, which share the trace
        # function of their real one.
        self._thread = threading.get_ident()

    def debug(self, code, function, args, kwargs):
        """As the function of the module."""
        before = sys.gettrace()
        self.reset()
        # Where tracing ends; from here it goes on to the breakpoint.
        self.botframe = sys._getframe()
        error = self.set_break(
            code.co_filename, code.co_firstlineno, temporary=True,
            funcname=code.co_name)
        if error:
            LOG.error('There can be no breakpoint: %s', error)
            return function(*args, **kwargs)
        self.set_continue()
        sys.settrace(self.trace_dispatch)
        try:
            return function(*args, **kwargs)
        finally:
            sys.settrace(before)

    def close(self):
        """Say good-bye to the client, if it is there."""
        self.clear_all_breaks()
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        for stream in (self.stdout, self.stdin):
            with contextlib.suppress(OSError):
                stream.close()
        self._connection.close()

    def trace_dispatch(self, frame, event, arg):
        if threading.get_ident() != self._thread:
            return None
        try:
            return super().trace_dispatch(frame, event, arg)
        except Exception as error:
            # Also what pdb ends the program with, at "quit" or the end of
            # the input.
            LOG.debug('The debugger ends: %r', error)
            self.clear_all_breaks()
            self.set_continue()
            return None

    def set_continue(self):
        super().set_continue()
        if not self.breaks:
            # It does not come back.
            self.close()

    def do_interact(self, arg):
        self.error('it would read from the standard input of the service')

    def do_debug(self, arg):
        self.error('it would start a debugger that does not keep from the '
                   'service what this one does')

    def do_run(self, arg):
        self.error('it would end the session with other arguments of the '
                   'service')

    do_restart = do_run

    def help_pdb(self):
        # Pdb's own goes to a pager in the terminal of the service.
        self.message(pdb.__doc__)
