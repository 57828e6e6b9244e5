"""The fixtures of the stories, on whichever cloud."""

import os

import pytest


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
