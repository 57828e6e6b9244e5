"""The business tag of servers on a real MariaDB: schema, stock Nova, races."""

import concurrent.futures
import contextlib
import json
import os
import random
import re
import socket
import subprocess

import pytest

from cell import Cell
from cell import INDEX
from cell import INDEXES
from cell import MOVES_INDEX
from cell import PIECES
from patchqueue import compare
from patchqueue import suites
from patchqueue import upstream
from process import free_port
from process import until

# Upstream's last revisions of both databases in this release.
HEAD = '13863f4e1612'
API_HEAD = 'cdeec0c85668'

# The last revision of a cell's database in later releases.
LATER = {
    '30.3.0': '13863f4e1612',
    '31.3.1': '2903cd72dc14',
    '32.2.1': '2903cd72dc14',
    '33.0.2': '2903cd72dc14',
    '34.0.0': 'ab450ba04102',
}

WEB = {'business_tag': 'web'}

# So many that an index on them is not built in an instant.
MANY = 100000


@pytest.fixture(scope='module')
def make_cell(fork, server, template, tmp_path_factory):
    """A function that makes a Cell with databases of its own."""
    made = []

    def make():
        name = 'spread%d' % len(made)
        server.copy(template, name)
        server.copy('cell1', name + '_cell')
        server.run('UPDATE cell_mappings SET database_connection = "%s" '
                   'WHERE name = "cell1"' % server.url(name + '_cell'), name)
        made.append(Cell(fork, server, tmp_path_factory.mktemp(name), name))
        return made[-1]

    return make


@pytest.fixture(scope='module')
def large(make_cell):
    """A Cell with many servers."""
    cell = make_cell()
    cell.fill(MANY)
    return cell


@contextlib.contextmanager
def every_alter(server, algorithm):
    """No table is altered by another algorithm than this, or a better one."""
    server.run('SET GLOBAL alter_algorithm = "%s"' % algorithm)
    try:
        yield
    finally:
        server.run('SET GLOBAL alter_algorithm = DEFAULT')


def finish(processes):
    """Wait for processes; what those said that did not return 0."""
    said = [process.communicate(timeout=120) for process in processes]
    return [text for process, text in zip(processes, said)
            if process.returncode]


class TestAddingTheColumn:
    """In this order: the first test leaves what the second begins with."""

    @pytest.fixture(scope='class')
    @classmethod
    def older(cls, large):
        large.lose(PIECES)
        return large

    def test_the_columns_are_added_at_once_and_only_the_indexes_are_built(
            self, older, server):
        with every_alter(server, 'INSTANT'):
            failed = older.sync(check=False)
        assert 'Reason: ADD INDEX' in failed.stdout
        assert older.missing() == INDEXES

    def test_the_index_is_built_in_place_while_servers_are_written(
            self, older, server):
        written, meanwhile = 0, 0
        building = ('SELECT id FROM information_schema.processlist'
                    ' WHERE info LIKE "CREATE INDEX %s%%";' % INDEX)
        with every_alter(server, 'NOCOPY'):
            sync = older.start_sync()
            while sync.poll() is None:
                seen = server.run(
                    building + 'INSERT INTO instances (uuid, deleted)'
                    ' VALUES ("new-%d", 0);' % written + building, older.cell)
                written += 1
                # The same statement was running before and after.
                meanwhile += len(seen) == 2 and seen[0] == seen[1]
        assert finish([sync]) == []
        assert older.missing() == []
        assert meanwhile
        assert server.value('SELECT COUNT(*) FROM instances',
                            older.cell) == str(MANY + written)

    def test_the_server_admits_writes_as_long_as_the_index_is_built(
            self, older, server):
        definition = server.tables(older.cell)['instances']
        (index,) = [line.strip(' ,') for line in definition.splitlines()
                    if INDEX in line]
        older.lose([INDEX])
        # It would refuse, if it had to keep them out.
        server.run('ALTER TABLE instances ADD %s, ALGORITHM=NOCOPY, LOCK=NONE'
                   % index, older.cell)
        assert server.tables(older.cell)['instances'] == definition


