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
from fixtures import one_per_host  # noqa: E402, F401
from fixtures import server  # noqa: E402, F401
from patchqueue.fork import Fork  # noqa: E402
from real import Real  # noqa: E402


def pytest_collection_modifyitems(items):
    # It has a cloud of its own, which is not to run beside the other one.
    items.sort(key=lambda item: item.path.name != 'test_rolling_upgrade.py')


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
    try:
        cloud.begin(cloud.nova)
        yield cloud
    finally:
        if not found:
            cloud.control('stop')
