"""The fixtures of the stories, on whichever cloud."""

import os
import uuid

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


@pytest.fixture
def one_per_host(cloud):
    """A flavor of a business of which each host takes one server.

    Of a business of its own: whoever works with the cloud has servers too.
    """
    name = 'business-' + uuid.uuid4().hex
    cloud.openstack(
        'flavor', 'create', '--ram', '512', '--disk', '1', '--vcpus', '1',
        '--property', 'mycompany:business_tag=' + name,
        '--property', 'mycompany:business_max_per_host=1', name)
    yield name
    cloud.openstack('flavor', 'delete', name)


@pytest.fixture(autouse=True, scope='session')
def no_settings_of_the_caller():
    for name in list(os.environ):
        if name.startswith('OS_'):
            del os.environ[name]
