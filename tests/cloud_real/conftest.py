"""Set-up of the stories on the cloud of real services.

The one of `make cloud-real` is used; it is started, and ended, if none runs.
"""

import os
import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / 'tools'), str(ROOT / 'devcloud'),
                str(ROOT / 'tests' / 'cloud'),
                str(ROOT / 'tests' / 'services')]
pytest.register_assert_rewrite('stories')

import client  # noqa: E402
from fixtures import no_settings_of_the_caller  # noqa: E402, F401
from fixtures import server  # noqa: E402, F401
from patchqueue.fork import Fork  # noqa: E402


class Real(client.Cloud):
    hosts = ('fake1', 'fake2')
    image = 'fake'

    def command(self, *words):
        build = self.fork.build
        return [build / 'venv/cloud/bin/python', '-W', 'ignore',
                client.DEVCLOUD / 'real' / 'control.py', '--folder',
                self.folder, '--build', build, *words]

    def runs(self):
        try:
            self.control('status')
        except client.Refused:
            return False
        return True


@pytest.fixture(scope='session')
def cloud():
    if os.getuid() != 0:
        pytest.skip('only root can start the cloud')
    fork = Fork()
    if not (fork.build / 'venv/cloud').exists():
        pytest.skip('its services are not there: tools/setup.sh cloud')
    cloud = Real(fork, fork.build / 'cloud-real')
    found = cloud.runs()
    cloud.control('start', seconds=1200)
    try:
        yield cloud
    finally:
        if not found:
            cloud.control('stop')