class TestKilledSync:

    @pytest.mark.parametrize('made', range(len(PIECES)))
    def test_what_a_kill_left_is_completed_by_the_next_sync(
            self, make_cell, server, made):
        cell = make_cell()
        # MariaDB commits after each piece: that is all a kill can leave.
        cell.lose(list(PIECES)[made:])
        cell.sync()
        assert server.tables(cell.cell) == server.tables('cell1')

    def test_syncs_killed_at_random_are_completed_by_the_next(
            self, large, server):
        chance = random.Random(4)
        for _ in range(5):
            # Each goes on with what the one before it left.
            if not large.missing():
                large.lose(PIECES)
            sync = self._start(large, server)
            with contextlib.suppress(subprocess.TimeoutExpired):
                sync.wait(chance.uniform(0, 0.2))
            sync.kill()
            sync.communicate()
        self._completed(large, server)

    def test_a_crash_of_the_server_during_the_index_is_completed_too(
            self, large, server):
        large.lose([INDEX])
        sync = self._start(large, server)
        server.kill()
        server.start()
        assert finish([sync])
        self._completed(large, server)

    @staticmethod
    def _start(cell, server):
        """Start a sync; returns it when it makes its first piece."""
        with server.locked('FLUSH TABLES WITH READ LOCK'):
            sync = cell.start_sync()
            # Or has nothing to do, when the server went on after a kill.
            until('it waits', lambda: sync.poll() is not None or
                  server.waiting('ALTER TABLE%')
                  or server.waiting('CREATE INDEX%'))
        return sync

    @staticmethod
    def _completed(cell, server):
        cell.sync()
        assert server.tables(cell.cell) == server.tables('cell1')
        assert cell.rows('*', 'alembic_version', 'version_num') == [(HEAD,)]

    def test_two_syncs_at_the_same_time_both_succeed(
            self, make_cell, server):
        cell = make_cell()
        cell.lose(PIECES)
        # Held back until both have found the pieces missing.
        with server.locked('FLUSH TABLES WITH READ LOCK'):
            syncs = [cell.start_sync() for _ in range(2)]
            until('both add the first column',
                  lambda: server.waiting('ALTER TABLE instances%') == 2)
        assert finish(syncs) == []
        assert server.tables(cell.cell) == server.tables('cell1')

    def test_version_shows_upstreams_chain_and_then_ours(self, make_cell):
        cell = make_cell()
        ours = []
        for lost in (), (INDEX,):
            cell.lose(lost)
            head, line = cell.manage('db', 'version').stdout.splitlines()
            assert head == HEAD
            ours.append(line)
        assert ours == ['mycompany: business_tag',
                        'mycompany: business_tag (missing: %s)' % INDEX]


class TestStockNova:
    """Stock Nova of the same release is put back, and then the fork again.

    In this order, on the same databases. The servers: `old` and `gone` are
    the fork's, stock resizes and deletes them; `new` and `brief` are stock's.
    """

    @pytest.fixture(scope='class')
    @classmethod
    def site(cls, make_cell):
        site = make_cell()
        site.call(['create', 'old', WEB], ['create', 'gone', WEB])
        return site

    @pytest.fixture(scope='class')
    @classmethod
    def stock(cls, site, stock_tree):
        return site.run_by(stock_tree)

    @staticmethod
    def _tags(site):
        # Upstream's migrations of data leave a row without a name.
        return {name: tag for name, tag in site.rows(
            'display_name, business_tag') if name != 'NULL'}

    def test_its_sync_changes_nothing(self, site, stock, server):
        tables = server.tables(site.cell)
        stock.manage('db', 'sync')
        assert server.tables(site.cell) == tables
        assert self._tags(site) == {'old': 'web', 'gone': 'web'}

    def test_it_says_that_the_schema_is_its_own(self, stock):
        assert stock.manage('db', 'version').stdout == HEAD + '\n'

    def test_it_creates_resizes_and_deletes_servers(self, site, stock):
        stock.call(['create', 'new', WEB, 'host2'], ['create', 'brief', WEB],
                   ['resize', 'old', {'business_tag': 'db'}],
                   ['delete', 'gone'], ['delete', 'brief'])
        assert self._tags(site) == {
            'old': 'web', 'gone': 'web', 'new': 'NULL', 'brief': 'NULL'}

    def test_it_archives_and_purges(self, site, stock):
        archived = stock.manage(
            'db', 'archive_deleted_rows', '--until-complete', check=False)
        # It says so when there were any.
        assert archived.returncode == 1, archived.stdout
        assert set(self._tags(site)) == {'old', 'new'}
        # Not the tag: stock's model has none, and it copies what it knows.
        assert site.rows('display_name, business_tag', 'shadow_instances') == [
            ('gone', 'NULL'), ('brief', 'NULL')]
        stock.manage('db', 'purge', '--all')
        assert site.rows('id', 'shadow_instances') == []

    def test_with_the_fork_again_its_servers_are_counted(self, site):
        site.sync()
        # `old` too, by its tag of before.
        assert site.call(['count', 'web']) == [[{'host1': 1, 'host2': 1}, 1]]

    def test_the_upgrade_check_says_how_many_are_not_filled_in(self, site):
        status = site.status()
        assert 'Result: Warning' in status
        assert re.search(r'not filled in yet \(cell .*cell1.*: 1\)', status)

    def test_online_data_migrations_fill_them_in(self, site):
        site.manage('db', 'online_data_migrations')
        assert self._tags(site)['new'] == 'web'
        assert 'Result: Success' in site.status()

    def test_repair_sets_right_what_stock_resized(self, site):
        assert self._tags(site)['old'] == 'web'
        site.manage('business_spread', 'repair')
        assert self._tags(site) == {'old': 'db', 'new': 'web'}
        assert site.call(['count', 'web'], ['count', 'db']) == [
            [{'host2': 1}, 0], [{'host1': 1}, 0]]


