"""The benchmark of the hook cmdb and its agents; ``run`` beside it starts it,
and says what it prints.

The services are real, those of the tests in tests/services. The CMDB is a
server in this process.
"""

import argparse
import contextlib
import hashlib
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / 'tests/services'), str(ROOT / 'tools')]

import cloud as cloud_module  # noqa: E402
import cmdb_cell  # noqa: E402
import http_cmdb  # noqa: E402
import mariadb  # noqa: E402
from patchqueue.fork import Fork  # noqa: E402
from process import until  # noqa: E402
import rabbitmq  # noqa: E402

HERE = pathlib.Path(__file__).parent

# ours / other, at most.
BOOT_TARGET = 1.02
# One worker each: 1/2 and 1/4 at best. The processors are shared by all.
ALONE_TARGETS = {2: 0.6, 4: 0.35}
# They keep all processors busy: not slower.
BUSY_TARGETS = {2: 1, 4: 1}
GROWTH_TARGET = 1.1

# Seconds that the CMDB takes for a request of an agent.
LATENCY = 0.05

# Of the servers; for each kind of difference.
DRIFT = 0.002
PAGE = 500


def progress(message):
    print('-- %s' % message, file=sys.stderr, flush=True)


def table(title, columns, rows):
    """Tell people what the figures are made of."""
    print('\n%-30s' % title + ''.join('%12s' % one for one in columns),
          file=sys.stderr)
    for name, *values in rows:
        print('%-30s' % name + ''.join('%12.4g' % one for one in values),
              file=sys.stderr)
    print(file=sys.stderr, flush=True)


class Services:
    """A MariaDB, a RabbitMQ, a CMDB, and a cell on them."""

    def __init__(self, folder):
        progress('setting up the services')
        self._exits = contextlib.ExitStack()
        try:
            self._start(folder)
        except BaseException:
            self.stop()
            raise

    def _start(self, folder):
        for name in ('db', 'bus'):
            (folder / name).mkdir()
        self.fork = Fork()
        self.database = mariadb.Server(folder / 'db')
        self.database.start()
        self._exits.callback(self.database.kill)
        # A database server that is worth its name holds its tables in memory.
        self.database.run('SET GLOBAL innodb_buffer_pool_size = 1 << 30')
        bus = rabbitmq.Server(folder / 'bus')
        self._exits.callback(bus.stop)
        bus.start()
        self.cmdb = http_cmdb.CMDB()
        self._exits.callback(self.cmdb.close)
        self.cmdb.start()
        self.database.run('CREATE DATABASE bench; CREATE DATABASE bench_cell;'
                          'CREATE DATABASE cell0;')
        cloud = cloud_module.Cloud(self.fork, self.database, folder, 'bench')
        cloud.configure('controller', database={
            'connection': self.database.url('bench_cell')})
        cloud.manage('api_db', 'sync')
        cloud.manage('cell_v2', 'map_cell0', '--database_connection',
                     self.database.url('cell0'))
        cloud.manage('db', 'sync')
        cloud.manage('cell_v2', 'create_cell', '--name', 'cell1')
        self.cell = cmdb_cell.CMDBCell(
            self.fork, self.database, folder, 'bench', self.cmdb, bus.url)
        self._exits.callback(self.cell.stop)
        self.cell.options['reconcile_page_size'] = PAGE
        self.cell.use()

    def stop(self):
        self._exits.close()

    def clear(self):
        """No servers and no records any more."""
        self.database.run(''.join('DELETE FROM %s;' % table for table in (
            'instance_faults', 'instance_info_caches', 'instance_extra',
            'instances')), self.cell.cell)
        self.database.run('DELETE FROM instance_mappings', 'bench')
        self.cmdb.records.clear()
        self.cmdb._ids.clear()

    def selects(self):
        """How many SELECTs the database has been asked so far."""
        return int(self.database.value(
            'SELECT variable_value FROM information_schema.global_status'
            ' WHERE variable_name = "COM_SELECT"'))


