"""What pip calls to build the wheel (PEP 517, named by ``pyproject.toml``).

The repository holds the queue and not Nova, so the fork is put together in a
temporary folder first, and setuptools builds that one. The version is
upstream's; the vendor's is in the wheel's etc/nova/release.
"""

import contextlib
import os
import pathlib
import sys
import tempfile

from patchqueue import tree
from patchqueue.errors import ForkError
from patchqueue.fork import Fork


def build_wheel(wheel_directory, config_settings=None,
                metadata_directory=None):
    """Build the wheel; returns its file name."""
    target = pathlib.Path(wheel_directory).resolve()
    with _assembled():
        # It reads setup.py and setup.cfg of the present folder.
        from setuptools import build_meta
        return build_meta.build_wheel(str(target), config_settings)


def build_sdist(sdist_directory, config_settings=None):
    sys.exit('error: the fork has no sdist of its own: its source is '
             "upstream's sdist and the patches that tools/series.sh writes")


def build_editable(wheel_directory, config_settings=None,
                   metadata_directory=None):
    sys.exit('error: to work on the fork, make build/tree (tools/tree.sh) and '
             'its virtual environment (tools/setup.sh nova): there the files '
             'of this repository are live')


@contextlib.contextmanager
def _assembled():
    """The fork in a temporary folder, as the present one, ready to build."""
    # The checkout that pip builds, whatever FORK_ROOT says of another.
    fork = Fork(pathlib.Path(__file__).parents[2])
    version = fork.upstream.pinned.version
    before, umask = os.getcwd(), os.umask(0o022)
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch) / ('nova-%s' % version)
        try:
            tree.materialise(fork, folder)
            tree.write_metadata(folder, version)
            os.environ.update(tree.pbr_environment(version, folder))
            # The time of each file in the wheel.
            os.environ['SOURCE_DATE_EPOCH'] = str(fork.release.epoch_seconds)
            os.chdir(folder)
            yield
        except ForkError as error:
            # pip shows what is printed, and no traceback with this.
            sys.exit('error: %s' % error)
        finally:
            os.chdir(before)
            os.umask(umask)
