"""The benchmark of scheduling; ``run`` beside it starts it, and says what it
prints.

A process is one scheduler on one kind of database. It answers requests in
rounds: in each, every way of spreading serves one in every size that it is
measured in, in another order each time. So whatever slows the machine for a
while slows all of them, and each request is compared with the one without our
filter in the same round.

What is left out is left out for all: placement, the message bus, and the API,
which reads a server group once more. That makes a request cheaper than it is,
and our share of it larger.
"""

import argparse
import collections
import gc
import json
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
import warnings

# Before anything else of Nova, as in its services.
import nova.monkey_patch  # noqa: F401

import sqlalchemy as sa

import nova.conf
from nova import config
from nova import context as nova_context
from nova.db.main import api as main_db_api
from nova.db.main import models
from nova.db import migration
from nova import objects
from nova.scheduler.client import report
from nova.scheduler import filters
from nova.scheduler.filters import business_spread_filter
from nova.scheduler import manager
from nova.scheduler import utils

import cells
import databases

CONF = nova.conf.CONF

# ours / other, at most: what a request may take with our filter.
TOTAL_VS_NONE = 1.05
TOTAL_VS_GROUP = 1.0
# The filter alone, with ten times the servers and as many of the tag. It
# counts by an index, which then is ten times as large: that is one more level
# to go down, and colder processor caches. What grows with the servers would
# show as up to 10.
GROWTH = 1.2
# other / ours, at least.
TIMES_LESS = 200

MIN_ROUNDS = 12
WARM_UP_ROUNDS = 2

# The figure with the narrowest target needs the most requests: that of the
# total with our filter and 1000 hosts. So others are left out of some rounds.
# With 10,000 hosts, all of a request but our filter takes longer.
SIZE_EACH = {'10000-hosts': 2}
# Of the rounds that have its size. The second takes seconds, and its target is
# far.
GROUP_EACH, NAIVE_EACH = 2, 6

# What is measured: processor time of this process and of the database server,
# or time on the clock. The two never work at the same time, so on a quiet
# machine both are nearly the same, but for the time that one takes to wake the
# other. On a busy one processor time leaves out the turns of others, and is
# what the figures are in.
CPU, CLOCK = 0, 1


def progress(message):
    print('-- %s' % message, file=sys.stderr, flush=True)


class Stopwatch:
    """:param database: whose processor time counts too"""

    def __init__(self, database):
        self._database = database

    def now(self):
        return (time.process_time() + self._database.processor_time(),
                time.perf_counter())

    def since(self, start):
        return tuple(now - then for now, then in zip(self.now(), start))


class Timed:
    """A filter that is measured.

    :param taken: list to which the time of each use is added
    """

    def __init__(self, filter_, stopwatch, taken):
        self._filter, self._stopwatch, self._taken = filter_, stopwatch, taken

    def filter_all(self, hosts, spec_obj):
        start = self._stopwatch.now()
        passing = list(self._filter.filter_all(hosts, spec_obj))
        self._taken.append((self._stopwatch.since(start), len(passing)))
        return passing

    def run_filter_for_index(self, index):
        return self._filter.run_filter_for_index(index)


class QueryPerHostFilter(filters.BaseHostFilter):
    """The same at its plainest: a query for each host.

    It has it easier than it would: it uses our column and index, asks for no
    more than a number, and does not look at servers that move.
    """

    def __init__(self, cell):
        self._cell = cell

    def host_passes(self, host_state, spec_obj):
        extra_specs = spec_obj.flavor.extra_specs
        with nova_context.target_cell(
                nova_context.get_admin_context(), self._cell) as cctxt:
            count = self._count(cctxt, host_state,
                                extra_specs['mycompany:business_tag'])
        return count < int(extra_specs['mycompany:business_max_per_host'])

    @staticmethod
    @main_db_api.pick_context_manager_reader
    def _count(context, host_state, tag):
        table = models.Instance
        return context.session.query(sa.func.count(table.id)).filter(
            table.deleted == 0, table.business_tag == tag,
            table.host == host_state.host,
            table.node == host_state.nodename).scalar()


