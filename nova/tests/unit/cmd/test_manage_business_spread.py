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

import io
from unittest import mock

from oslo_db import exception as db_exc
from oslo_serialization import jsonutils
from oslo_upgradecheck import upgradecheck
from oslo_utils.fixture import uuidsentinel as uuids
import sqlalchemy as sa

from nova.cmd import manage
from nova.cmd import manage_business_spread
from nova.cmd import status
from nova import context as nova_context
from nova.db.main import api as db
from nova.db.main import models
from nova.db.mycompany import business_spread as queries
from nova import test
from nova.tests.unit.db import test_business_spread as db_tests


class RegistrationTestCase(test.NoDBTestCase):

    def test_nova_manage_has_the_commands(self):
        command = manage.CATEGORIES['business_spread']()
        self.assertEqual(
            ['repair', 'report'],
            [name for name, _method in manage.cmd_common.methods_of(command)])

    def test_nova_manage_fills_in_the_tags(self):
        self.assertIn(manage_business_spread.populate_business_tag,
                      manage.DbCommands.online_migrations)

    def test_nova_status_has_the_check(self):
        self.assertIn(manage_business_spread.check_upgrade, [
            check for _name, check in status.UpgradeCommands._upgrade_checks])


class CommandsTestCase(test.TestCase):

    def setUp(self):
        super().setUp()
        self.commands = manage_business_spread.BusinessSpreadCommands()
        self.cell = self.cell_mappings['cell1']

    def _run(self, command, **kwargs):
        with mock.patch('sys.stdout', new=io.StringIO()) as out, \
                mock.patch('sys.stderr', new=io.StringIO()) as err:
            status = getattr(self.commands, command)(**kwargs)
        return status, out.getvalue(), err.getvalue()

    def _create(self, name, host='host1', **extra_specs):
        with nova_context.target_cell(
                nova_context.get_admin_context(), self.cell) as context:
            db.instance_create(context, {
                'uuid': getattr(uuids, name), 'host': host, 'node': 'node',
                'extra': {'flavor': db_tests.flavor_info(
                    db_tests.flavor(**extra_specs))}})

    def _write(self, **values):
        @db.pick_context_manager_writer
        def write(context):
            context.session.execute(
                sa.update(models.Instance).values(**values))
        with nova_context.target_cell(
                nova_context.get_admin_context(), self.cell) as context:
            write(context)

    def test_report_names_the_hosts_over_the_limit(self):
        for name in 'abc':
            self._create(name, business_tag='web', business_max_per_host='2')
        for name in 'de':
            self._create(name, host='host2', business_tag='web',
                         business_max_per_host='2')
        for name in 'fgh':
            self._create(name, business_tag='db')
        status, out, err = self._run('report', as_json=True)
        self.assertEqual((1, ''), (status, err))
        self.assertEqual([{
            'tag': 'web', 'cell': self.cell.identity, 'host': 'host1',
            'node': 'node', 'limit': 2,
            'servers': [uuids.a, uuids.b, uuids.c]}], jsonutils.loads(out))
        status, out, _err = self._run('report')
        self.assertEqual(1, status)
        self.assertIn('host1', out)
        self.assertNotIn('host2', out)

    def test_report_goes_by_the_strictest_of_the_servers(self):
        self._create('a', business_tag='web', business_max_per_host='5')
        self._create('b', business_tag='web', business_max_per_host='1')
        self.assertEqual(1, self._run('report')[0])

    def test_report_is_content(self):
        self._create('a', business_tag='web')
        self.assertEqual((0, 'No host is over the limit\n', ''),
                         self._run('report'))
        self.assertEqual('[]\n', self._run('report', as_json=True)[1])

    def test_report_says_when_it_does_not_see_all(self):
        self._create('a', business_tag='web')
        self._write(business_tag=None)
        _status, _out, err = self._run('report')
        self.assertIn('of 1 servers is not filled in yet', err)

    def test_a_cell_that_cannot_be_asked_is_said(self):
        for command, query in (('report', 'count_unfilled'),
                               ('repair', 'repair')):
            with mock.patch.object(
                    queries, query, side_effect=db_exc.DBConnectionError):
                status, _out, err = self._run(command)
            self.assertEqual(2, status)
            self.assertIn('cannot be asked', err)

    def test_repair_sets_what_stock_nova_left_stale(self):
        self._create('a', business_tag='web')
        self._create('b')
        self._write(business_tag='stale')
        self.assertEqual(
            (0, 'Cell %s: 2 business tags differ\n' % self.cell.identity, ''),
            self._run('repair', dry_run=True))
        self.assertIn('2 business tags set', self._run('repair')[1])
        self.assertIn('0 business tags set', self._run('repair')[1])

    def test_the_upgrade_check_says_what_is_left(self):
        check = manage_business_spread.check_upgrade
        self.assertEqual(upgradecheck.Code.SUCCESS, check(None).code)
        self._create('a', business_tag='web')
        self.assertEqual(upgradecheck.Code.SUCCESS, check(None).code)
        self._write(business_tag=None)
        result = check(None)
        self.assertEqual(upgradecheck.Code.WARNING, result.code)
        self.assertIn('cell %s: 1' % self.cell.identity, result.details)
        self.assertIn('online_data_migrations', result.details)

        with nova_context.target_cell(
                nova_context.get_admin_context(), self.cell) as context:
            self.assertEqual(
                (1, 1), manage_business_spread.populate_business_tag(
                    context, 50))
        self.assertEqual(upgradecheck.Code.SUCCESS, check(None).code)

    def test_the_upgrade_check_says_when_the_column_is_not_there(self):
        with mock.patch.object(queries, 'count_unfilled',
                               side_effect=db_exc.DBError('no such column')):
            result = manage_business_spread.check_upgrade(None)
        self.assertEqual(upgradecheck.Code.FAILURE, result.code)
        self.assertIn('nova-manage db sync', result.details)
