"""Nothing that breaks leaves the CMDB wrong.

Real agents, the real hook in a process like nova-compute, a real RabbitMQ and
MariaDB, and a CMDB over sockets that can be told to fail. There is no
comparison unless a test says so: what arrives has come by the bus.
"""

import contextlib
import json
import os
import pathlib
import random
import re
import signal
import tempfile
import time

import pytest

from cmdb_cell import CMDBCell
import http_cmdb
import pdb_client
from process import until
import rabbitmq


@pytest.fixture(scope='module')
def bus():
    with tempfile.TemporaryDirectory(prefix='rabbitmq-') as folder:
        try:
            server = rabbitmq.Server(pathlib.Path(folder))
        except rabbitmq.Missing as missing:
            pytest.skip(str(missing))
        server.start()
        yield server
        server.stop()


@pytest.fixture(scope='module')
def cmdb():
    made = http_cmdb.CMDB()
    made.start()
    yield made
    made.close()


@pytest.fixture(scope='module')
def make_cell(fork, server, template, tmp_path_factory):
    """A function that makes a CMDBCell with databases of its own."""
    made = []

    def make(name, *args, **options):
        server.copy(template, name)
        server.copy('cell1', name + '_cell')
        server.run('UPDATE cell_mappings SET database_connection = "%s" '
                   'WHERE name = "cell1"' % server.url(name + '_cell'), name)
        made.append(CMDBCell(fork, server, tmp_path_factory.mktemp(name),
                             name, *args, **options))
        return made[-1]

    yield make
    for one in made:
        one.stop()


@pytest.fixture(scope='module')
def cell(make_cell, bus, cmdb):
    return make_cell('cmdb', cmdb, bus.url)


@pytest.fixture(scope='module')
def compute(cell):
    made = cell.start_compute()
    # The hook's process is there once it has said something.
    agent = cell.start_agent(debug=True)
    cell.create(1, made)
    until('the hook works', cell.agrees)
    agent.kill()
    return made


@pytest.fixture
def quorum(make_cell, bus):
    """A cell with a CMDB of its own, whose bus has quorum queues."""
    bus.control('add_vhost', 'quorum')
    bus.control('set_permissions', '-p', 'quorum', 'guest', '.*', '.*', '.*')
    cmdb = http_cmdb.CMDB()
    cmdb.start()
    yield make_cell('quorum', cmdb, bus.url + 'quorum',
                    rabbit={'rabbit_quorum_queue': True})
    cmdb.close()


@pytest.fixture(scope='module')
def running():
    """The agent that runs, if one does; tests may replace it."""
    return []


@pytest.fixture
def agent(cell, compute, running):
    if not running:
        running.append(cell.start_agent())
    return running[0]


@pytest.fixture
def no_agent(cell, compute, running):
    while running:
        end(running.pop())


def end(agent):
    """Let it finish what it does: nothing comes again to the next one."""
    os.kill(agent.pid, signal.SIGTERM)
    assert agent.wait(20) == 0


@contextlib.contextmanager
def says(agent, text):
    """Within, or after it at the latest, an agent says this anew."""
    before = len(agent.text())
    yield lambda: until('it is said', lambda: text in agent.text()[before:])


def finish(cell, compute, seconds=60):
    """Wait until the CMDB agrees, and compare as nova-manage does."""
    try:
        until('the CMDB agrees', cell.agrees, seconds)
    except AssertionError as error:
        raise AssertionError('%s\n%s' % (error, cell.why())) from None
    assert compute.call('diff') == []


@pytest.mark.parametrize('fault', [
    http_cmdb.hang, http_cmdb.dribble_body, http_cmdb.garbage,
    http_cmdb.cut_off, http_cmdb.cut_off_at_once, http_cmdb.status(500),
    http_cmdb.status(401), http_cmdb.redirect('http://127.0.0.1:1/')],
    ids=['hangs', 'dribbles', 'garbage', 'cut-off', 'cut-off-at-once', '500',
         '401', 'redirect'])
def test_a_cmdb_that_fails(cell, compute, cmdb, agent, fault):
    cmdb.requests.clear()
    with cmdb.fault(fault):
        compute.call('longest')
        made = cell.create(10, compute)
        cell.delete(made[:5], compute)
        assert compute.call('longest') < 0.1
        # More than all the workers at once: some have tried again.
        until('it was asked', lambda: sum(cmdb.requests.values()) > 9)
        assert not set(made) & set(cmdb.records)
    finish(cell, compute)


