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

"""A breakpoint that is opened in a running service, for pdb over a socket.

Off unless ``[remote_pdb] enabled``. Then the functions of ``break_at`` look,
when they are called, whether the breakpoint is open. The signal's handler only
opens it: the call that comes by closes it, listens, and is debugged in its own
(green) thread, so whatever needs neither that thread nor a lock that it holds
goes on. A debugger that fails, or has no client any more, lets the call go on.

The signal is URG, which a program ignores unless it says otherwise: sent to a
service that has this off, USR1 or a real-time signal would end it. GMR has
USR2, oslo.service HUP, TERM, INT and ALRM, and servers of WSGI applications
USR1 and WINCH.
"""

import functools
import importlib
import inspect
import math
import signal
import threading
import time

from oslo_log import log as logging

import nova.conf
from nova import exception
from nova.i18n import _
from nova.remote_pdb import session

CONF = nova.conf.CONF
LOG = logging.getLogger(__name__)

SIGNAL = signal.SIGURG

# Where requests start: those of the API, and RPCs.
REQUESTS = (
    'nova.api.openstack.wsgi:Resource.dispatch',
    'oslo_messaging.rpc.dispatcher:RPCDispatcher.dispatch',
)


class BreakpointNotFound(exception.NovaException):
    msg_fmt = _("[remote_pdb] break_at: '%(name)s': %(reason)s. Expected "
                "module:function or module:Class.method, of Python code.")


class Breakpoint:
    """Open or closed; who comes by an open one closes it.

    :param timeout: seconds for which open() opens it
    """

    def __init__(self, timeout):
        self._timeout = timeout
        # In the clock of time.monotonic(); None while it is closed.
        self._open_until = None
        # Held during a session.
        self._session = threading.Lock()

    def open(self, *args):
        """For one call. A handler of signals: it may interrupt anything, so
        it neither waits nor logs.
        """
        self._open_until = time.monotonic() + self._timeout

    def open_for_good(self):
        """For one call, however late it comes."""
        self._open_until = math.inf

    def wrap(self, function):
        """What to have in the place of a function for the breakpoint there."""
        code = inspect.unwrap(function).__code__

        @functools.wraps(function)
        def stop_if_open(*args, **kwargs):
            # As cheap as it gets: it is closed nearly always.
            if self._open_until is None or not self._session.acquire(
                    blocking=False):
                return function(*args, **kwargs)
            try:
                if not self._close():
                    return function(*args, **kwargs)
                return session.debug(code, function, args, kwargs)
            finally:
                self._session.release()

        return stop_if_open

    def _close(self):
        """:returns: whether it was still open"""
        until, self._open_until = self._open_until, None
        return until is not None and time.monotonic() < until


def _install(name, breakpoint_):
    """Put the breakpoint into a function.

    :param name: as in break_at
    :raises BreakpointNotFound: it cannot be
    """
    module_name, _colon, path = name.partition(':')
    *parents, last = path.split('.')
    try:
        owner = functools.reduce(
            getattr, parents, importlib.import_module(module_name))
        found = inspect.getattr_static(owner, last)
        # Of a static or class method, what is in it.
        kind = type(found) if isinstance(
            found, (staticmethod, classmethod)) else None
        wrapped = breakpoint_.wrap(found.__func__ if kind else found)
    except (ImportError, AttributeError, ValueError) as error:
        raise BreakpointNotFound(name=name, reason=error)
    setattr(owner, last, kind(wrapped) if kind else wrapped)


def setup(default=REQUESTS):
    """Make this process able to open a breakpoint, if it is to.

    To be called in the main thread, once, before requests are taken; what it
    does is inherited by workers that are forked.

    :param default: where it is unless break_at says so; names as in break_at
    :raises BreakpointNotFound: break_at names what is not there
    :raises oslo_config.cfg.ConfigFileValueError: an option has a value that it
        may not have, such as a host that others can reach
    """
    conf = CONF.remote_pdb
    if not conf.enabled:
        return
    # Looked at now, so that a service with a bad one does not start.
    host = conf.host
    opened = Breakpoint(conf.timeout)
    names = conf.break_at or default
    for name in names:
        _install(name, opened)
    if conf.open_at_start:
        opened.open_for_good()
    signal.signal(SIGNAL, opened.open)
    LOG.warning('This service can be debugged: the signal %(signal)s opens a '
                'breakpoint, on %(host)s, in %(names)s.',
                {'signal': SIGNAL.name, 'host': host,
                 'names': ', '.join(names)})
