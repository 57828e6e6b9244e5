"""Set-up of the tests with real services: a MariaDB, and clouds on it."""

import os
import pathlib
import shutil
import sys
import tempfile

import pytest

ROOT = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / 'tools'))

import cloud as cloud_module  # noqa: E402
import mariadb  # noqa: E402
from patchqueue import upstream  # noqa: E402
from patchqueue.fork import Fork  # noqa: E402


@pytest.fixture(scope='session')
def fork():
    fork = Fork()
    if not fork.tree.exists() or fork.python == sys.executable:
        pytest.skip('the tree is not made: tools/tree.sh, tools/setup.sh nova')
    return fork


def _memory():
    """A folder in memory, if there is room: schemas are made much faster."""
    folder = '/dev/shm'
    if os.path.isdir(folder) and shutil.disk_usage(folder).free > 2 ** 30:
        return folder


@pytest.fixture(scope='session')
def server():
    """A MariaDB server, running. Who kills it starts it again."""
    # A socket's path is short, and pytest's folders are not.
    with tempfile.TemporaryDirectory(
            prefix='mariadb-', dir=_memory()) as folder:
        try:
            server = mariadb.Server(pathlib.Path(folder))
        except mariadb.Missing as missing:
            pytest.skip(str(missing))
        server.start()
        yield server
        server.kill()


@pytest.fixture(scope='session')
def template(fork, server, tmp_path_factory):
    """The name of an API database as an operator makes it, to copy."""
    server.run('CREATE DATABASE template; CREATE DATABASE cell0;'
               'CREATE DATABASE cell1;')
    made = cloud_module.Cloud(
        fork, server, tmp_path_factory.mktemp('template'), 'template')
    made.manage('api_db', 'sync')
    made.manage('cell_v2', 'map_cell0', '--database_connection',
                server.url('cell0'))
    made.manage('db', 'sync')
    made.manage('cell_v2', 'create_cell', '--name', 'cell1')
    return 'template'


@pytest.fixture(scope='session')
def stock_tree(fork, tmp_path_factory):
    """The pinned release of upstream, without anything of ours."""
    folder = tmp_path_factory.mktemp('stock')
    upstream.unpack(fork.upstream.pinned, folder)
    return folder


@pytest.fixture(scope='session')
def make_cloud(fork, server, template, tmp_path_factory):
    """A function that makes a Cloud with an API database of its own."""
    made = []

    def make():
        name = 'cloud%d' % len(made)
        server.copy(template, name)
        made.append(cloud_module.Cloud(
            fork, server, tmp_path_factory.mktemp(name), name))
        return made[-1]

    yield make
    for one in made:
        one.stop()


@pytest.fixture
def cloud(make_cloud):
    """A Cloud of the test's own."""
    made = make_cloud()
    yield made
    made.stop()
