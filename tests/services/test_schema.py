"""The schema chain and the stored rules on a real MariaDB."""

import json
import subprocess

import pytest

from patchqueue import compare
from patchqueue import suites
from process import until

# Upstream's last revision of the API database in this release.
HEAD = 'cdeec0c85668'

RULES = 'mycompany_flavor_rules'
STATE = 'mycompany_flavor_rules_state'
LEASES = 'mycompany_cmdb_leases'
OURS = {RULES, STATE, LEASES}

EMOJI = 'gpu.\N{ROCKET}*'
MANY = ['flavor-%05d-%s' % (i, 'x' * 100) for i in range(10000)]


def finish(processes):
    """Wait for processes; what those said that did not return 0."""
    said = [process.communicate(timeout=120) for process in processes]
    return [text for process, text in zip(processes, said)
            if process.returncode]


def drop(cloud, *tables):
    cloud.server.run(''.join('DROP TABLE %s;' % name for name in tables),
                     cloud.database)


class TestSync:

    @pytest.mark.parametrize('left', [(), (RULES,), (STATE,), (RULES, STATE)])
    def test_a_sync_that_was_killed_is_completed_by_the_next(
            self, cloud, server, template, left):
        # MariaDB commits after each table: that is all a kill can leave.
        drop(cloud, *OURS.difference(left))
        cloud.manage('api_db', 'sync')
        assert server.tables(cloud.database) == server.tables(template)

    def test_a_second_sync_changes_nothing(self, cloud, server):
        server.run("INSERT INTO %s (project_id) VALUES ('somebody')" % RULES,
                   cloud.database)
        before = self._everything(cloud)
        cloud.manage('api_db', 'sync')
        assert self._everything(cloud) == before

    @staticmethod
    def _everything(cloud):
        tables = cloud.server.tables(cloud.database)
        return tables, {name: cloud.server.run(
            'SELECT * FROM `%s`' % name, cloud.database) for name in tables}

    def test_two_syncs_at_the_same_time_both_succeed(
            self, cloud, server, template):
        drop(cloud, *OURS)
        # Held back until both have found the tables missing.
        with server.locked('FLUSH TABLES WITH READ LOCK'):
            syncs = [cloud.start_manage('api_db', 'sync') for _ in range(2)]
            until('both make the first table',
                  lambda: server.waiting('%CREATE TABLE%') == 2)
        assert finish(syncs) == []
        assert server.tables(cloud.database) == server.tables(template)

    def test_upstreams_version_is_as_it_was(self, cloud, server):
        first, second = cloud.manage(
            'api_db', 'version').stdout.splitlines()
        assert first == HEAD
        assert second == 'mycompany: flavor_rules, cmdb'
        assert server.run('SELECT * FROM alembic_version',
                          cloud.database) == [(HEAD,)]

    @pytest.mark.parametrize('database', ['api', 'main'])
    def test_upstreams_own_tests_of_the_schema_pass_on_mariadb(
            self, fork, server, database):
        module = 'nova.tests.unit.db.%s.test_migrations' % database
        classes = ['%s.%s' % (module, name) for name in (
            'TestModelsSyncMySQL', 'TestMigrationsWalkMySQL')]
        # Without this they look for a database that is not there, and skip.
        environment = dict(
            suites.stestr_environment(fork.python),
            PYTHONPATH=str(fork.tree),
            OS_TEST_DBAPI_ADMIN_CONNECTION=server.url(''))
        with subprocess.Popen(
                [fork.python, '-m', 'subunit.run', *classes], cwd=fork.tree,
                env=environment, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as tests:
            found = compare.read_results(fork.python, tests.stdout)
        assert {'%s.test_models_sync' % classes[0],
                '%s.test_walk_versions' % classes[1]} <= found.keys()
        assert set(found.values()) == {'success'}


class TestStoredRules:

    def test_commands_at_the_same_time_on_a_fresh_schema_lose_nothing(
            self, cloud, server):
        projects = ['project-%d' % i for i in range(4)]
        # All come to the empty table at once.
        with server.locked('LOCK TABLES %s.%s WRITE' % (
                cloud.database, STATE)):
            commands = [cloud.start_manage(
                'flavor_rules', 'set', '--project', project, '--allow',
                'm1.*') for project in projects]
            until('all wait', lambda: server.waiting(
                'UPDATE %s%%' % STATE) == len(commands))
        assert finish(commands) == []
        assert sorted(server.run('SELECT project_id FROM %s' % RULES,
                                 cloud.database)) == [
            (project,) for project in projects]
        assert server.value('SELECT COUNT(*) FROM %s' % STATE,
                            cloud.database) == '1'

    @pytest.fixture(scope='class')
    @classmethod
    def listed(cls, make_cloud):
        """The rules of a file that was imported, as they are listed."""
        cloud = make_cloud()
        cloud.rules_file.write_text(json.dumps({'version': 1, 'projects': {
            'abcdef': {'allow': ['lower']}, 'ABCDEF': {'allow': ['upper']},
            'emoji': {'deny': [EMOJI]}, 'many': {'deny': MANY}}},
            ensure_ascii=False))
        cloud.manage('flavor_rules', 'import', str(cloud.rules_file))
        said = cloud.manage('flavor_rules', 'list', '--json').stdout
        return {row['project']: row for row in json.loads(said)}

    def test_project_ids_that_differ_in_case_are_two_projects(self, listed):
        assert listed['abcdef']['allow'] == ['lower']
        assert listed['ABCDEF']['allow'] == ['upper']

    def test_a_pattern_with_an_emoji_survives(self, listed):
        assert listed['emoji']['deny'] == [EMOJI]

    def test_ten_thousand_patterns_of_one_project_survive(self, listed):
        assert listed['many']['deny'] == MANY


class TestStockNova:
    """Stock Nova of the same release is put back, and then the fork again.

    In this order, on the same databases.
    """

    @pytest.fixture(scope='class')
    @classmethod
    def site(cls, make_cloud):
        cloud = make_cloud()
        cloud.manage('flavor_rules', 'set', '--project', 'somebody',
                     '--deny', 'm1.*')
        return cloud

    @pytest.fixture(scope='class')
    @classmethod
    def stock(cls, site, stock_tree):
        return site.run_by(stock_tree)

    def test_its_sync_changes_nothing(self, stock):
        before = TestSync._everything(stock)
        stock.manage('api_db', 'sync')
        assert TestSync._everything(stock) == before

    def test_it_says_that_the_schema_is_its_own(self, stock):
        assert stock.manage('api_db', 'version').stdout == HEAD + '\n'

    def test_its_api_serves_who_was_denied(self, stock):
        api = stock.start_api(
            'host1', flavor_rules={'use_database': True}).wait()
        api.add_flavor('m1.tiny')
        assert 'm1.tiny' in api.call('GET', '/flavors').text
        assert api.create('somebody').status == 202

    def test_with_the_fork_again_the_rules_are_there_again(self, site):
        site.manage('api_db', 'sync')
        api = site.start_api(
            'host2', flavor_rules={'use_database': True}).wait()
        assert api.create('somebody').status == 403
        assert api.create('somebody-else').status == 202
