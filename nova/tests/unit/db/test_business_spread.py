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


from oslo_serialization import jsonutils
from oslo_utils.fixture import uuidsentinel as uuids
import sqlalchemy as sa

from nova.compute import task_states
from nova import context as nova_context
from nova.db.main import api as db
from nova.db.main import models
from nova.db.mycompany import business_spread as queries
from nova.db.mycompany import business_tag
from nova import objects
from nova import test
from nova.tests.fixtures import mycompany as mycompany_fixtures


def flavor(**extra_specs):
    return objects.Flavor(name='f', extra_specs=extra_specs)


def flavor_info(cur, new=None):
    return jsonutils.dumps({
        'cur': cur.obj_to_primitive(),
        'new': new and new.obj_to_primitive(), 'old': None})


class ColumnTestCase(test.NoDBTestCase):

    def test_the_tag_is_that_of_the_flavor(self):
        for specs, tag in (
            ({}, ''), ({'hw:cpu_policy': 'shared'}, ''),
            ({'business_tag': 'web'}, 'web'),
            ({'mycompany:business_tag': 'a', 'business_tag': 'b'}, 'a'),
            # It cannot be used, so it is none.
            ({'business_tag': 'x' * 300}, ''),
            # Not a tag, though the text has the word.
            ({'trait:business_tag_x': 'required'}, ''),
        ):
            self.assertEqual(tag, business_tag.of_flavor_info(
                flavor_info(flavor(**specs))))

    def test_what_cannot_be_told_is_left_open(self):
        for text in (None, '', 'business_tag', '["business_tag"]',
                     '{"cur": 1, "x": "business_tag"}'):
            self.assertIsNone(business_tag.of_flavor_info(text))

    def test_the_new_flavor_of_a_resize_has_its_own(self):
        info = flavor_info(flavor(), flavor(business_tag='web'))
        self.assertEqual('', business_tag.of_flavor_info(info))
        self.assertEqual('web', business_tag.of_flavor_info(info, 'new'))


