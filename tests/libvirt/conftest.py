"""Set-up of the tests with real guests: a private libvirtd, and a sampler."""

import json
import os
import pathlib
import socket
import sys
import tempfile

import pytest

ROOT = pathlib.Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / 'tools'), str(ROOT / 'tests' / 'services'),
                str(ROOT / 'devcloud' / 'real')]

import guest_image  # noqa: E402
import private_libvirt  # noqa: E402
from patchqueue.fork import Fork  # noqa: E402
from process import Process  # noqa: E402
from process import until  # noqa: E402


class Sampler:
    """A process with Nova's libvirt driver, that is asked for metrics."""

    def __init__(self, fork, uri, folder):
        path = folder / 'sampler.socket'
        self._process = Process(
            [fork.python, pathlib.Path(__file__).with_name('sampler.py'),
             uri, path], folder / 'sampler.log', dict(
                 os.environ, PYTHONWARNINGS='ignore', PYTHONPATH='%s:%s' % (
                     fork.tree, fork.build / 'libvirt-python')))
        self._path = path
        until('the sampler listens', self._listens)

    def _listens(self):
        assert not self._process.ended(), self._process.text()[-3000:]
        return self._path.is_socket()

    def ask(self, *guests):
        """What the source has of guests, by their names, and how many seconds
        it took to tell.
        """
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(60)
            connection.connect(str(self._path))
            connection.sendall(json.dumps(
                [guest.uuid for guest in guests]).encode() + b'\n')
            answer = json.loads(connection.makefile().readline())
        assert 'error' not in answer, answer
        names = {guest.uuid: guest.name for guest in guests}
        return {names[key]: one for key, one in answer['metrics'].items()
                }, answer['seconds']

    def of(self, guest):
        """The metrics of a guest, as the API shows them; None without any."""
        return self.ask(guest)[0].get(guest.name)

    def fresh(self, guest):
        """The metrics of a guest from a sample that is newer than this call.
        """
        before = self.of(guest)
        return until('a new sample', lambda: self._newer(guest, before),
                     pause=0.01)

    def _newer(self, guest, before):
        now = self.of(guest)
        if now and (not before or now['sampled_at'] != before['sampled_at']):
            return now

    def end(self):
        self._process.kill()


@pytest.fixture(scope='session')
def libvirt():
    reason = private_libvirt.missing()
    if reason:
        pytest.skip(reason)
    kernel = ROOT / 'build' / 'guest-kernel'
    if not (kernel / 'boot').exists():
        pytest.skip('%s is not there: tools/setup.sh libvirt' % kernel)
    # A socket's path is short, and pytest's folders are not.
    with tempfile.TemporaryDirectory(prefix='libvirt-') as folder:
        folder = pathlib.Path(folder)
        image = guest_image.build(kernel, folder)
        with private_libvirt.Libvirt(folder, image) as libvirt:
            yield libvirt


@pytest.fixture(scope='session')
def sampler(libvirt):
    sampler = Sampler(Fork(), libvirt.uri, libvirt.folder)
    yield sampler
    sampler.end()