class Placement:
    """Answers that placement has given: some hosts, with room on each."""

    def __init__(self):
        self.answer = None

    def name(self, nodes):
        self.answer = (
            [{'allocations': {node_uuid: {'resources': {
                'VCPU': 2, 'MEMORY_MB': 4096, 'DISK_GB': 40}}},
              'mappings': {'': [node_uuid]}}
             for _number, _host, node_uuid in nodes],
            {node_uuid: {
                'resources': {
                    'VCPU': {'capacity': 512, 'used': 100},
                    'MEMORY_MB': {'capacity': 1 << 20, 'used': 1 << 19},
                    'DISK_GB': {'capacity': 20000, 'used': 8000}},
                'traits': ['COMPUTE_STATUS_%d' % i for i in range(50)],
                'parent_provider_uuid': None,
                'root_provider_uuid': node_uuid}
             for _number, _host, node_uuid in nodes},
            '1.36')

    def get_allocation_candidates(self, context, resources):
        return self.answer

    def claim_resources(self, *args, **kwargs):
        return True


class Scheduler:
    """A scheduler with one cell."""

    def __init__(self, cell, placement, stopwatch):
        self.cell, self.stopwatch = cell, stopwatch
        self._placement = placement
        self._context = nova_context.RequestContext(
            'user', 'f' * 32, is_admin=False)
        self._manager = manager.SchedulerManager()
        self._hosts = self._manager.host_manager
        self._hosts.cells = {cell.mapping.uuid: cell.mapping}
        self._hosts.enabled_cells = [cell.mapping]
        self._filters = self._hosts.enabled_filters
        self._groups, self._servers = {}, {}
        for tag in cells.TAGS:
            self._make_group(tag)
        self.track()

    def _make_group(self, tag):
        """The servers with a tag, as members of a server group; and another
        server, which is going to be placed.
        """
        self._servers[tag] = str(uuid.uuid4())
        group = objects.InstanceGroup(
            self._context.elevated(), uuid=str(uuid.uuid4()), name=tag,
            user_id=self._context.user_id, policy='anti-affinity',
            project_id=self._context.project_id,
            rules={'max_server_per_host': cells.MAX_PER_HOST},
            members=self.cell.uuids_by_tag[tag] + [self._servers[tag]])
        group.create()
        self._groups[tag] = group.uuid

    def track(self):
        """Know the servers of all hosts, as each nova-compute has told it.

        That is upstream's default, and the best that can happen to server
        groups: it takes two queries for each host and request off all of them.
        """
        for host, uuids in self.cell.uuids_by_host.items():
            self._hosts.update_instance_info(
                self._context, host, objects.InstanceList(objects=[
                    objects.Instance(uuid=uuid_) for uuid_ in uuids]))

    def forget(self):
        """As with track_instance_changes off."""
        self._hosts._instance_info.clear()

    def _spec(self, tag, group):
        return objects.RequestSpec.from_components(
            self._context, self._servers[tag],
            {'id': str(uuid.uuid4()), 'status': 'active', 'min_ram': 0,
             'min_disk': 0, 'properties': {}, 'size': 1 << 30},
            cells.flavor_of(tag), None,
            objects.InstancePCIRequests(requests=[]), {}, group, 'nova',
            security_groups=objects.SecurityGroupList(objects=[]),
            port_resource_requests=[],
            request_level_params=objects.RequestLevelParams())

    def activate(self):
        """Let the next requests be for this one."""
        # It would find the others' cells too.
        nova_context.CELLS = [self.cell.mapping]
        self._placement.name(self.cell.candidates)

    def request(self, way):
        """Choose a host.

        :returns: how long that took, of this how long the filter took, and
            how many hosts the filter passed
        """
        filtering = []
        self._hosts.enabled_filters = [
            Timed(filter_, self.stopwatch, filtering)
            if type(filter_).__name__ == way.measured else filter_
            for filter_ in self._filters + way.filters(self.cell)]
        group = None
        if way.grouped:
            # The API has read it, and the conductor has got it from there.
            group = objects.InstanceGroup.get_by_uuid(
                self._context, self._groups[way.tag])
        spec_obj = self._spec(way.tag, group)
        # Before the request, or it falls on whichever is there by then.
        gc.collect()

        start = self.stopwatch.now()
        if way.grouped:
            # In the conductor, and for groups only.
            utils.setup_instance_group(self._context, spec_obj)
        ((selection, *_alternates),) = self._manager.select_destinations(
            self._context, spec_obj=spec_obj,
            instance_uuids=[spec_obj.instance_uuid],
            return_objects=True, return_alternates=True)
        taken = self.stopwatch.since(start)

        if way.grouped and self._hosts._instance_info:
            # The scheduler has noted it, and it is placed again and again.
            self._hosts.delete_instance_info(
                self._context, selection.service_host, spec_obj.instance_uuid)
        ((of_filter, passing),) = filtering or [(None, None)]
        return taken, of_filter, passing