def boots(services, args):
    progress('boots and deletes: %d rounds' % args.rounds)
    cell, cmdb = services.cell, services.cmdb
    # It is soon over a CMDB that has hung.
    agent = cell.start_agent(request_timeout=0.5, retry_max_delay=0.1)
    log = cell.folder / 'boots.log'
    with open(log, 'w') as stream:
        process = subprocess.Popen(
            ['setpriv', '--pdeathsig', 'KILL', '--', services.fork.python,
             HERE / 'boots.py', cell.use('compute'), str(args.rounds)],
            env=cell._environment(), cwd=services.fork.tree, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stream)
    before, told, steps, found = None, 0, 0, None
    for line in process.stdout:
        if not line.startswith('{'):
            continue
        answer = json.loads(line)
        told += answer['told']
        mode, found = answer.get('mode'), answer.get('found')
        if not before == mode == 'hangs':
            # On controllers of their own, bus, agent and CMDB would take
            # nothing from the next step: here they finish before it.
            cmdb.behave()
            until('the agent has dealt with all',
                  lambda: len(cmdb.exchanges) >= told, pause=0.005)
            told = 0
            cmdb.exchanges.clear()
            if mode == 'hangs':
                cmdb.misbehave(http_cmdb.hang)
        if found:
            progress('%d events in a boot, %d in a delete' % tuple(
                answer['events']))
            break
        before, steps = mode, steps + 1
        if steps % 500 == 0:
            progress('%d steps' % steps)
        process.stdin.write('\n')
        process.stdin.flush()
    process.wait()
    agent.kill()
    if not found:
        raise RuntimeError(log.read_text()[-3000:])
    return list(of_boots(found))


def of_boots(found):
    """Figures: name, ours, other, target."""
    rows = []
    for number, step in enumerate(('boot', 'delete')):
        for place, unit in enumerate(('processor', 'clock')):
            times = {mode: [taken[number][place] for taken in rounds]
                     for mode, rounds in found.items()}
            off, again = times.pop('off'), times.pop('off, once more')
            rows.append(('%s, off, %s' % (step, unit),
                         *added(again, off, off)))
            both = [statistics.fmean(pair) for pair in zip(off, again)]
            for mode, taken in times.items():
                ours, other = added(taken, both, off + again)[1:3]
                rows.append(('%s, %s, %s' % (step, mode, unit),
                             *added(taken, both, off + again)))
                yield ('%s-%s-%s' % (step, mode, unit), ours, other,
                       BOOT_TARGET)
    table('seconds', ('ratio', 'ours', 'off', 'added'), rows)


def added(taken, others, all_others):
    """The ratio, seconds with and without, and the difference.

    What is added is taken from rounds that are next to each other.
    """
    other = midmean(all_others)
    more = midmean(one - two for one, two in zip(taken, others))
    return (other + more) / other, other + more, other, more


def midmean(values):
    """The mean of the middle half: deaf to outliers, steadier than a median.
    """
    values = sorted(values)
    cut = len(values) // 4
    return statistics.fmean(values[cut:len(values) - cut])


def agents(services, args):
    compute = services.cell.start_compute()
    rows, figures = [], []
    for name, workers, messages, targets in (
            ('one-at-a-time', 1, 300, ALONE_TARGETS),
            ('default-workers', 8, 1500, BUSY_TARGETS)):
        taken = {}
        for number in (1, 2, 4):
            progress('agents: %d, %s' % (number, name))
            taken[number], busy = emptied(
                services, compute, number, workers, messages)
            rows.append(('%d, %s' % (number, name), 1 / taken[number],
                         1000 * taken[number], 1000 * busy))
        figures += [
            ('agents-%d-%s' % (number, name), taken[number], taken[1], target)
            for number, target in targets.items()]
    compute.kill()
    table('agents', ('messages/s', 'ms each', 'processor'), rows)
    return figures