@pytest.fixture(scope='module')
def chains(fork, server, make_cell, tmp_path_factory):
    """How databases are after a later release's migrations and ours.

    :returns: lists of states, see upstream_chains.py, by release, database,
        its kind, and what came first
    """
    folder = tmp_path_factory.mktemp('releases')
    jobs = {}
    for version in LATER:
        release = fork.upstream.get(version)
        upstream.unpack(release, folder / version, {
            path for path in upstream.paths(release)
            if '/migrations/versions/' in path})
        for database in ('main', 'api'):
            path = 'nova/db/%s/migrations' % database
            theirs = str(folder / version / path)
            for first, steps in (
                ('theirs', [theirs, 'ours']),
                ('ours', [str(fork.tree / path), 'ours', theirs, 'ours']),
            ):
                name = 'chain%d' % len(jobs)
                server.run('CREATE DATABASE %s' % name)
                for kind, url in (
                    ('mariadb', server.url(name)),
                    ('sqlite', 'sqlite://'),
                ):
                    jobs[version, database, kind, first] = [
                        database, url, *steps]
    said = make_cell().python(
        'upstream_chains.py', json.dumps(list(jobs.values())))
    return dict(zip(jobs, json.loads(said)))


@pytest.mark.parametrize('kind', ['mariadb', 'sqlite'])
@pytest.mark.parametrize('database', ['main', 'api'])
@pytest.mark.parametrize('version', LATER)
class TestLaterReleases:
    """Databases as left by upstream's own migrations of later releases."""

    def _head(self, version, database):
        return [[LATER[version] if database == 'main' else API_HEAD]]

    def test_they_take_our_chain(self, chains, version, database, kind):
        theirs, ours = chains[version, database, kind, 'theirs']
        assert theirs['missing']
        assert ours == {
            'version': self._head(version, database), 'missing': []}

    def test_their_chain_goes_on_where_ours_has_been(
            self, chains, version, database, kind):
        _, ours, theirs, again = chains[version, database, kind, 'ours']
        assert ours['missing'] == []
        assert theirs == again == {
            'version': self._head(version, database), 'missing': []}