class QueriesTestCase(test.TestCase):

    def setUp(self):
        self.useFixture(mycompany_fixtures.CellDatabasesOnServer())
        super().setUp()
        self.context = nova_context.get_admin_context()
        self.web = flavor(business_tag='web')

    def _create(self, name, cur=None, host='host1', new=None, **values):
        return db.instance_create(self.context, dict({
            'uuid': getattr(uuids, name), 'host': host, 'node': 'node',
            'vm_state': 'active',
            'extra': {'flavor': flavor_info(cur or self.web, new)},
        }, **values))

    def _migrate(self, name, source='host1', dest='host2', **values):
        db.migration_create(self.context, dict({
            'instance_uuid': getattr(uuids, name),
            'source_compute': source, 'source_node': 'node',
            'dest_compute': dest, 'dest_node': dest and 'node',
            'status': 'migrating', 'migration_type': 'migration',
        }, **values))

    def _write(self, **values):
        @db.pick_context_manager_writer
        def write(context):
            context.session.execute(
                sa.update(models.Instance).values(**values))
        write(self.context)

    def _tag(self, name):
        return db.instance_get_by_uuid(
            self.context, getattr(uuids, name)).business_tag

    def _count(self, tag='web', leave_out=None, at_least=1):
        counts, unfilled = queries.count_by_node(
            self.context, tag, leave_out and getattr(uuids, leave_out),
            at_least)
        return {host: count for (host, _node), count in counts.items()
                if count}, unfilled

    def test_servers_are_counted_by_host_and_node(self):
        self._create('a')
        self._create('b')
        self._create('c', host='host2')
        self._create('d', node='node2')
        counts, unfilled = queries.count_by_node(self.context, 'web')
        self.assertEqual({('host1', 'node'): 2, ('host1', 'node2'): 1,
                          ('host2', 'node'): 1}, counts)
        self.assertEqual(0, unfilled)

    def test_what_does_not_hold_a_place_is_not_counted(self):
        self._create('other', flavor(business_tag='Web'))
        self._create('plain', flavor())
        self._create('offloaded', host=None)
        self._create('deleted')
        db.instance_destroy(self.context, uuids.deleted)
        self.assertEqual(({}, 0), self._count())

    def test_a_soft_deleted_server_is_counted(self):
        self._create('a', vm_state='soft-delete')
        self.assertEqual(({'host1': 1}, 0), self._count())

    def test_one_server_can_be_left_out(self):
        self._create('a')
        self._create('b')
        self.assertEqual(({'host1': 1}, 0), self._count(leave_out='a'))
        self._migrate('a')
        self.assertEqual(({'host1': 1}, 0), self._count(leave_out='a'))

    def test_a_server_that_moves_counts_at_both_ends(self):
        self._create('a')
        self._migrate('a')
        self.assertEqual(({'host1': 1, 'host2': 1}, 0), self._count())

    def test_a_move_that_has_ended_does_not_count(self):
        self._create('a', host='host2')
        for status in ('confirmed', 'reverted', 'error', 'failed',
                       'completed', 'cancelled', 'done'):
            self._migrate('a', status=status)
        self.assertEqual(({'host2': 1}, 0), self._count())

    def test_a_move_without_a_destination_counts_at_its_source(self):
        self._create('a')
        self._migrate('a', dest=None)
        self.assertEqual(({'host1': 1}, 0), self._count())

    def test_a_resize_that_may_be_reverted_keeps_its_place(self):
        self._create('a', host='host2')
        self._migrate('a', status='finished', migration_type='resize')
        self.assertEqual(({'host1': 1, 'host2': 1}, 0), self._count())

    def test_a_resize_to_the_tag_counts_at_its_destination(self):
        self._create('a', flavor(), new=self.web,
                     task_state=task_states.RESIZE_MIGRATING)
        self._migrate('a', migration_type='resize')
        self.assertEqual(({'host2': 1}, 0), self._count())

    def test_servers_not_filled_in_are_counted(self):
        self._create('a')
        self._create('b', flavor())
        self._create('c', flavor(business_tag='other'))
        self._write(business_tag=None)
        self._create('d', host='host2')
        self.assertEqual(({'host1': 1, 'host2': 1}, 3), self._count())
        self.assertEqual(({'host2': 1}, 3), self._count(leave_out='a'))
        self.assertEqual(3, queries.count_unfilled(self.context))

    def test_nodes_that_hold_fewer_are_not_told(self):
        for name, host in (('a', 'host1'), ('b', 'host1'), ('c', 'host2')):
            self._create(name, host=host)
        self.assertEqual(({'host1': 2}, 0), self._count(at_least=2))
        self.assertEqual(({}, 0), self._count(at_least=3))

    def test_a_node_is_told_when_a_move_makes_it_hold_as_many(self):
        self._create('a', host='host2')
        self._create('b')
        self._migrate('b')
        self.assertEqual(2, self._count(at_least=2)[0]['host2'])

    def test_a_move_to_one_node_has_no_other_one_told(self):
        self._create('a', host='host3')
        self._create('b')
        self._migrate('b')
        self.assertNotIn('host3', self._count(at_least=2)[0])

    def test_a_node_is_told_when_one_not_filled_in_makes_it_hold_as_many(
            self):
        self._create('a')
        self._write(business_tag=None)
        self._create('b')
        self.assertEqual(({'host1': 2}, 1), self._count(at_least=2))

    # Filling in

    def test_filling_in_goes_on_where_it_ended_and_comes_to_an_end(self):
        for name in 'abcde':
            self._create(name, self.web if name in 'ac' else flavor())
        self._write(business_tag=None)
        self.assertEqual((2, 2), queries.fill(self.context, 2))
        # As after a kill: another process goes on.
        self.assertEqual((2, 2), queries.fill(self.context, 2))
        self.assertEqual((1, 1), queries.fill(self.context, 2))
        self.assertEqual((0, 0), queries.fill(self.context, 2))
        self.assertEqual(['web', '', 'web', '', ''],
                         [self._tag(name) for name in 'abcde'])

    def test_filling_in_copes_with_servers_without_a_flavor(self):
        for name, text in (('a', None), ('b', '{business_tag')):
            self._create(name, extra={'flavor': text})
            self.assertIsNone(self._tag(name))
        self.assertEqual((2, 2), queries.fill(self.context, 50))
        self.assertEqual((0, 0), queries.fill(self.context, 50))

    def test_filling_in_changes_nothing_else(self):
        self._create('a')
        self._write(business_tag=None)

        def columns():
            row = db.instance_get_by_uuid(self.context, uuids.a)
            return {column.name: row[column.name]
                    for column in models.Instance.__table__.columns}

        before = columns()
        queries.fill(self.context, 50)
        self.assertEqual(dict(before, business_tag='web'), columns())

    def test_repairing_sets_what_differs(self):
        for name in 'abc':
            self._create(name, self.web if name == 'a' else flavor())
        self._write(business_tag='stale')
        self.assertEqual(2, queries.repair(self.context, 0, 2, True)[1])
        self.assertEqual('stale', self._tag('a'))
        last, count = queries.repair(self.context, 0, 2)
        self.assertEqual(2, count)
        last, count = queries.repair(self.context, last, 2)
        self.assertEqual(1, count)
        self.assertEqual((None, 0), queries.repair(self.context, last, 2))
        self.assertEqual(['web', '', ''], [self._tag(name) for name in 'abc'])

    # Following the flavor

    def test_the_tag_is_written_with_the_flavor(self):
        self._create('a')
        self.assertEqual('web', self._tag('a'))
        before = db.instance_get_by_uuid(self.context, uuids.a)
        db.instance_extra_update_by_uuid(
            self.context, uuids.a, {'flavor': flavor_info(flavor())})
        self.assertEqual('', self._tag('a'))
        after = db.instance_get_by_uuid(self.context, uuids.a)
        self.assertEqual(before.updated_at, after.updated_at)

    def test_the_tag_stays_when_something_else_is_written(self):
        self._create('a')
        db.instance_extra_update_by_uuid(
            self.context, uuids.a, {'numa_topology': None})
        self.assertEqual('web', self._tag('a'))

    def test_tag_and_flavor_are_written_together_or_not_at_all(self):
        self._create('a')

        @db.pick_context_manager_writer
        def fail(context):
            db.instance_extra_update_by_uuid(
                context, uuids.a, {'flavor': flavor_info(flavor())})
            raise RuntimeError('killed')

        self.assertRaises(RuntimeError, fail, self.context)
        self.assertEqual('web', self._tag('a'))
        self.assertIn('business_tag', db.instance_extra_get_by_instance_uuid(
            self.context, uuids.a).flavor)

    def test_a_tag_is_archived_and_purged_with_its_server(self):
        self._create('a')
        db.instance_destroy(self.context, uuids.a)
        db.archive_deleted_rows(self.context, max_rows=100)

        @db.pick_context_manager_reader
        def shadow(context):
            return context.session.execute(sa.text(
                'SELECT uuid, business_tag FROM shadow_instances')).fetchall()

        self.assertEqual([(uuids.a, 'web')], shadow(self.context))
        db.purge_shadow_tables(self.context, None)
        self.assertEqual([], shadow(self.context))

    # Reporting

    def test_nodes_with_more_than_a_number_are_found(self):
        for name in 'abc':
            self._create(name)
        self._create('d', host='host2')
        self._create('e', flavor())
        self._create('f', flavor())
        self.assertEqual([('web', 'host1', 'node', 3)],
                         queries.crowded(self.context, 1))
        self.assertEqual([], queries.crowded(self.context, 3))
        self.assertEqual(
            [uuids.a, uuids.b, uuids.c],
            [uuid for uuid, _flavor in queries.flavors_on(
                self.context, 'web', 'host1', 'node')])