def test_a_cmdb_that_asks_to_wait_is_given_its_time(
        cell, compute, cmdb, agent):
    with cmdb.fault(http_cmdb.status(429, '4')), says(agent, '429') as said:
        cell.create(1, compute)
        said()
        asked = sum(cmdb.requests.values())
        time.sleep(3)
        # What was under way when the first answer came.
        assert sum(cmdb.requests.values()) <= asked + 8
    finish(cell, compute)


def test_agents_that_are_killed_at_any_moment(
        cell, compute, cmdb, no_agent):
    chance = random.Random(7)
    agents = [cell.start_agent(), cell.start_agent()]
    made = []
    for _ in range(4):
        made += cell.create(30, compute)
        cell.rename(made[-20:], 'renamed', compute)
        cell.delete(made[-10:], compute)
        time.sleep(chance.uniform(0, 1))
        agents.pop(0).kill()
        agents.append(cell.start_agent())
    finish(cell, compute)
    for agent in agents:
        agent.kill()


def test_a_bus_that_is_restarted(cell, compute, cmdb, bus, agent):
    with cmdb.fault(http_cmdb.status(503)), says(agent, '503') as said:
        made = cell.create(20, compute)
        said()
        bus.kill()
        compute.call('longest')
        cell.rename(made, 'while-it-is-down', compute)
        cell.delete(made[:10], compute)
        assert compute.call('longest') < 0.1
        bus.start()
    finish(cell, compute, 120)


def test_what_was_dealt_with_while_the_bus_was_down_stops_nothing(
        cell, compute, cmdb, bus, agent):
    """It cannot be acknowledged, and comes again."""
    with cmdb.fault(http_cmdb.status(503)), says(agent, '503') as said:
        cell.create(20, compute)
        said()
        # It takes as many as it may hold; nobody says when it has.
        time.sleep(1)
        bus.kill()
        before = len(agent.text())
    until('what it holds is dealt with',
          lambda: 'CMDB works again' in agent.text()[before:])
    time.sleep(1)
    bus.start()
    cell.create(20, compute)
    finish(cell, compute, 120)


def test_a_quorum_queue_on_a_bus_that_is_restarted(quorum, bus):
    compute = quorum.start_compute()
    agent = quorum.start_agent()
    with quorum.cmdb.fault(http_cmdb.status(503)), says(
            agent, '503') as said:
        made = quorum.create(20, compute)
        said()
        queues = bus.control('list_queues', '--no-table-headers', '-p',
                             'quorum', 'name', 'type', 'durable')
        assert ['nova_cmdb.info', 'quorum', 'true'] in [
            line.split() for line in queues.splitlines()]
        bus.kill()
        quorum.rename(made, 'while-it-is-down', compute)
        quorum.delete(made[:10], compute)
        bus.start()
    finish(quorum, compute, 120)


def test_messages_that_come_twice_and_out_of_order(
        cell, compute, cmdb, agent):
    made = cell.create(20, compute)
    cell.delete(made[:10], compute)
    events = [(event, uuid) for uuid in made for event in (
        'post_delete', 'updated', 'post_create', 'updated')]
    random.Random(3).shuffle(events)
    for event, uuid in events:
        compute.call('notify', event, uuid)
    finish(cell, compute)


def test_a_database_that_goes_away(cell, compute, cmdb, server, agent):
    with cmdb.fault(http_cmdb.status(503)), says(agent, '503') as said:
        made = cell.create(10, compute)
        said()
    server.kill()
    time.sleep(1)
    server.start()
    finish(cell, compute)
    assert set(made) <= set(cmdb.records)


def test_what_nobody_was_told_of_is_found_by_one_of_the_agents(
        cell, compute, cmdb, no_agent):
    made = cell.create(30)
    cell.rename(made[:10], 'quiet')
    ghosts = made[20:25]
    cell.delete(ghosts)
    # As if somebody had put it there; it has our id's form.
    cmdb._put(ghosts[0], {'id': ghosts[0], 'name': 'ghost'})
    agents = [cell.start_agent(reconcile_interval=1) for _ in range(2)]
    try:
        finish(cell, compute)
        cell.rename(made[:10], 'again')
        finish(cell, compute)
    finally:
        for agent in agents:
            end(agent)
    assert 'were compared' in ''.join(agent.text() for agent in agents)


