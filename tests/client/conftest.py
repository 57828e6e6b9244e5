"""Set-up of the tests of the client: each openstack command, and an API."""

import contextlib
import fcntl
import os
import pathlib
import pty
import re
import signal
import subprocess
import termios
import time

import pytest

import compute_api

ROOT = pathlib.Path(__file__).parents[2]
# As tools/setup.sh makes them: of 2024.1, and a current one.
CLIENTS = ('client-2024.1', 'client-current')

# What a terminal is told and does not show.
_ESCAPES = re.compile(r'\x1b\[[?0-9;]*[A-Za-z]')


class OpenStack:
    """The openstack command of a virtual environment, and an API for it."""

    def __init__(self, venv, api, home):
        self.api = api
        self.command = [
            venv / 'bin' / 'openstack', '--os-auth-type', 'admin_token',
            '--os-token', 'somebody:ops', '--os-endpoint', api.url,
            'server', 'metrics']
        # Nothing of who runs the tests: neither a cloud nor a language.
        self.environment = {'PATH': os.environ['PATH'], 'HOME': str(home),
                            'LC_ALL': 'C.UTF-8', 'TERM': 'xterm',
                            'COLUMNS': '140', 'LINES': '24'}

    def run(self, *words):
        """Run a command to its end; its CompletedProcess, with texts."""
        return subprocess.run(
            [*self.command, *words], env=self.environment, text=True,
            capture_output=True, stdin=subprocess.DEVNULL, timeout=60)

    def watch(self, *words, terminal=True):
        """Start a watch; a Watch."""
        return Watch([*self.command, 'watch', *words], self.environment,
                     terminal)


def _controlled_by_stdin():
    """Make the new process the one that the terminal's Ctrl-C interrupts."""
    fcntl.ioctl(0, termios.TIOCSCTTY)
    # A shell starts what runs in the background with this ignored.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Watch:
    """A running watch. A context manager, which kills what is left of it."""

    def __init__(self, command, environment, terminal):
        ours, theirs = pty.openpty() if terminal else os.pipe()
        self._ours = ours
        self.process = subprocess.Popen(
            command, env=environment, stdout=theirs, stderr=subprocess.STDOUT,
            stdin=theirs if terminal else subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=_controlled_by_stdin if terminal else None)
        self._theirs = theirs
        if not terminal:
            os.close(theirs)
        self.output = ''

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.process.kill()
        self.process.wait()
        os.close(self._ours)

    @property
    def terminal(self):
        """The terminal's end that the watch has, to look at its mode."""
        return self._theirs

    def press(self, key):
        os.write(self._ours, key.encode())

    def until(self, pattern, seconds=30):
        """Read on until what is new in the output has a pattern; the match.
        """
        new = ''
        end = time.monotonic() + seconds
        os.set_blocking(self._ours, False)
        while True:
            found = re.search(pattern, _ESCAPES.sub('', new), re.S)
            if found:
                return found
            assert time.monotonic() < end, '%s is not in %r' % (pattern, new)
            try:
                data = os.read(self._ours, 65536).decode(errors='replace')
            except BlockingIOError:
                data = ''
            new += data
            self.output += data
            time.sleep(0 if data else 0.02)

    def stop_reading(self):
        """Close our end, as the next command of a pipe does when it ends."""
        os.dup2(os.open(os.devnull, os.O_RDONLY), self._ours)

    def end(self, seconds=30):
        """Wait for its end; the exit status."""
        status = self.process.wait(seconds)
        with contextlib.suppress(BlockingIOError):
            while True:
                self.output += os.read(self._ours, 65536).decode()
        return status


@pytest.fixture
def api():
    with compute_api.ComputeAPI() as api:
        yield api


@pytest.fixture(params=CLIENTS)
def openstack(request, api, tmp_path):
    venv = ROOT / 'build' / 'venv' / request.param
    if not (venv / 'bin' / 'openstack').exists():
        pytest.skip('%s is not made: tools/setup.sh client' % venv)
    return OpenStack(venv, api, tmp_path)
