#    Licensed under the Apache License, Version 2.0 (the "License"); you may
#    not use this file except in compliance with the License. You may obtain
#    a copy of the License at
#
#         http://www.apache.org/licenses/LICENSE-2.0
#
#    Unless required by applicable law or agreed to in writing, software
#    distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
#    WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
#    License for the specific language governing permissions and limitations
#    under the License.

import contextlib
import io
from unittest import mock

import sqlalchemy as sa

from nova.cmd import manage
from nova.db.api import api as api_db_api
from nova.db import migration
from nova.db.mycompany import chain
from nova.db.mycompany import models
from nova.db.mycompany.revisions import business_tag
from nova.db.mycompany.revisions import cmdb
from nova.db.mycompany.revisions import flavor_rules
from nova import test
from nova.tests import fixtures as nova_fixtures

UPSTREAMS_HEAD = 'cdeec0c85668'
UPSTREAMS_MAIN_HEAD = '13863f4e1612'


class ChainTestCase(test.NoDBTestCase):
    USES_DB_SELF = True

    def setUp(self):
        super().setUp()
        # A database with nothing in it.
        self.engine = sa.create_engine('sqlite://')
        patcher = mock.patch.object(
            migration, '_get_engine', return_value=self.engine)
        patcher.start()
        self.addCleanup(patcher.stop)

    def _tables(self):
        return {name for name in sa.inspect(self.engine).get_table_names()
                if 'mycompany' in name}

    def _sync(self, **kwargs):
        migration.db_sync(database='api', **kwargs)


class SyncTestCase(ChainTestCase):

    def test_sync_brings_up_both_chains(self):
        self._sync()
        self.assertEqual({flavor_rules.RULES, flavor_rules.STATE, cmdb.LEASES},
                         self._tables())
        self.assertEqual(UPSTREAMS_HEAD, migration.db_version('api'))

    def test_upstreams_version_table_is_what_stock_nova_has(self):
        self._sync()
        with self.engine.connect() as connection:
            self.assertEqual([(UPSTREAMS_HEAD,)], connection.execute(
                sa.text('SELECT * FROM alembic_version')).fetchall())

    def test_sync_completes_what_a_killed_one_left(self):
        self._sync()
        for lost in ([flavor_rules.STATE], [flavor_rules.RULES],
                     [flavor_rules.RULES, flavor_rules.STATE],
                     [cmdb.LEASES]):
            with self.engine.begin() as connection:
                for table in lost:
                    connection.execute(sa.text('DROP TABLE %s' % table))
            self._sync()
            self.assertEqual(
                {flavor_rules.RULES, flavor_rules.STATE, cmdb.LEASES},
                self._tables())

    def test_sync_changes_nothing_when_all_is_there(self):
        self._sync()
        with mock.patch.object(
                flavor_rules, 'upgrade', side_effect=AssertionError):
            self._sync()

    def test_two_syncs_at_once_both_succeed(self):
        self._sync()
        # The other one has made the tables since this one looked.
        with mock.patch.object(
                flavor_rules, 'missing',
                return_value=[flavor_rules.RULES, flavor_rules.STATE]):
            self._sync()

    def test_an_older_schema_that_was_asked_for_is_left_alone(self):
        self._sync(version='d67eeaabee36')
        self.assertEqual(set(), self._tables())

    def test_the_other_database_gets_nothing_of_it(self):
        migration.db_sync(database='main')
        self.assertEqual(set(), self._tables())


class MainSyncTestCase(ChainTestCase):
    """The column that the fork adds to upstream's tables."""

    def _sync(self, **kwargs):
        migration.db_sync(database='main', **kwargs)

    def _missing(self):
        return business_tag.missing(sa.inspect(self.engine))

    def test_sync_brings_up_both_chains(self):
        self._sync()
        self.assertEqual([], self._missing())
        self.assertEqual(UPSTREAMS_MAIN_HEAD, migration.db_version())

    def test_sync_completes_what_a_killed_one_left(self):
        pieces = ['instances.business_tag', 'shadow_instances.business_tag',
                  *business_tag.INDEXES]
        done = []
        upgrade = business_tag.upgrade

        def upgrade_and_die(operations, missing):
            upgrade(operations, missing[:1])
            done.append(missing[0])

        with mock.patch.object(business_tag, 'upgrade', new=upgrade_and_die):
            for piece in pieces:
                self._sync()
                self.assertEqual(piece, done[-1])
        self.assertEqual([], self._missing())
        self.assertEqual(pieces, done)

    def test_sync_changes_nothing_when_all_is_there(self):
        self._sync()
        with mock.patch.object(
                business_tag, 'upgrade', side_effect=AssertionError):
            self._sync()

    def test_two_syncs_at_once_both_succeed(self):
        self._sync()
        missing, looks = business_tag.missing, []

        def look(inspector):
            looks.append(inspector)
            # The other one has made all of it since this one looked.
            return (['instances.business_tag', *business_tag.INDEXES]
                    if len(looks) == 1 else missing(inspector))

        with mock.patch.object(business_tag, 'missing', new=look):
            self._sync()
        self.assertEqual([], self._missing())

    def test_a_fault_that_is_no_race_is_not_hidden(self):
        self._sync()
        with mock.patch.object(
                business_tag, 'missing', return_value=['nowhere.x']):
            self.assertRaises(
                sa.exc.OperationalError, self._sync)


class RevisionsTestCase(test.NoDBTestCase):

    def test_tables_and_models_are_the_same(self):
        for model in (models.FlavorRules, models.FlavorRulesState):
            table = flavor_rules._table(model.__tablename__)
            self.assertEqual(
                {(column.name, column.nullable, column.primary_key)
                 for column in model.__table__.columns},
                {(column.name, column.nullable, column.primary_key)
                 for column in table.columns})

    def test_every_revision_has_what_the_chain_asks_for(self):
        for revision in chain.REVISIONS:
            self.assertIn(revision.DATABASE, ('main', 'api'))
            self.assertTrue(callable(revision.missing))
            self.assertTrue(callable(revision.upgrade))


class VersionTestCase(test.NoDBTestCase):
    USES_DB_SELF = True

    def _version(self, commands=manage.ApiDbCommands):
        with contextlib.redirect_stdout(io.StringIO()) as out:
            commands().version()
        return out.getvalue().splitlines()

    def test_version_shows_upstreams_chain_and_then_ours(self):
        self.useFixture(nova_fixtures.Database(database='api'))
        self.assertEqual(
            [UPSTREAMS_HEAD, 'mycompany: flavor_rules, cmdb'], self._version())
        self.useFixture(nova_fixtures.Database(database='main'))
        self.assertEqual(
            [UPSTREAMS_MAIN_HEAD, 'mycompany: business_tag'],
            self._version(manage.DbCommands))

    def test_version_shows_what_is_missing(self):
        self.useFixture(nova_fixtures.Database(database='api'))
        with api_db_api.get_engine().begin() as connection:
            connection.execute(sa.text('DROP TABLE %s' % flavor_rules.STATE))
        self.assertEqual(
            'mycompany: flavor_rules (missing: %s), cmdb' % flavor_rules.STATE,
            self._version()[1])

    def test_version_does_not_fail_because_of_ours(self):
        self.useFixture(nova_fixtures.Database(database='api'))
        with mock.patch.object(
                chain, 'status', side_effect=RuntimeError('no idea')):
            self.assertEqual(
                [UPSTREAMS_HEAD, 'mycompany: unknown: no idea'],
                self._version())