class Way:
    """A way to spread servers, or not to.

    :param tag: of the server to be placed
    :param measured: name of the filter that does it
    :param grouped: a server group does it
    :param filters: called with the cell, the filters beside upstream's
    """

    def __init__(self, name, tag, measured=None, grouped=False,
                 filters=lambda cell: []):
        self.name, self.tag = name, tag
        self.measured, self.grouped, self.filters = measured, grouped, filters


TAG = 'tag-of-1000'

NONE = [Way('without', TAG), Way('without, once more', TAG)]
OURS = {tag: Way('ours, %s' % tag, tag, 'BusinessSpreadFilter',
                 filters=lambda cell: [
                     business_spread_filter.BusinessSpreadFilter()])
        for tag in cells.TAGS}
GROUP = {tag: Way('server group, %s' % tag, tag,
                  'ServerGroupAntiAffinityFilter', grouped=True)
         for tag in cells.TAGS}
NAIVE = Way('query per host, %s' % TAG, TAG, 'QueryPerHostFilter',
            filters=lambda cell: [QueryPerHostFilter(cell.mapping)])

SIZES = {
    '1000-hosts': ((1000, 100000),
                   [*NONE, *OURS.values(), *GROUP.values(), NAIVE]),
    '10000-hosts': ((10000, 100000),
                    [*NONE, *OURS.values(), *GROUP.values(), NAIVE]),
    # Only to see what grows.
    '10000-servers': ((1000, 10000), [*OURS.values()]),
}


def midmean(values):
    """The mean of the middle half: deaf to outliers, steadier than a median.
    """
    values = sorted(values)
    cut = len(values) // 4
    return statistics.fmean(values[cut:len(values) - cut])


class Results:
    """What the requests have taken: by size and way, by round."""

    def __init__(self):
        self._found = collections.defaultdict(dict)

    def add(self, size, way, number, found):
        self._found[size, way][number] = found

    def clear(self):
        self._found.clear()

    def count(self, size, way):
        return len(self._found[size, way])

    def without(self, size, unit=CPU):
        """Seconds that a request takes without our filter."""
        return midmean(found[0][unit] for way in NONE
                       for found in self._found[size, way].values())

    def total(self, size, way, unit=CPU, others=NONE):
        """Seconds that a request takes: what it takes without our filter, and
        what the way adds to that in the same rounds.
        """
        return self.without(size, unit) + midmean(
            found[0][unit] - statistics.fmean(
                self._found[size, other][number][0][unit] for other in others)
            for number, found in self._found[size, way].items())

    def filtering(self, size, way, unit=CPU):
        """Seconds that the filter takes."""
        return midmean(found[1][unit]
                       for found in self._found[size, way].values())

    def passing(self, size, way):
        """How many hosts the filter has passed, each time."""
        return {found[2] for found in self._found[size, way].values()}


