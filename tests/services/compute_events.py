"""A process that is like nova-compute for hooks: Nova's on green threads.

A line of JSON on standard input names a function of this file and its
arguments; a line with what it returned is the answer.
"""

import nova.monkey_patch  # noqa: F401 I100 - first, as in nova-compute

import array
import fcntl
import json
import os
import sys
import termios
import threading
import time
import types

from oslo_log import log as logging

from nova.cmdb import agent
from nova.cmdb import delivery
from nova.cmdb import reconcile
from nova.cmdb import record
from nova.compute import hooks
from nova import config
from nova import context as nova_context
from nova import objects

CONF = config.CONF

ADMIN = nova_context.get_admin_context()


class _Told:
    """The longest that the hooks have kept anybody waiting, in seconds."""

    longest = 0.0

    def __call__(self, event, server_id):
        began = time.monotonic()
        hooks.notify(event, ADMIN, types.SimpleNamespace(
            uuid=server_id, project_id='project', user_id='user'))
        self.longest = max(self.longest, time.monotonic() - began)


tell = _Told()


def longest():
    found, tell.longest = tell.longest, 0.0
    return found


def notify(event, server_id, times=1):
    for _ in range(times):
        tell(event, server_id)


def green_ticks(seconds):
    """How often another green thread had its turn meanwhile."""
    import eventlet
    end, count = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        eventlet.sleep(0.01)
        count += 1
    return count


def restart_after(seconds):
    """Start a hook's process again sooner than a service does."""
    hooks.RESTART_INTERVAL = seconds


def tell_all(event, uuids):
    """Tell the hooks of servers, no faster than they take it.

    No compute node builds servers as fast as this could.
    """
    for uuid in uuids:
        tell(event, uuid)
        for pipe in hooks._PIPES.values():
            while _bytes_in(pipe) > 10000:
                time.sleep(0.01)


def _bytes_in(pipe):
    count = array.array('i', [0])
    fcntl.ioctl(pipe._read_from, termios.FIONREAD, count)
    return count[0]


def diff():
    """What nova-manage cmdb diff finds: pairs of kind and server."""
    found = []
    driver = agent.load_driver()
    try:
        result = reconcile.Reconciler(
            driver, record.Servers(), delivery.Gate(threading.Event()),
            found=lambda kind, server_id, fields: found.append(
                [kind, server_id])).diff()
    finally:
        driver.close()
    assert result.complete
    return found


def main(*options):
    # Logs go to standard output: not among the answers.
    answers = os.fdopen(os.dup(1), 'w')
    os.dup2(2, 1)
    config.parse_args(['nova-compute', *options])
    logging.setup(CONF, 'nova')
    objects.register_all()
    for line in iter(sys.stdin.readline, ''):
        name, *arguments = json.loads(line)
        print(json.dumps(globals()[name](*arguments)), file=answers,
              flush=True)


if __name__ == '__main__':
    main(*sys.argv[1:])
