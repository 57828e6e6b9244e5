"""Set-up of the stories on the cloud of real services.

The one of `make cloud-real` is used; it is started, and ended, if none runs.
CLOUD_FROM names the Nova that it is to be of, tree or packages.
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

from fixtures import no_settings_of_the_caller  # noqa: E402, F401
from fixtures import server  # noqa: E402, F401
from patchqueue.fork import Fork  # noqa: E402
from real import Real  # noqa: E402


@pytest.fixture(scope='session')
def fork():
    if os.getuid() != 0:
        pytest.skip('only root can start the cloud')
    fork = Fork()
    if not (fork.build / 'venv/cloud').exists():
        pytest.skip('its services are not there: tools/setup.sh cloud')
    return fork


@pytest.fixture(scope='session')
def cloud(fork):
    cloud = Real(fork, fork.build / 'cloud-real')
    found = cloud.runs()
    cloud.begin(cloud.nova)
    try:
        yield cloud
    finally:
        if not found:
            cloud.control('stop')
