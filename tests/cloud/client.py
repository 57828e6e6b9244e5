"""The cloud as its users have it: through the openstack client."""

import itertools
import json
import os
import pathlib
import subprocess
import urllib.request

import http_cmdb

DEVCLOUD = pathlib.Path(__file__).parents[2] / 'devcloud'


class Refused(Exception):
    """What the client says of a command that failed."""


class Cloud:
    """
    :param fork: a patchqueue.fork.Fork
    :param folder: of the cloud
    """

    #: those with the fake driver
    hosts = ()
    #: an image for servers on these hosts
    image = None

    def __init__(self, fork, folder):
        self.fork, self.folder = fork, folder
        self._openstack = fork.build / 'venv/client-2024.1/bin/openstack'
        self._names = map('server%d'.__mod__, itertools.count(1))

    def command(self, *words):
        """The words of its control program's command."""
        raise NotImplementedError()

    def control(self, *words, seconds=240, **environment):
        """Start or stop it, or what else there is; what that says.

        :param environment: variables beside the present ones
        :raises Refused: it failed
        """
        done = subprocess.run(
            self.command(*words), stdin=subprocess.DEVNULL, text=True,
            env=dict(os.environ, **environment), capture_output=True,
            timeout=seconds)
        if done.returncode:
            raise Refused(done.stdout + done.stderr)
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
            timeout=300)
        if done.returncode:
            raise Refused(done.stdout + done.stderr)
        return json.loads(done.stdout) if parse else done.stdout

    def create(self, flavor, user='devcloud', image=None, network='none'):
        """A server, which is there; its name."""
        name = next(self._names)
        self.openstack(
            'server', 'create', '--flavor', flavor, '--image',
            image or self.image, '--network' if network != 'none' else '--nic',
            network, '--wait', name, user=user)
        return name

    def show(self, name):
        return self.openstack('server', 'show', name, parse=True)

    def host(self, name):
        return self.show(name)['OS-EXT-SRV-ATTR:host']

    def url(self, name):
        """Of an API, without a path."""
        ports = json.loads((self.folder / 'ports.json').read_text())
        return 'http://127.0.0.1:%d' % ports[name]

    def records(self):
        """What the CMDB knows: its records, by the servers' ids."""
        request = urllib.request.Request(
            self.url('cmdb') + '/vms?limit=1000',
            headers={'Authorization': 'Bearer ' + http_cmdb.TOKEN})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return {one['id']: one for one in json.load(answer)['vms']}


class Embedded(Cloud):
    hosts = ('host1', 'host2', 'host3')
    image = 'fakeimage7'

    def command(self, *words):
        return [self.fork.python, '-P', DEVCLOUD / 'control.py', '--folder',
                self.folder, '--tree', self.fork.tree, *words]