def emptied(services, compute, number, workers, messages):
    """Have agents empty the queue.

    :returns: seconds for each message on the clock, and of the agents'
        processor time
    """
    cell, cmdb = services.cell, services.cmdb
    services.clear()
    made = set(cell.create(messages, compute))
    waiting, go = set(), threading.Event()

    def slow(handler):
        # Each connection has a thread, and each worker a connection.
        waiting.add(threading.get_ident())
        go.wait()
        time.sleep(LATENCY)
        handler.serve()

    cmdb.misbehave(slow)
    started = [cell.start_agent(workers=workers, request_timeout=120)
               for _ in range(number)]
    until('all workers have a message', lambda: len(
        waiting) == number * workers, 120)
    began, used = time.monotonic(), sum(map(processor_time, started))
    go.set()
    until('all records are there', lambda: made <= set(cmdb.records), 300)
    clock = time.monotonic() - began
    used = sum(map(processor_time, started)) - used
    cmdb.behave()
    for agent in started:
        agent.kill()
    return clock / messages, used / messages


def processor_time(process):
    # As clock_getcpuclockid(3) makes it of a process id.
    return time.clock_gettime((~process.pid << 3) | 2)


def reconcile(services, args):
    columns = ('servers', 'seconds', 'MiB', 'SELECTs', 'GETs', 'PUTs',
               'DELETEs')
    found, rows = {}, []
    for servers in (args.servers // 10, args.servers):
        progress('making %d servers and their records' % servers)
        services.clear()
        fill(services, servers)
        for command in ('sync', 'diff'):
            progress('nova-manage cmdb %s' % command)
            done = found[command, servers] = Command(services, command)
            rows.append((command, servers, done.seconds, done.mib,
                         done.selects, *(done.requests[method] for method in
                                         ('GET', 'PUT', 'DELETE'))))
            print(done.text, file=sys.stderr, flush=True)
    table('nova-manage cmdb', columns, rows)
    for command in ('sync', 'diff'):
        few, many = (found[command, servers] for servers in (
            args.servers // 10, args.servers))
        yield ('reconcile-%s-memory' % command, many.mib, few.mib,
               GROWTH_TARGET)
        pages, less = (servers / PAGE for servers in (
            args.servers, args.servers // 10))
        for what, ours, other in (
                ('seconds', many.seconds, few.seconds),
                ('selects', many.selects, few.selects),
                ('requests', many.requests['GET'], few.requests['GET'])):
            yield ('reconcile-%s-%s-a-page' % (command, what), ours / pages,
                   other / less, GROWTH_TARGET)


class Command:
    """One run of nova-manage cmdb, which must succeed.

    :param command: sync or diff
    """

    def __init__(self, services, command):
        services.cmdb.requests.clear()
        selects, began = services.selects(), time.monotonic()
        process = services.cell.start_manage('cmdb', command)
        watch = threading.Thread(target=self._watch, args=(process.pid,))
        watch.start()
        out, err = process.communicate()
        watch.join()
        self.seconds = time.monotonic() - began
        self.selects = services.selects() - selects
        self.requests = services.cmdb.requests.copy()
        #: its last words
        self.text = out.strip().rpartition('\n')[2]
        if process.returncode:
            raise RuntimeError(out[-2000:] + err[-2000:])

    def _watch(self, pid):
        # The peak, which the kernel keeps until the process has ended. What
        # wait4(2) says is no less than what we ourselves had at its start.
        with contextlib.suppress(OSError, IndexError):
            while True:
                text = pathlib.Path('/proc/%d/status' % pid).read_text()
                self.mib = int(
                    text.split('VmHWM:')[1].split()[0]) / 1024
                time.sleep(0.02)


_FLAVOR = {'cur': {'nova_object.data': {
    'name': 'm1.tiny', 'vcpus': 1, 'memory_mb': 512, 'root_gb': 1,
    'extra_specs': {}}}}
_ADDRESSES = ('10.0.0.7', '2001:db8::7')
_NETWORK = [{
    'id': 'port', 'address': 'fa:16:3e:00:00:01', 'network': {
        'label': 'net', 'subnets': [{'ips': [{'address': one}]}
                                    for one in _ADDRESSES]}}]
_IN_RECORD = [{
    'address': one, 'version': 6 if ':' in one else 4, 'type': 'fixed',
    'mac_address': 'fa:16:3e:00:00:01', 'network': 'net', 'port_id': 'port'}
    for one in _ADDRESSES]

# That of a server, from a number: the same in SQL and in server_id().
_UUID = ('INSERT(INSERT(INSERT(INSERT(MD5(seq), 21, 0, "-"), 17, 0, "-"),'
         ' 13, 0, "-"), 9, 0, "-")')


def server_id(number):
    return str(uuid.UUID(hashlib.md5(b'%d' % number).hexdigest()))


def fill(services, count):
    """Make servers, of which one in fifty has failed, and their records."""
    numbers = 'seq_1_to_%d' % count
    services.database.run('''
        INSERT INTO instances (uuid, display_name, project_id, user_id, host,
            node, vm_state, deleted, created_at, business_tag)
        SELECT {id}, CONCAT("server-", seq), "p", "u", "h", "n",
            IF(seq % 50, "active", "error"), 0, "2026-01-01 00:00:00", ""
            FROM {numbers};
        INSERT INTO instance_extra (instance_uuid, deleted, flavor)
            SELECT {id}, 0, '{flavor}' FROM {numbers};
        INSERT INTO instance_info_caches
            (instance_uuid, deleted, network_info)
            SELECT {id}, 0, '{network}' FROM {numbers};
        INSERT INTO instance_faults (instance_uuid, deleted, code, message)
            SELECT {id}, 0, 500, "No valid host" FROM {numbers}
            WHERE seq % 50 = 0;
        ANALYZE TABLE instances, instance_extra, instance_info_caches,
            instance_faults;'''.format(
                id=_UUID, numbers=numbers, flavor=json.dumps(_FLAVOR),
                network=json.dumps(_NETWORK)), services.cell.cell)
    services.database.run('''
        INSERT INTO instance_mappings (instance_uuid, project_id, cell_id)
            SELECT %s, "p", (SELECT id FROM cell_mappings
                WHERE name = "cell1") FROM %s;
        ANALYZE TABLE instance_mappings;''' % (_UUID, numbers), 'bench')
    drift = int(DRIFT * count)
    # The first have no record, the next a wrong one; and the last records
    # have no server.
    for place, one in sorted((server_id(number), number) for number in range(
            1 + drift, 1 + drift + count)):
        services.cmdb._put(place, record(
            place, one, 'old' if one <= 2 * drift else 'server-%d' % one))


def record(place, number, name):
    failed = number % 50 == 0
    return {
        'id': place, 'name': name, 'project_id': 'p', 'user_id': 'u',
        'flavor': 'm1.tiny', 'vcpus': 1, 'memory_mb': 512, 'disk_gb': 1,
        'host': 'h', 'node': 'n', 'cell': 'cell1',
        'availability_zone': None, 'addresses': _IN_RECORD,
        'state': 'error' if failed else 'active',
        'fault': {'code': 500, 'message': 'No valid host'} if failed
        else None,
        'created_at': '2026-01-01T00:00:00Z', 'business_tag': None}


PARTS = {'boots': boots, 'agents': agents, 'reconcile': reconcile}


def main():
    parser = argparse.ArgumentParser(prog='benchmarks/hooks/run')
    parser.add_argument('--only', choices=PARTS)
    parser.add_argument('--rounds', type=int, default=100)
    parser.add_argument('--servers', type=int, default=100000)
    args = parser.parse_args()
    if args.rounds < 4:
        parser.error('--rounds %d: expected 4 at least' % args.rounds)
    if args.servers < 10 * PAGE:
        parser.error('--servers %d: expected %d at least' % (
            args.servers, 10 * PAGE))
    ok = True
    with tempfile.TemporaryDirectory(prefix='bench-') as folder:
        services = Services(pathlib.Path(folder))
        try:
            for name, part in PARTS.items():
                if args.only not in (None, name):
                    continue
                for figure, ours, other, target in part(services, args):
                    ratio = ours / other
                    ok = ok and ratio <= target
                    print(json.dumps({
                        'figure': figure, 'ours': round(ours, 6),
                        'other': round(other, 6), 'ratio': round(ratio, 4),
                        'target': target, 'ok': ratio <= target}), flush=True)
        finally:
            services.stop()
    return 0 if ok else 1


if __name__ == '__main__':
    sys.exit(main())