def is_in(number, size, way):
    """Whether a round has a way of a size."""
    number, rest = divmod(number, SIZE_EACH.get(size, 1))
    each = (NAIVE_EACH if way is NAIVE else
            GROUP_EACH if way.grouped else 1)
    return not rest and number % each == 0


def measure(schedulers, results, rounds):
    for number in range(rounds):
        if number % 5 == 0 and number:
            progress('%d of %d rounds' % (number, rounds))
        todo = [(size, way) for size in schedulers for way in SIZES[size][1]
                if is_in(number, size, way)]
        for size, way in random.sample(todo, len(todo)):
            schedulers[size].activate()
            results.add(size, way, number, schedulers[size].request(way))


def set_up_nova(database, folder):
    """Configure Nova as in its services, and make its own databases."""
    path = folder / 'nova.conf'
    path.write_text("""
[DEFAULT]
transport_url = fake:/
service_down_time = 86400
[oslo_messaging_notifications]
driver = noop
[api_database]
connection = %s
[database]
connection = %s
[filter_scheduler]
# Each would be loaded at once, and some are never asked for. See track().
track_instance_changes = False
""" % (database.url('api'), database.url('cell0')))
    config.parse_args(['nova-scheduler', '--config-file', str(path)])
    objects.register_all()
    migration.db_sync(database='api')
    migration.db_sync(database='main')
    objects.CellMapping(
        nova_context.get_admin_context(), transport_url='none:///',
        uuid=objects.CellMapping.CELL0_UUID, name='cell0',
        database_connection=database.url('cell0')).create()


def make_schedulers(database, placement, stopwatch):
    schedulers = {}
    for size, ((hosts, servers), _ways) in SIZES.items():
        progress('%d hosts with %d servers' % (hosts, servers))
        name = 'cell_%d_%d' % (hosts, servers)
        database.copy('cell0', name)
        cell = cells.Cell(name, hosts, servers)
        cell.create(database.url(name))
        database.loaded(name)
        schedulers[size] = Scheduler(cell, placement, stopwatch)
    return schedulers


def run(database, folder, rounds):
    """Measure, on one kind of database.

    :returns: Results; and with track_instance_changes off, pairs of a way
        and what one request has taken
    """
    progress('making the databases')
    set_up_nova(database, folder)
    placement = Placement()
    report.report_client_singleton = lambda: placement
    stopwatch = Stopwatch(database)
    schedulers = make_schedulers(database, placement, stopwatch)

    progress('%d rounds' % rounds)
    results = Results()
    # What is there by now stays: a collection need not go through it.
    gc.collect()
    gc.freeze()
    gc.disable()
    measure(schedulers, results, WARM_UP_ROUNDS)
    results.clear()
    measure(schedulers, results, rounds)

    progress('without track_instance_changes')
    scheduler = schedulers['1000-hosts']
    scheduler.activate()
    scheduler.forget()
    # The first looks up the cell of each host, once.
    scheduler.request(NONE[0])
    untracked = [(way, scheduler.request(way))
                 for way in (NONE[0], OURS[TAG], GROUP[TAG])]
    return results, untracked


def check(results):
    """Raise if those that are compared did not do the same."""
    for size, (_cell, ways) in SIZES.items():
        for tag in cells.TAGS:
            passing = set().union(*(
                results.passing(size, way) for way in ways
                if way.measured and way.tag == tag))
            if len(passing) != 1:
                raise RuntimeError('%s, tag %s: expected the same hosts to '
                                   'pass, not %s' % (size, tag, passing))


