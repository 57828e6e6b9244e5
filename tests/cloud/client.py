"""The cloud as its users have it: through the openstack client."""

import itertools
import json
import os
import pathlib
import subprocess

CONTROL = pathlib.Path(__file__).parents[2] / 'devcloud' / 'control.py'
IMAGE = 'fakeimage7'


class Refused(Exception):
    """What the client says of a command that failed."""


class Cloud:
    """
    :param fork: a patchqueue.fork.Fork
    :param folder: of the cloud
    """

    def __init__(self, fork, folder):
        self._python, self._tree, self.folder = fork.python, fork.tree, folder
        self._openstack = fork.build / 'venv/client-2024.1/bin/openstack'
        self._names = map('server%d'.__mod__, itertools.count(1))

    def control(self, command, **environment):
        """Start or stop it; what that says."""
        done = subprocess.run(
            [self._python, '-P', CONTROL, command, self.folder,
             '--tree', self._tree], stdin=subprocess.DEVNULL,
            env=dict(os.environ, **environment), text=True,
            capture_output=True, timeout=240)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @property
    def pid(self):
        return int((self.folder / 'pid').read_text())

    def log(self):
        """Nova's."""
        return (self.folder / 'nova.log').read_text()

    def openstack(self, *words, user='devcloud', parse=False):
        """Run the openstack client.

        :param user: the entry of clouds.yaml
        :param parse: the command's output is asked for as JSON
        :returns: its output
        :raises Refused: it failed; with what it said
        """
        done = subprocess.run(
            [self._openstack, '--os-cloud', user, *words,
             *(['-f', 'json'] if parse else [])],
            env=dict(os.environ, PYTHONWARNINGS='ignore',
                     OS_CLIENT_CONFIG_FILE=str(self.folder / 'clouds.yaml')),
            stdin=subprocess.DEVNULL, text=True, capture_output=True,
            timeout=120)
        if done.returncode:
            raise Refused(done.stdout + done.stderr)
        return json.loads(done.stdout) if parse else done.stdout

    def create(self, flavor, user='devcloud'):
        """A server, which is there; its name."""
        name = next(self._names)
        self.openstack(
            'server', 'create', '--flavor', flavor, '--image', IMAGE,
            '--nic', 'none', '--wait', name, user=user)
        return name

    def show(self, name):
        return self.openstack('server', 'show', name, parse=True)

    def host(self, name):
        return self.show(name)['OS-EXT-SRV-ATTR:host']
