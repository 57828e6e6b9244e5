"""The name spaces in which the cloud runs, and the supervisor in them.

For network, mounts and processes: the bridges, rules and guests of the cloud
are in no list of the machine's, the machine's libvirt is not touched, and when
the first process ends, so does everything. Sockets are in a /run of its own,
which is reached through /proc.
"""

import os
import pathlib
import re
import signal
import subprocess
import sys
import time
import xmlrpc.client

from supervisor import xmlrpc as supervisor_xmlrpc

import libvirt_folders
import pid_file

# $1: the process in the machine's network name space; then the supervisor.
_SCRIPT = '''
mount -t tmpfs tmpfs /run
mkdir /run/lock /run/netns
touch /run/machine-net
mount --bind "/proc/$1/ns/net" /run/machine-net
mount -t proc proc /proc
# That of the network: neutron reads of its bridges there.
mount -t sysfs sysfs /sys
''' + libvirt_folders.SCRIPT + '''
ip link set lo up
# neutron names its agent after the address of a network card.
ip link add uplink type bridge
shift
# Not exec: this process waits for orphans, which a supervisor would note.
"$@"; exit
'''


class NotRunning(Exception):
    pass


class Namespaces:
    """
    :param settings: a Settings
    """

    def __init__(self, settings):
        self._settings = settings
        self._process = pid_file.PidFile(
            settings.folder / 'pid', self._supervisor_conf)

    def pid(self):
        """Of the process that made them; None when there is none."""
        return self._process.pid()

    @property
    def _supervisor_conf(self):
        return str(self._settings.etc / 'supervisord.conf')

    def start(self):
        with open(self._settings.logs / 'namespaces.log', 'ab') as log:
            process = subprocess.Popen(
                ['unshare', '--mount', '--net', '--pid', '--fork',
                 '--kill-child', 'bash', '-euc', _SCRIPT, 'bash',
                 str(os.getpid()), sys.executable, '-m',
                 'supervisor.supervisord', '--configuration',
                 self._supervisor_conf],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True)
        self._process.write(process.pid)
        # For a moment a new process has no command line.
        while process.poll() is None and not self.pid():
            time.sleep(0.01)

    def _first(self):
        """The id of the first process in them, in the machine's /proc."""
        pid = self.pid()
        try:
            first, = pathlib.Path('/proc/%d/task/%d/children' % (
                pid, pid)).read_text().split()
        except (OSError, TypeError, ValueError):
            raise NotRunning()
        return first

    def supervisor(self):
        """The supervisor's interface.

        :raises NotRunning: there is none that listens
        """
        path = pathlib.Path('/proc', self._first(), 'root/run/supervisor.sock')
        # Before its own is mounted, /run is still the machine's.
        if not path.with_name('machine-net').exists() or not path.exists():
            raise NotRunning()
        return xmlrpc.client.ServerProxy(
            'http://127.0.0.1', supervisor_xmlrpc.SupervisorTransport(
                serverurl='unix://%s' % path)).supervisor

    def listens(self, port):
        """Whether somebody in them listens on a port.

        To connect is no way to tell: debugpy takes anybody for an editor.
        """
        found = pathlib.Path('/proc', self._first(), 'net/tcp').read_text()
        return bool(re.search(
            r'(?m)^ *\d+: \w{8}:%04X 0{8}:0{4} 0A ' % port, found))

    def command(self, *words):
        """The words of a command that runs in them."""
        return ['nsenter', '--target', self._first(), '--mount', '--net',
                '--pid', '--', *map(str, words)]

    def end(self):
        """End everything in them."""
        pid = self.pid()
        if not pid:
            return
        try:
            self.supervisor().shutdown()
        except (NotRunning, OSError, xmlrpc.client.Error):
            pass
        else:
            self._process.wait(60)
        if self.pid():
            # What is in them ends with it.
            os.kill(pid, signal.SIGKILL)
            self._process.wait(10)
