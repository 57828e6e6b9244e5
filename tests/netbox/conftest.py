"""Set-up of the tests with a real NetBox."""

import itertools
import json
import pathlib
import sys
import tempfile

import pytest

ROOT = pathlib.Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / 'tools'), str(ROOT / 'tests' / 'services')]

import instance  # noqa: E402
from patchqueue.fork import Fork  # noqa: E402
import scene  # noqa: E402


@pytest.fixture(scope='session')
def fork():
    fork = Fork()
    if not fork.tree.exists() or fork.python == sys.executable:
        pytest.skip('the tree is not made: tools/tree.sh, tools/setup.sh nova')
    return fork


@pytest.fixture(scope='session')
def netbox(fork):
    """A NetBox, running, set up as the operator's page says."""
    with tempfile.TemporaryDirectory(prefix='netbox-') as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        try:
            made = instance.Instance(fork.build, folder)
        except instance.Missing as missing:
            pytest.skip(str(missing))
        try:
            made.start()
            made.token = scene.set_up(made, json.loads((
                ROOT / 'doc/operator/netbox-custom-fields.json').read_text()))
            yield made
        finally:
            made.stop()


_clouds = itertools.count(1)


@pytest.fixture
def cloud(fork, netbox, tmp_path):
    """A cloud of the test's own in NetBox: a tag, a VRF, and its driver."""
    made = scene.Cloud(fork, netbox, tmp_path, next(_clouds))
    yield made
    made.close()
