"""openstack server metrics, of 2024.1 and of now, against a real nova-api.

Nothing builds the servers that it accepts, so none of them runs: what the
client makes of metrics is in tests/client.
"""

import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(params=['client-2024.1', 'client-current'])
def openstack(request, api):
    """A function that runs openstack server metrics; a CompletedProcess."""
    program = ROOT / 'build' / 'venv' / request.param / 'bin' / 'openstack'
    if not program.exists():
        pytest.skip('%s is not made: tools/setup.sh client' % program)
    return lambda *words: subprocess.run(
        [program, '--os-auth-type', 'admin_token', '--os-token', 'someone:ops',
         '--os-endpoint', 'http://127.0.0.1:%d/v2.1' % api.port,
         'server', 'metrics', *words], text=True, capture_output=True,
        env={'PATH': os.environ['PATH'], 'LC_ALL': 'C.UTF-8'}, timeout=60)


@pytest.fixture(scope='module')
def api(make_cloud):
    api = make_cloud().start_api('metrics').wait()
    api.add_flavor('m1.tiny')
    assert api.create('ops').status == 202
    return api


def test_a_list_of_no_servers_is_empty_and_no_error(openstack):
    # Without a cell, a server is in no list of metrics.
    done = openstack('list', '-f', 'json')
    assert (done.returncode, done.stdout.strip()) == (0, '[]'), done.stderr


def test_a_server_that_does_not_run_is_found_by_its_name_and_refused(
        openstack):
    done = openstack('show', 'test')
    assert done.returncode == 1
    assert 'No metrics of server test: Server ' in done.stderr
    assert done.stderr.rstrip().endswith('(HTTP 409)')
