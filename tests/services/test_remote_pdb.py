"""Debugging a real nova-api: who may, and what goes on meanwhile."""

import concurrent.futures
import os
import re
import signal
import subprocess
import sys

import pdb_client
from process import until
import pytest

NOBODY = 65534


@pytest.fixture(scope='module')
def api(make_cloud):
    return make_cloud().start_api('debugged', remote_pdb={
        'enabled': True, 'timeout': 60}).wait()


@pytest.fixture
def stopped(api):
    """Have a worker stop a request: its port and the request, a Future."""
    before = len(api.log())
    worker = api.workers[0]
    os.kill(worker, signal.SIGURG)
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        asked = []

        def waiting():
            # Any worker may take a request; one more until it is that one.
            asked.append(pool.submit(api.call, 'GET', '/servers', timeout=120))
            concurrent.futures.wait(asked, timeout=1)
            return re.search(r'process %d\. It waits .* nc 127.0.0.1 (\d+)'
                             % worker, api.log()[before:])

        port = int(until('a request is stopped', waiting)[1])
        request, = [one for one in asked if not one.done()]
        yield port, request
    assert request.result().status == 200
    assert worker in api.workers


def test_a_stopped_request_keeps_no_other_waiting(api, stopped):
    port, request = stopped
    client = pdb_client.PdbClient(port)
    assert '-> return method(req=request, **action_args)' in (
        client.read() + client.tell('next'))
    assert "'GET'" in client.tell('p request.method')
    # Of both workers, so of the one too whose request is stopped.
    assert {answer.status for answer in api.everywhere(
        lambda api: api.call('GET', '/flavors'))} == {200}
    assert not request.done()
    client.send('continue')


def test_a_client_that_is_killed_lets_the_request_go_on(stopped):
    port, request = stopped
    with subprocess.Popen(
            [sys.executable, '-c', 'import socket, time\n'
             's = socket.create_connection(("127.0.0.1", %d))\n'
             'print(len(s.recv(99)), flush=True); time.sleep(999)' % port],
            stdout=subprocess.PIPE) as client:
        assert int(client.stdout.readline())
        assert not request.done()
        client.kill()
    assert request.result(30).status == 200


@pytest.mark.skipif(os.geteuid(), reason='needs root, to be somebody else')
def test_another_user_is_not_let_in(api, stopped):
    port, request = stopped
    done = subprocess.run(
        ['setpriv', '--reuid', str(NOBODY), '--clear-groups', sys.executable,
         '-c', 'import socket\n'
         's = socket.create_connection(("127.0.0.1", %d))\n'
         's.sendall(b"p request\\n")\n'
         'try: print(s.recv(99))\n'
         'except ConnectionResetError: print(b"")' % port],
        stdout=subprocess.PIPE, timeout=30)
    assert done.stdout.strip() == b"b''"
    assert 'User %d came to debug, and is not let in' % NOBODY in api.log()
    assert not request.done()
    client = pdb_client.PdbClient(port)
    assert '(Pdb)' in client.read()
    client.send('quit')


def test_a_service_that_others_could_debug_does_not_start(cloud):
    api = cloud.start_api('open', remote_pdb={
        'enabled': True, 'host': '0.0.0.0'})
    assert api.process.wait() != 0
    assert re.search(r'CRITICAL .*host .*nova-open\.conf.* not valid: 0.0.0.0 '
                     r'is not a loopback address', api.log())
    assert 'starting up' not in api.log()


def test_a_service_for_which_it_is_off_takes_no_notice_of_the_signal(cloud):
    api = cloud.start_api('off').wait()
    workers = api.workers
    for pid in (api.process.pid, *workers):
        os.kill(pid, signal.SIGURG)
    assert {answer.status for answer in api.everywhere(
        lambda api: api.call('GET', '/servers'))} == {200}
    assert api.workers == workers
    assert 'breakpoint' not in api.log()
