"""Set-up of the stories: a running cloud, and the openstack client."""

import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / 'tools'), str(ROOT / 'devcloud'),
                str(ROOT / 'tests' / 'services')]
pytest.register_assert_rewrite('stories')

import client  # noqa: E402
from fixtures import no_settings_of_the_caller  # noqa: E402, F401
from fixtures import one_per_host  # noqa: E402, F401
from fixtures import server  # noqa: E402, F401
from patchqueue.fork import Fork  # noqa: E402


@pytest.fixture(scope='session')
def cloud(tmp_path_factory):
    """A Cloud, for all stories: each makes servers of its own names."""
    fork = Fork()
    if not fork.tree.exists() or fork.python == sys.executable:
        pytest.skip('the tree is not made: tools/tree.sh, tools/setup.sh nova')
    cloud = client.Embedded(fork, tmp_path_factory.mktemp('cloud'))
    try:
        cloud.control('start')
        yield cloud
    finally:
        cloud.control('stop')
