"""Processes that the tests start, and how they wait for them."""

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import time

sys.path.append(str(pathlib.Path(__file__).parents[2] / 'devcloud'))

import ports  # noqa: E402


def until(what, probe, seconds=60, pause=0.05):
    """Call `probe` until it returns something true, and return that.

    :raises AssertionError: it did not within `seconds`; with what it returned
    """
    end = time.monotonic() + seconds
    while True:
        found = probe()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError('not within %g s: %s; last: %r' % (
                seconds, what, found))
        time.sleep(pause)


def free_port():
    """A port of loopback that nobody listens on, nor is given by the kernel.
    """
    port, = ports.free(1)
    return port


class Process:
    """A process with its children, its output in a file.

    :param log: path of that file, which is appended to
    """

    def __init__(self, command, log, env=None):
        self.log = log
        with open(log, 'ab') as stream:
            # It ends with the test run, however that one ends.
            self._popen = subprocess.Popen(
                ['setpriv', '--pdeathsig', 'KILL', '--',
                 *[str(word) for word in command]], env=env,
                stdin=subprocess.DEVNULL, stdout=stream, stderr=stream,
                start_new_session=True)
        self.pid = self._popen.pid

    def children(self):
        """The ids of its children, sorted."""
        with contextlib.suppress(OSError):
            return sorted(map(int, pathlib.Path(
                '/proc/%d/task/%d/children' % (self.pid, self.pid)
            ).read_text().split()))
        return []

    def ended(self):
        return self._popen.poll() is not None

    def wait(self, seconds=60):
        """Wait for its end; its exit status."""
        return self._popen.wait(seconds)

    def kill(self):
        """End it and its children at once, as the kernel would."""
        # Until it is waited for, nobody else gets its id.
        if self._popen.returncode is None:
            os.killpg(self.pid, signal.SIGKILL)
            self._popen.wait()

    @contextlib.contextmanager
    def frozen(self):
        """It does nothing, and its connections stay open."""
        os.kill(self.pid, signal.SIGSTOP)
        try:
            until('process %d stopped' % self.pid, self._is_stopped)
            yield
        finally:
            os.kill(self.pid, signal.SIGCONT)

    def _is_stopped(self):
        stat = pathlib.Path('/proc/%d/stat' % self.pid).read_text()
        # The state follows the name, which ends with the last bracket.
        return stat.rpartition(')')[2].split()[0] == 'T'

    def text(self):
        """All it has said."""
        return self.log.read_text(errors='replace')
