"""Set-up of the stories: a running cloud, and the openstack client."""

import os
import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / 'tools'))
sys.path.insert(0, str(ROOT / 'devcloud'))

import client  # noqa: E402
from patchqueue.fork import Fork  # noqa: E402


@pytest.fixture(scope='session')
def cloud(tmp_path_factory):
    """A Cloud, for all stories: each makes servers of its own names."""
    fork = Fork()
    if not fork.tree.exists() or fork.python == sys.executable:
        pytest.skip('the tree is not made: tools/tree.sh, tools/setup.sh nova')
    cloud = client.Cloud(fork, tmp_path_factory.mktemp('cloud'))
    cloud.control('start')
    try:
        yield cloud
    finally:
        cloud.control('stop')


@pytest.fixture
def server(cloud):
    """A function that makes a server; all are deleted after the story."""
    made = []

    def create(flavor, **how):
        made.append(cloud.create(flavor, **how))
        return made[-1]

    yield create
    if made:
        cloud.openstack('server', 'delete', '--wait', *made)


@pytest.fixture(autouse=True, scope='session')
def no_settings_of_the_caller():
    for name in list(os.environ):
        if name.startswith('OS_'):
            del os.environ[name]
