"""The portal of the cloud of real services: who gets through it."""

import os
import pathlib
import socket
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.skipif(
    os.geteuid(), reason='needs root, for a name space and other users')

PORTAL = pathlib.Path(__file__).parents[2] / 'devcloud/real/portal.py'
SUDOER, NOBODY = 4711, 65534

_INNER = '''
import socket, subprocess, sys
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("listens", flush=True)
while True:
    listener.accept()[0].sendall(b"inside")
'''

_CLIENT = '''
import socket, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as connection:
    try:
        print(connection.recv(99).decode() or "closed")
    except ConnectionResetError:
        print("closed")
'''


class Portal:
    """A portal into a name space in which a server says "inside"."""

    def __init__(self, log, *options, **environment):
        with socket.socket() as probe:
            probe.bind(('127.0.0.1', 0))
            self.port = str(probe.getsockname()[1])
        self.log = log
        self._inner = subprocess.Popen(
            ['unshare', '--net', sys.executable, '-c', _INNER, self.port],
            stdout=subprocess.PIPE)
        assert self._inner.stdout.readline()
        with open(log, 'w') as stderr:
            self._portal = subprocess.Popen(
                ['nsenter', '--net=/proc/%d/ns/net' % self._inner.pid,
                 sys.executable, PORTAL, '/proc/%d/ns/net' % os.getpid(),
                 *options, self.port], stderr=stderr,
                env={'PATH': os.environ['PATH'], **environment})

    def close(self):
        for process in (self._portal, self._inner):
            process.kill()
            process.wait()
        self._inner.stdout.close()

    def wait(self):
        end = time.monotonic() + 30
        while self.as_user(0) != 'inside':
            assert time.monotonic() < end, self.log.read_text()
            time.sleep(0.05)
        return self

    def as_user(self, user):
        """What somebody is told who connects; '' if nobody listens."""
        return subprocess.run(
            ['setpriv', '--reuid', str(user), '--clear-groups',
             sys.executable, '-c', _CLIENT, self.port],
            text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            timeout=30).stdout.strip()


@pytest.fixture
def portal(tmp_path):
    """A function that opens one."""
    made = []

    def opened(*options, **environment):
        made.append(Portal(tmp_path / 'log', *options, **environment))
        return made[-1].wait()

    yield opened
    for one in made:
        one.close()


def test_anybody_gets_through_one_that_is_not_guarded(portal):
    assert portal().as_user(NOBODY) == 'inside'


def test_only_root_gets_through_a_guarded_one(portal):
    guarded = portal('--guarded')
    assert guarded.as_user(NOBODY) == 'closed'
    assert guarded.as_user(0) == 'inside'
    assert 'User %d is not let in to port %s' % (
        NOBODY, guarded.port) in guarded.log.read_text()


def test_who_came_through_sudo_gets_through_a_guarded_one(portal):
    guarded = portal('--guarded', SUDO_UID=str(SUDOER))
    assert guarded.as_user(SUDOER) == 'inside'
    assert guarded.as_user(NOBODY) == 'closed'
