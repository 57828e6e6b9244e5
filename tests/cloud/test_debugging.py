"""A cloud that is debugged, with pdb and with debugpy."""

import concurrent.futures
import importlib.util
import os
import pathlib
import re
import signal
import time

import pytest

import client as cloud_client
import dap
from patchqueue.fork import Fork
import ports
import under_debugger

ROOT = pathlib.Path(__file__).parents[2]

# Not imported as a part of nova, which the tools' Python does not have.
_spec = importlib.util.spec_from_file_location(
    'pdb_client', ROOT / 'nova/tests/fixtures/remote_pdb.py')
pdb_client = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(pdb_client)


@pytest.fixture
def pool():
    with concurrent.futures.ThreadPoolExecutor() as pool:
        yield pool


def test_a_request_is_looked_at_with_pdb_and_others_go_on(cloud, pool):
    before = len(cloud.log())
    os.kill(cloud.pid, signal.SIGURG)
    listed = pool.submit(cloud.openstack, 'server', 'list')
    end = time.monotonic() + 60
    while not (found := re.search(r'stopped dispatch .* nc 127.0.0.1 (\d+)',
                                  cloud.log()[before:])):
        assert time.monotonic() < end and not listed.done()
        time.sleep(0.1)
    client = pdb_client.PdbClient(int(found[1]))
    client.read()
    assert "'GET'" in client.tell('p request.method')
    assert 'small' in cloud.openstack('flavor', 'list')
    assert not listed.done()
    client.send('continue')
    listed.result(60)


@pytest.fixture
def debugged(tmp_path):
    """A cloud under debugpy, the configuration to attach to it, the port."""
    port, = ports.free(1)
    cloud = cloud_client.Embedded(Fork(), tmp_path / 'cloud')
    try:
        cloud.control('start', DEBUGPY_CLOUD=str(port))
        yield cloud, dap.configurations()['DEBUGPY_CLOUD'], port
    finally:
        cloud.control('stop')


def test_an_editor_stops_our_code_and_upstreams(debugged, pool):
    cloud, configuration, port = debugged
    ours = ROOT / 'nova/compute/flavor_rules/__init__.py'
    upstreams = ROOT / 'build/tree/nova/compute/manager.py'
    assert (ROOT / 'build/tree' / ours.relative_to(ROOT)).is_symlink()
    editor = dap.Client(port)
    editor.attach(configuration, [
        (ours, dap.line(ours, 'known_rules.decide(')),
        (upstreams, dap.line(upstreams, "image_name = image.get('name')"))])
    created = pool.submit(cloud.create, 'small', user='devcloud-demo')
    thread, frames = editor.stopped()
    assert frames[0]['source']['path'] == str(ours)
    assert editor.evaluate('flavor.name', frames[0]) == "'small'"
    editor.call('continue', threadId=thread)
    thread, frames = editor.stopped()
    assert frames[0]['source']['path'] == str(upstreams)
    editor.detach()
    assert cloud.openstack('server', 'show', created.result(120), parse=True,
                           user='devcloud-demo')['status'] == 'ACTIVE'


def test_each_service_has_a_port_of_its_own_in_the_editors_list():
    found = {variable: one['connect']
             for variable, one in dap.configurations().items()}
    assert {under_debugger.variable(service) for service in (
        'cloud', 'nova-api', 'nova-conductor', 'nova-scheduler',
        'nova-compute', 'nova-cmdb-agent')} <= found.keys()
    assert {one['host'] for one in found.values()} == {'127.0.0.1'}
    assert len({one['port'] for one in found.values()}) == len(found)


def test_a_service_that_is_not_to_be_debugged_is_run_as_ever(monkeypatch):
    words = ['python', 'nova-compute', '--debug']
    monkeypatch.delenv('DEBUGPY_NOVA_COMPUTE', raising=False)
    assert under_debugger.command(
        under_debugger.port('nova-compute'), words) is words
    monkeypatch.setenv('DEBUGPY_NOVA_COMPUTE', '5684')
    assert under_debugger.command(
        under_debugger.port('nova-compute'), words)[-3:] == [
            '5684', 'nova-compute', '--debug']


@pytest.mark.parametrize('text', ['yes', '0', '65536', '-1'])
def test_what_is_no_port_is_refused(tmp_path, text):
    cloud = cloud_client.Embedded(Fork(), tmp_path / 'cloud')
    with pytest.raises(
            cloud_client.Refused, match="the variable DEBUGPY_CLOUD is '%s'; "
            "expected is a port, from 1 to 65535" % text):
        cloud.control('start', DEBUGPY_CLOUD=text)
