"""Which process is running, by a file with its id."""

import os
import pathlib
import signal
import time


class PidFile:
    """
    :param path: of the file
    :param word: one of the words of the process' command line, by which it is
        known: the id may be another process's by now
    """

    def __init__(self, path, word):
        self._path, self._word = path, str(word).encode()

    def write(self, pid):
        self._path.write_text('%d\n' % pid)

    def pid(self):
        """Of the running process; None when there is none."""
        try:
            pid = int(self._path.read_text())
            words = pathlib.Path(
                '/proc/%d/cmdline' % pid).read_bytes().split(b'\0')
        except (OSError, ValueError):
            return None
        return pid if self._word in words else None

    def wait(self, seconds):
        """Wait for its end, for so long at most."""
        end = time.monotonic() + seconds
        while self.pid() and time.monotonic() < end:
            time.sleep(0.1)

    def end(self, seconds=5):
        """End it: ask for it first, and after so many seconds no more."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            pid = self.pid()
            if pid:
                os.kill(pid, number)
                self.wait(seconds)