def print_table(name, results, untracked):
    """Tell people what the figures are made of."""
    print('\n%-40s' % name + '%9s' * 7 % (
        'requests', 'ms', 'ratio', 'clock', 'added', 'filter', 'clock'),
        file=sys.stderr)
    for size, (_cell, ways) in SIZES.items():
        for way in ways:
            line = '%-40s%9d' % ('%s, %s' % (size, way.name),
                                 results.count(size, way))
            if NONE[0] in ways:
                others = NONE[:1] if way is NONE[1] else NONE
                without, total = (
                    [found(unit) for unit in (CPU, CLOCK)] for found in (
                        lambda unit: results.without(size, unit),
                        lambda unit: results.total(size, way, unit, others)))
                line += '%9.1f%9.4f%9.4f%+9.2f' % (
                    1000 * total[CPU], total[CPU] / without[CPU],
                    total[CLOCK] / without[CLOCK],
                    1000 * (total[CPU] - without[CPU]))
            else:
                line += ' ' * 36
            if way.measured:
                line += '%9.2f%9.2f' % tuple(
                    1000 * results.filtering(size, way, unit)
                    for unit in (CPU, CLOCK))
            print(line, file=sys.stderr)
    for way, (taken, _of_filter, _passing) in untracked:
        print('%-40s%9d%9.1f' % ('untracked, %s' % way.name, 1,
                                 1000 * taken[CPU]), file=sys.stderr)
    print("""
  ms         of processor time, for one request
  ratio      to one without our filter; of those without, what noise makes of
             nothing
  clock      the same ratio in time on the clock
  added      ms of processor time that the way adds
  filter     ms of processor time in the filter alone, and on the clock
  untracked  with 1000 hosts and track_instance_changes off; all others know
             the servers of each host
""", file=sys.stderr)


def figures(name, results):
    """The figures: name, ours, other, ratio, target, whether it holds."""
    for size in ('1000-hosts', '10000-hosts'):
        for tag in cells.TAGS:
            start = '%s-%s-%s' % (name, size, tag)
            ours = results.total(size, OURS[tag])
            for what, other, target in (
                    ('none', results.without(size), TOTAL_VS_NONE),
                    ('server-group', results.total(size, GROUP[tag]),
                     TOTAL_VS_GROUP)):
                yield ('%s-total-vs-%s' % (start, what), ours, other,
                       ours / other, target, ours / other <= target)
            ours = results.filtering(size, OURS[tag])
            other = results.filtering(size, NAIVE)
            yield ('%s-filter-times-less' % start, ours, other, other / ours,
                   TIMES_LESS, other / ours >= TIMES_LESS)
    for tag in cells.TAGS:
        ours, other = (results.filtering(size, OURS[tag])
                       for size in ('1000-hosts', '10000-servers'))
        yield ('%s-1000-hosts-%s-growth' % (name, tag), ours, other,
               ours / other, GROWTH, ours / other <= GROWTH)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--database', choices=databases.BY_NAME)
    parser.add_argument('--rounds', type=int, default=24)
    args = parser.parse_args()
    if args.rounds < MIN_ROUNDS:
        parser.error('--rounds %d: expected %d at least' % (
            args.rounds, MIN_ROUNDS))
    if not args.database:
        # The databases of Nova are one for a process.
        return max([subprocess.run(
            [sys.executable, __file__, '--database', name,
             '--rounds', str(args.rounds)]).returncode
            for name in databases.BY_NAME])

    warnings.simplefilter('ignore')
    progress(args.database)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        database = databases.BY_NAME[args.database](folder)
        try:
            results, untracked = run(database, folder, args.rounds)
        finally:
            database.stop()
    print_table(args.database, results, untracked)
    check(results)
    missed = 0
    for name, ours, other, ratio, target, ok in figures(
            args.database, results):
        missed += not ok
        print(json.dumps({
            'figure': name, 'ours': round(ours, 6), 'other': round(other, 6),
            'ratio': round(ratio, 4), 'target': target, 'ok': ok}),
            flush=True)
    return 1 if missed else 0


if __name__ == '__main__':
    sys.exit(main())