class TestCounting:

    def test_tags_are_compared_to_the_letter(self, make_cell):
        tags = ['web', 'Web', 'we', 'wéb', 'wêb', 'straße', 'strasse', 'веб']
        cell = make_cell()
        cell.call(*(['create', 'server%d' % number, {'business_tag': tag}]
                    for number, tag in enumerate(tags)))
        assert cell.call(*(['count', tag] for tag in tags)) == [
            [{'host1': 1}, 0]] * len(tags)

    def test_a_tag_that_ends_with_a_space_is_none(self, make_cell):
        # MariaDB takes it for the same as that without.
        cell = make_cell()
        cell.call(['create', 'a', {'business_tag': 'web '}])
        assert cell.rows('business_tag') == [('',)]
        assert cell.call(['count', 'web']) == [[{}, 0]]

    def test_the_grouped_count_goes_by_our_index(self, large):
        large.server.run(
            'UPDATE instances SET business_tag = '
            'IF(id % 100 = 0, CONCAT("tag", id % 1000), ""); '
            # InnoDB's estimates count what the UPDATE has left behind in the
            # index until the purge has come by, whenever that is.
            'ALTER TABLE instances FORCE, ALGORITHM=COPY; '
            'ANALYZE TABLE instances', large.cell)
        (rows,) = large.call(['explain_count', 'tag100'])
        # One part each for the tag and for what is not filled in, answered by
        # the index alone; what else there is finds a row by its uuid.
        ours = [row for row in rows if row['key'] == INDEX]
        assert len(ours) == 2, rows
        for row in ours:
            assert 'Using index' in row['Extra'], rows
            assert int(row['rows']) < MANY / 100, rows
        assert {row['key'] for row in rows} <= {
            INDEX, 'uniq_instances0uuid', None}, rows

    def test_moves_that_have_ended_are_not_looked_at(self, large):
        large.server.run(
            'INSERT INTO migrations (deleted, instance_uuid, status) SELECT 0,'
            ' uuid, IF(id % 1000 = 0, "running", "completed") FROM instances;'
            'ANALYZE TABLE migrations', large.cell)
        (rows,) = large.call(['explain_count', 'tag100', 'migrations'])
        looked_at = [row for row in rows if row['table'] == 'migrations']
        assert looked_at, rows
        for row in looked_at:
            assert row['key'] == MOVES_INDEX, rows
            assert int(row['rows']) <= MANY / 500, rows


class TestUnansweringCells:
    """Cells whose database is there no more, or never answers."""

    LIMIT = {'business_tag': 'web', 'business_max_per_host': '1'}

    @staticmethod
    @contextlib.contextmanager
    def _listening():
        """The port of a server that takes connections and says nothing."""
        with socket.create_server(('127.0.0.1', 0)) as silent:
            yield silent.getsockname()[1]

    def _choose(self, cell, port, timeout=2, **options):
        cell.configure('controller', business_spread={
            'count_timeout': timeout, **options})
        elsewhere = 'mysql+pymysql://root@127.0.0.1:%d/nova' % port
        cells = {'free': cell.server.url(cell.cell), 'unknown': elsewhere}
        ((passing, seconds),) = cell.call(['choose', cells, self.LIMIT])
        assert seconds < 2 * timeout + 5
        return passing

    @pytest.fixture(scope='class')
    @classmethod
    def cell(cls, make_cell):
        return make_cell()

    def test_the_hosts_of_a_dead_one_are_left_out(self, cell):
        assert self._choose(cell, free_port()) == ['free']

    def test_the_hosts_of_a_hanging_one_are_left_out_in_time(self, cell):
        with self._listening() as port:
            assert self._choose(cell, port) == ['free']

    def test_its_hosts_can_be_used_all_the_same(self, cell):
        with self._listening() as port:
            assert self._choose(cell, port, unanswering_cells='pass') == [
                'free', 'unknown']

    def test_the_others_are_counted_nevertheless(self, cell):
        cell.call(['create', 'a', self.LIMIT, 'free'])
        with self._listening() as port:
            assert self._choose(cell, port) == []


class TestNovasTests:
    """Tests of Nova's tree with their cells on MariaDB, not on SQLite."""

    @staticmethod
    def _run(fork, server, *names):
        environment = dict(
            suites.stestr_environment(fork.python),
            FORK_TEST_MARIADB=server.url(''))
        with subprocess.Popen(
                [fork.python, '-m', 'subunit.run', *names], cwd=fork.tree,
                env=environment, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as tests:
            return compare.read_results(fork.python, tests.stdout)

    def test_the_queries_and_the_races(self, fork, server):
        made = self._made(server)
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            found = list(pool.map(lambda name: self._run(
                fork, server, 'nova.tests.%s' % name), (
                    'functional.test_business_spread.RaceTestCase',
                    'functional.test_business_spread.ColumnTestCase',
                    'unit.db.test_business_spread.QueriesTestCase')))
        assert all(found)
        assert {result for results in found
                for result in results.values()} == {'success'}
        # It was this server, and each test had databases of its own.
        assert self._made(server) - made >= 2 * sum(map(len, found))

    @staticmethod
    def _made(server):
        """How many databases have been made since the server started."""
        ((_name, count),) = server.run(
            'SHOW GLOBAL STATUS LIKE "Com_create_db"')
        return int(count)
