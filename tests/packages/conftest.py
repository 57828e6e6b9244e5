"""Set-up of the packages' tests: the tools can be imported, and the fork."""

import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / 'tools'))

from patchqueue.fork import Fork  # noqa: E402


@pytest.fixture(scope='session')
def fork():
    return Fork()
