"""A RabbitMQ server of the tests' own, in a folder.

It is the distribution's server without its packaging: its own node name,
cookie, ports and port mapper (epmd), all on loopback.
"""

import os
import pathlib
import shutil
import socket
import subprocess

from process import free_port
from process import Process
from process import until


class Missing(Exception):
    """What this machine lacks to run a RabbitMQ."""


def _server():
    found = sorted(pathlib.Path('/usr/lib/rabbitmq/lib').glob(
        'rabbitmq_server-*/sbin/rabbitmq-server'))
    if not found or not shutil.which('epmd'):
        raise Missing('rabbitmq-server is not installed: '
                      'tools/setup.sh services')
    return found[-1]


class Server:
    """
    :param folder: where everything is
    :raises Missing: there is no RabbitMQ to run
    """

    def __init__(self, folder):
        self._command = _server()
        self.folder = folder
        self.port = free_port()
        self._process = None
        mapper = free_port()
        (folder / 'conf').write_text(
            'listeners.tcp.1 = 127.0.0.1:%d\n'
            'log.file.level = warning\n' % self.port)
        (folder / 'plugins').write_text('[].\n')
        self._environment = dict(
            os.environ, HOME=str(folder),
            RABBITMQ_NODENAME='fork%d@localhost' % self.port,
            RABBITMQ_DIST_PORT=str(free_port()),
            RABBITMQ_MNESIA_BASE=str(folder / 'mnesia'),
            RABBITMQ_LOG_BASE=str(folder / 'log'),
            RABBITMQ_CONFIG_FILE=str(folder / 'conf'),
            RABBITMQ_ENABLED_PLUGINS_FILE=str(folder / 'plugins'),
            RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=(
                '+S 1:1 +sbwt none'
                ' -kernel inet_dist_use_interface {127,0,0,1}'),
            ERL_EPMD_PORT=str(mapper), ERL_EPMD_ADDRESS='127.0.0.1',
            # Erlang takes the place of the script that starts it, and so ends
            # with the test run as that would. As its child it stayed.
            RUNNING_UNDER_SYSTEMD='true')
        # Else Erlang starts one that stays for ever.
        self._mapper = Process(
            ['epmd', '-port', mapper, '-address', '127.0.0.1'],
            folder / 'epmd.log', self._environment)

    @property
    def url(self):
        """For Nova's configuration."""
        return 'rabbit://guest:guest@127.0.0.1:%d/' % self.port

    def control(self, *words):
        """Run rabbitmqctl; what it says."""
        done = subprocess.run(
            [self._command.with_name('rabbitmqctl'), '--quiet', *words],
            env=self._environment, stdin=subprocess.DEVNULL, text=True,
            capture_output=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(self):
        self._process = Process([self._command], self.folder / 'output',
                                self._environment)
        until('RabbitMQ listens', self._listens, seconds=120)

    def _listens(self):
        if self._process.ended():
            raise AssertionError('RabbitMQ has ended:\n%s'
                                 % self._process.text()[-3000:])
        with socket.socket() as probe:
            return probe.connect_ex(('127.0.0.1', self.port)) == 0

    def kill(self):
        """End it as a crash would; its durable queues are on disk."""
        self._process.kill()

    def stop(self):
        if self._process:
            self._process.kill()
        self._mapper.kill()
