"""No hook keeps the service waiting that tells it, whatever it does.

The service stands for nova-compute: the same green threads, and the same way
to its hooks. The hooks are plug-ins of a package that is made here.
"""

import json
import os
import pathlib
import signal

import pytest

from cmdb_cell import CMDBCell
import http_cmdb
from process import until

HOOKS = '''
import ctypes
import json
import os
import socket
import time

from nova.compute import hooks


class Base(hooks.Hook):
    def note(self, event):
        with open(os.environ['NOTES'], 'a') as notes:
            notes.write(json.dumps([event.event, event.server_id]) + chr(10))


class Notes(Base):
    def handle(self, event):
        self.note(event)


class Raises(Base):
    def handle(self, event):
        self.note(event)
        raise RuntimeError('always')


class Sleeps(Base):
    def handle(self, event):
        self.note(event)
        time.sleep(1000000)


class Receives(Base):
    def handle(self, event):
        self.note(event)
        ours, self.theirs = socket.socketpair()
        ours.recv(1)


class Computes(Base):
    def handle(self, event):
        self.note(event)
        while True:
            pass


class Native(Base):
    """Blocks in C and holds Python's lock."""
    def handle(self, event):
        self.note(event)
        ctypes.PyDLL(None).sleep(1000000)


class Unloadable(Base):
    def __init__(self):
        raise ImportError('not here')
'''

SERVER = '11111111-1111-1111-1111-111111111111'


@pytest.fixture(scope='module')
def package(tmp_path_factory):
    """A folder for Python's path with a package of hooks."""
    folder = tmp_path_factory.mktemp('hooks')
    (folder / 'fork_hooks.py').write_text(HOOKS)
    info = folder / 'fork_hooks-1.dist-info'
    info.mkdir()
    (info / 'METADATA').write_text(
        'Metadata-Version: 2.1\nName: fork-hooks\nVersion: 1\n')
    names = ('Notes', 'Raises', 'Sleeps', 'Receives', 'Computes', 'Native',
             'Unloadable')
    (info / 'entry_points.txt').write_text('[nova.compute.hooks]\n' + ''.join(
        '%s = fork_hooks:%s\n' % (name.lower(), name) for name in names))
    return folder


@pytest.fixture
def start(fork, server, template, tmp_path, package):
    """A function that starts a service with these hooks enabled."""
    cmdb = http_cmdb.CMDB()
    cell = CMDBCell(fork, server, tmp_path, template, cmdb, 'fake:/')
    started = []

    def start(enabled):
        compute = cell.start_compute(
            enabled, NOTES=str(tmp_path / 'notes'), PYTHONPATH=os.pathsep.join(
                [str(fork.tree), str(package)]))
        compute.notes = lambda: [
            json.loads(line) for line in
            (tmp_path / 'notes').read_text().splitlines()
        ] if (tmp_path / 'notes').exists() else []
        started.append(compute)
        return compute

    yield start
    pids = [pid for compute in started for pid in compute.hook_pids()]
    cell.stop()
    cmdb.close()
    for pid in pids:
        if alive(pid):
            os.kill(pid, 9)


def alive(pid):
    status = pathlib.Path('/proc/%d/stat' % pid)
    return status.exists() and ') Z ' not in status.read_text()


def test_with_no_hook_there_is_no_process_and_no_pipe(start):
    compute = start('')
    # What it opens for itself with the first call.
    compute.call('notify', 'updated', SERVER)
    before = len(os.listdir('/proc/%d/fd' % compute.pid))
    compute.call('notify', 'updated', SERVER, 100)
    assert compute.hook_pids() == []
    assert len(os.listdir('/proc/%d/fd' % compute.pid)) == before


def test_a_hook_is_told_everything_in_order(start):
    compute = start('notes')
    for event in ('post_create', 'updated', 'post_delete'):
        compute.call('notify', event, SERVER)
    until('it was told', lambda: compute.notes() == [
        ['post_create', SERVER], ['updated', SERVER], ['post_delete', SERVER]])


def test_a_hook_that_raises_is_told_the_next_event(start):
    compute = start('raises')
    compute.call('notify', 'updated', SERVER, 3)
    until('it was told', lambda: len(compute.notes()) == 3)
    assert 'has failed on an event' in compute.log()


@pytest.mark.parametrize('hook', ['sleeps', 'receives', 'computes', 'native'])
def test_a_hook_that_blocks_for_ever_keeps_nobody_waiting(start, hook):
    compute = start('%s, notes' % hook)
    compute.call('notify', 'updated', SERVER)
    # The hook that blocks, and the one beside it.
    until('both were told', lambda: len(compute.notes()) == 2)
    compute.call('longest')
    compute.call('notify', 'updated', SERVER, 1000)
    assert compute.call('longest') < 0.1
    # Green threads go on.
    assert compute.call('green_ticks', 1) > 20
    assert 'The hook %s does not keep up' % hook in compute.log()
    pids = compute.hook_pids()
    assert len(pids) == 2
    compute.stop()
    if hook == 'native':
        # It keeps Python's lock, so that it cannot see that the service has
        # ended. systemd ends what is left of that.
        for pid in filter(alive, pids):
            os.kill(pid, signal.SIGKILL)
    until('the hooks have ended', lambda: not any(map(alive, pids)), 30)


def test_a_hook_that_cannot_be_loaded_is_said(start):
    compute = start('unloadable, nosuch')
    compute.call('notify', 'updated', SERVER, 300)
    for name in ('unloadable', 'nosuch'):
        until('it is said', lambda: (
            'The hook %s cannot be loaded' % name in compute.log()))
    assert compute.call('longest') < 0.1


def test_a_hook_whose_process_is_killed_gets_another(start):
    """It goes on with what was told meanwhile."""
    compute = start('notes')
    compute.call('restart_after', 2)
    compute.call('notify', 'post_create', SERVER)
    until('it was told', lambda: len(compute.notes()) == 1)
    killed, = compute.hook_pids()
    os.kill(killed, signal.SIGKILL)
    until('it is dead', lambda: not alive(killed))

    def restarted():
        compute.call('notify', 'updated', SERVER)
        return compute.hook_pids() not in ([], [killed])

    compute.call('notify', 'post_delete', SERVER, 5)
    until('there is another', restarted)
    until('it was told', lambda: compute.notes()[1:6] == 5 * [
        ['post_delete', SERVER]])
    assert 'The process of the hook notes has ended (-9)' in compute.log()


def test_what_was_told_before_the_end_arrives(start):
    compute = start('notes')
    compute.call('notify', 'updated', SERVER, 100)
    compute.stop()
    until('all has arrived', lambda: len(compute.notes()) == 100)
