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

"""What nova-cmdb-agent says of itself, in the text format of Prometheus."""

import os
import threading
import time
import typing as ty

# Name, kind, and what it is, in the order of the file.
_METRICS = (
    ('up', 'gauge', 'The CMDB took the last request (1) or did not (0)'),
    ('delivered_total', 'counter', 'Messages after which the CMDB agreed'),
    ('retried_total', 'counter', 'Attempts that failed and are repeated'),
    ('rejected_total', 'counter', 'Records that the CMDB refused'),
    ('ignored_total', 'counter', 'Messages that name no server'),
    ('held_messages', 'gauge', 'Messages taken off the bus, not yet done'),
    ('lag_seconds', 'gauge', 'Age of the oldest message that is held; '
     '0 with none'),
    ('delivery_seconds', 'gauge', 'Age of the last message when the CMDB '
     'agreed'),
    ('buses', 'gauge', 'Message buses that are listened to'),
    ('drift_missing', 'gauge', 'Servers without a record, when last compared'),
    ('drift_stale', 'gauge', 'Records that differed, when last compared'),
    ('drift_ghosts', 'gauge', 'Records without a server, when last compared'),
    ('reconcile_refused', 'gauge', 'The last comparison found more ghosts '
     'than it may delete'),
    ('reconcile_complete', 'gauge', 'The last comparison saw all cells'),
    ('reconcile_timestamp_seconds', 'gauge', 'When this agent last compared '
     'all servers'),
    ('written_timestamp_seconds', 'gauge', 'When this file was written'),
)

_PREFIX = 'nova_cmdb_agent_'


class Metrics:
    """Counters and gauges by name. It may be used by several threads."""

    def __init__(self):
        self._lock = threading.Lock()
        self._values: ty.Dict[str, float] = {
            name: 0 for name, _kind, _help in _METRICS}
        # When the messages that are held were sent, by a key.
        self._held: ty.Dict[int, float] = {}

    def add(self, name: str, count: float = 1) -> None:
        with self._lock:
            self._values[name] += count

    def set(self, name: str, value: float) -> None:
        with self._lock:
            self._values[name] = value

    def hold(self, key: int, sent: float) -> None:
        """A message was taken off the bus.

        :param sent: when it was sent, in the clock of time.time()
        """
        with self._lock:
            self._held[key] = sent

    def let_go(self, key: int) -> None:
        with self._lock:
            self._held.pop(key, None)

    def snapshot(self) -> ty.Dict[str, float]:
        now = time.time()
        with self._lock:
            return dict(
                self._values,
                held_messages=len(self._held),
                lag_seconds=max([0.0] + [
                    now - sent for sent in self._held.values()]),
                written_timestamp_seconds=now)

    def write(self, path: str) -> None:
        """Replace a file by what is known now; no reader sees half of it.

        :raises OSError: it cannot be written
        """
        values = self.snapshot()
        new = '%s.%d' % (path, os.getpid())
        with open(new, 'w') as stream:
            for name, kind, text in _METRICS:
                name, value = _PREFIX + name, values[name]
                stream.write('# HELP %s %s\n# TYPE %s %s\n%s %s\n' % (
                    name, text, name, kind, name, round(value, 3)))
        os.rename(new, path)