def test_nova_manage_lists_and_repairs_as_json(cell, compute, cmdb, agent):
    """Its console script, beside an agent that does not compare."""
    finish(cell, compute)
    missing, stale, ghost = cell.create(3)
    for one in (stale, ghost):
        cmdb._put(one, {'id': one, 'name': 'other'})
    cell.delete([ghost])
    expected = {missing: 'missing', stale: 'stale', ghost: 'ghost'}
    for command, status, differing in (
            ('diff', 1, expected), ('sync', 0, expected), ('diff', 0, {})):
        done = cell.manage('cmdb', command, '--json', check=False)
        assert done.returncode == status, done.stdout + done.stderr
        found = json.loads(done.stdout)
        assert {one['server_id']: one['kind'] for one in
                found['differences']} == differing
    assert cell.agrees()


def test_an_agent_that_ends_gives_back_what_it_holds(
        cell, compute, cmdb, no_agent):
    agent = cell.start_agent()
    with cmdb.fault(http_cmdb.status(503)), says(agent, '503') as said:
        cell.create(20, compute)
        said()
        began = time.monotonic()
        end(agent)
        assert time.monotonic() - began < 10
    assert 'nova-cmdb-agent has ended' in agent.text()
    other = cell.start_agent()
    finish(cell, compute)
    end(other)


def test_sighup_reads_the_options_and_the_token_again(
        cell, compute, cmdb, no_agent):
    agent = cell.start_agent()
    cell.create(1, compute)
    finish(cell, compute)
    cmdb.token = 'another-token'
    token = cell.folder / 'token'
    token.write_text('another-token\n')
    metrics = cell.folder / 'g.prom'
    cell.use(agent.conf, metrics_file=metrics)
    os.kill(agent.pid, signal.SIGHUP)
    cell.create(1, compute)
    finish(cell, compute)
    until('the metrics are written', metrics.exists)
    assert 'nova_cmdb_agent_up 1' in until(
        'the metrics are new', lambda: metrics.read_text())
    end(agent)
    written = metrics.read_text()
    assert 'nova_cmdb_agent_held_messages 0\n' in written
    assert 'nova_cmdb_agent_delivered_total 2\n' in written


def test_a_cmdb_that_is_down_for_a_thousand_creates_and_deletes(
        cell, compute, cmdb, agent):
    cmdb.stop()
    compute.call('longest')
    made = cell.create(1000, compute)
    cell.delete(made[:900], compute)
    assert compute.call('longest') < 0.1
    assert not cell.agrees()
    cmdb.start()
    finish(cell, compute, 150)
    assert 'does not keep up' not in compute.log()


def test_a_delivery_is_debugged_and_others_go_on(
        cell, compute, cmdb, no_agent):
    agent = cell.start_agent(remote_pdb={'enabled': True, 'timeout': 60})
    # After what other agents have given back.
    cell.create(1, compute)
    finish(cell, compute)
    os.kill(agent.pid, signal.SIGURG)
    stopped, = cell.create(1, compute)
    port = int(until('a delivery is stopped', lambda: re.search(
        r'stopped _deliver .* nc 127.0.0.1 (\d+)', agent.text()))[1])
    client = pdb_client.PdbClient(port)
    client.read()
    assert stopped in client.tell('p server_id')
    others = cell.create(5, compute)
    until('the others are there', lambda: set(others) <= set(cmdb.records))
    assert stopped not in cmdb.records
    client.send('continue')
    finish(cell, compute)
    end(agent)


def test_an_agent_that_others_could_debug_does_not_start(cell, no_agent):
    agent = cell.start_agent(remote_pdb={'enabled': True, 'host': '0.0.0.0'})
    assert agent.wait(60) == 1
    assert '0.0.0.0 is not a loopback address' in agent.text()
    assert 'starts.' not in agent.text()


def test_no_secret_name_or_address_is_in_a_log(cell, compute, cmdb):
    """After all that has gone wrong here."""
    seen = ''.join(path.read_text(errors='replace')
                   for path in cell.folder.glob('*.log'))
    assert 'cmdb.workers' in seen  # the dump of the options
    for secret in (http_cmdb.TOKEN, 'another-token', 'guest:guest'):
        assert secret not in seen
    quiet = [line for line in seen.splitlines() if ' DEBUG ' not in line]
    for name in ('server-', 'renamed', 'while-it-is-down'):
        assert not [line for line in quiet if name in line]
