"""A real nova-api under debugpy, which unlike others is one process then."""

import concurrent.futures
import pathlib
import sys

from cloud import Api
from process import free_port
from process import until
import pytest

ROOT = pathlib.Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / 'devcloud'), str(ROOT / 'tests/cloud')]

import dap  # noqa: E402
import under_debugger  # noqa: E402


@pytest.fixture
def debugged(cloud):
    """An Api under debugpy, and the port to attach to."""
    port, debugger = free_port(), free_port()
    conf = cloud.configure('debugged', port, DEFAULT={
        'osapi_compute_workers': 1}, flavor_rules={'use_database': True})
    python = cloud.fork.python
    api = Api(port, under_debugger.command(debugger, [
        python, pathlib.Path(python).parent / 'nova-api',
        '--config-file', conf]), cloud.folder / 'nova-api-debugged.log',
        cloud._environment())
    try:
        until('nova-api takes requests',
              lambda: 'wsgi starting up on http' in api.log())
        yield api, debugger
    finally:
        api.process.kill()


def test_a_breakpoint_in_nova_api_is_hit(debugged):
    api, debugger = debugged
    path = ROOT / 'nova/compute/flavor_rules/__init__.py'
    line = dap.line(path, 'known_rules.decide(')
    editor = dap.Client(debugger)
    editor.attach({'justMyCode': False}, [(path, line)])
    api.add_flavor('m1.tiny')
    with concurrent.futures.ThreadPoolExecutor() as pool:
        asked = pool.submit(api.create, 'ops', timeout=120)
        _thread, frames = editor.stopped()
        assert frames[0]['source']['path'] == str(path)
        assert editor.evaluate('project_id', frames[0]) == "'ops'"
        editor.detach()
        assert asked.result().status == 202
