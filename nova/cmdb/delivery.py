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

"""Bring the CMDB in line with one server, and wait when it cannot be done.

Two agents may do the same server at the same time, and the one that has read
the older state may be the last to write it. So whoever has written reads the
server again, and writes again if it has changed since. The last write is
followed by such a look too, hence it is the truth, or another follows. Whoever
dies before the look has not acknowledged its message, and it is done again.
"""

import random
import threading
import time
import typing as ty

from oslo_log import log as logging

from nova.cmdb.drivers import base
from nova.cmdb import errors
from nova.cmdb import record as cmdb_record
import nova.conf

CONF = nova.conf.CONF
LOG = logging.getLogger(__name__)

# A server that has changed so often while we looked is done later.
_MOST_ROUNDS = 10

_FIRST_DELAY = 0.5
# The longest time for which a CMDB may ask us to wait, in seconds.
_MOST_RETRY_AFTER = 600


def settle(driver: base.Driver, servers: cmdb_record.Servers,
           server_id: str) -> None:
    """Make the CMDB's entry what the server is now.

    :raises errors.Unavailable: try again
    :raises errors.Rejected: the CMDB does not take this record
    :raises Exception: the server cannot be read: try again
    """
    record = servers.read(server_id)
    for _ in range(_MOST_ROUNDS):
        if record is None:
            driver.delete(server_id)
        else:
            driver.put(record)
        before, record = record, servers.read(server_id)
        if record == before:
            return
    raise errors.Unavailable('the server changes all the time')


class Stopped(Exception):
    """There is no time left to wait: the service is to end."""


class Waited(Exception):
    """The deadline has come before one's turn."""


class Gate:
    """Where all threads of an agent wait while the CMDB does not work.

    Once a request has failed, one at a time is let through, after a pause
    that grows; the first that succeeds opens the gate for all.

    :param stopping: set when nobody shall wait any longer
    """

    def __init__(self, stopping: threading.Event):
        self._stopping = stopping
        self._lock = threading.Lock()
        self._failures = 0
        self._open_at = 0.0
        # The thread that tries whether the CMDB works again.
        self._probing: ty.Optional[int] = None

    def enter(self, deadline: ty.Optional[float] = None) -> None:
        """Wait for one's turn.

        :param deadline: in the clock of time.monotonic()
        :raises Stopped: the service is to end
        :raises Waited: the deadline has come
        """
        while not self._stopping.is_set():
            with self._lock:
                now = time.monotonic()
                wait = self._open_at - now
                if not self._failures:
                    return
                if wait <= 0 and self._probing is None:
                    self._probing = threading.get_ident()
                    return
            if deadline is not None and now >= deadline:
                raise Waited()
            # Short enough to see soon that the gate has opened.
            self._stopping.wait(min(max(wait, 0.05), 1))
        raise Stopped()

    def succeeded(self) -> None:
        with self._lock:
            recovered, self._failures = self._failures, 0
            self._probing = None
        if recovered:
            LOG.info('The CMDB works again.')

    def left(self) -> None:
        """Neither success nor failure: the next one may try."""
        with self._lock:
            if self._probing == threading.get_ident():
                self._probing = None

    def failed(self, error: errors.Unavailable) -> None:
        with self._lock:
            now = time.monotonic()
            probe = self._probing == threading.get_ident()
            if probe:
                self._probing = None
            elif self._failures:
                # It was under way when the first one failed.
                return
            delay = min(CONF.cmdb.retry_max_delay,
                        _FIRST_DELAY * 2 ** min(self._failures, 16))
            delay *= random.uniform(0.5, 1)
            if error.retry_after:
                # Not all agents at the same second.
                delay = max(delay, random.uniform(1, 1.1) * min(
                    error.retry_after, _MOST_RETRY_AFTER))
            self._open_at = now + delay
            self._failures += 1
            first = self._failures == 1
        LOG.log(logging.WARNING if first else logging.DEBUG,
                'The CMDB does not work: %(error)s. It is tried again in '
                '%(delay).1f s, and so on until it does.',
                {'error': error, 'delay': delay})

    def call(self, function, *args, tries=None, deadline=None):
        """Call a function that asks the CMDB, until it has worked.

        :param tries: how often at most; None for as often as it takes
        :param deadline: see enter
        :raises errors.Unavailable: the last try has failed too
        :raises Stopped: the service is to end
        :raises Waited: the deadline has come
        :raises Exception: what else the function raises
        """
        while True:
            self.enter(deadline)
            try:
                result = function(*args)
            except errors.Unavailable as error:
                self.failed(error)
                if tries is not None:
                    tries -= 1
                    if tries <= 0:
                        raise
            except errors.Rejected:
                # It has answered.
                self.succeeded()
                raise
            except BaseException:
                self.left()
                raise
            else:
                self.succeeded()
                return result
