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

from unittest import mock

from oslo_db import exception as db_exc
import sqlalchemy as sa

from nova.compute.flavor_rules import rules
from nova.compute.flavor_rules import store
from nova import context as nova_context
from nova.db.api import api as api_db_api
from nova.db.mycompany import models
from nova import test


class StoreTestCase(test.TestCase):

    def setUp(self):
        super().setUp()
        self.entries = [
            rules.Entry(rules.DEFAULT, allow=('s1.*',)),
            rules.Entry('p1', allow=(), deny=('gr\u00f6\u00dfe', '1')),
            rules.Entry('p2', deny=('\U0001f5a5',)),
            rules.Entry('p3'),
        ]

    def _read(self):
        return sorted(store.read()[1], key=lambda entry: entry.project_id)

    def test_what_is_saved_is_read(self):
        store.save(self.entries)
        self.assertEqual(self.entries, self._read())

    def test_nothing_is_there_at_first(self):
        self.assertEqual(('', []), store.read())

    def test_an_entry_replaces_that_of_its_project_only(self):
        store.save(self.entries)
        entry = rules.Entry('p1', deny=('m1',))
        store.save([entry])
        self.assertEqual(
            [self.entries[0], entry] + self.entries[2:], self._read())

    def test_all_others_go_when_all_are_replaced(self):
        store.save(self.entries)
        store.save(self.entries[1:2], replace=True)
        self.assertEqual(self.entries[1:2], self._read())

    def test_an_entry_can_be_removed_once(self):
        store.save(self.entries)
        self.assertTrue(store.delete('p1'))
        self.assertFalse(store.delete('p1'))
        self.assertEqual(
            self.entries[:1] + self.entries[2:], self._read())

    def test_every_change_makes_another_token(self):
        tokens = [store.read()[0]]
        for change in (
            lambda: store.save(self.entries),
            lambda: store.save(self.entries),
            lambda: store.delete('p1'),
            lambda: store.save([], replace=True),
        ):
            change()
            tokens.append(store.read()[0])
        self.assertEqual(5, len(set(tokens)))

    def test_what_is_known_is_not_read_again(self):
        store.save(self.entries)
        token = store.read()[0]
        self.assertEqual((token, None), store.read(token))

    def test_thousands_of_patterns_survive(self):
        entry = rules.Entry(
            'p1', allow=['%s%d' % ('x' * 50, i) for i in range(10000)])
        store.save([entry])
        self.assertEqual([entry], self._read())

    def test_a_change_is_made_whole_or_not_at_all(self):
        store.save(self.entries)
        before = store.read()
        with mock.patch.object(
                store, '_encode', side_effect=['["x"]', TypeError]):
            self.assertRaises(TypeError, store.save, [
                rules.Entry('p7', allow=('x',), deny=('y',))], replace=True)
        self.assertEqual(before, store.read())

    def test_two_who_write_first_at_once_are_put_in_a_row(self):
        touch, tries = store._touch, []

        def collide(context):
            tries.append(context)
            if len(tries) == 1:
                raise db_exc.DBDuplicateEntry()
            touch(context)

        with mock.patch.object(store, '_touch', new=collide):
            store.save(self.entries)
        self.assertEqual(2, len(tries))
        self.assertEqual(self.entries, self._read())

    def _edit_by_hand(self, **values):
        @api_db_api.context_manager.writer
        def edit(context):
            context.session.execute(
                sa.update(models.FlavorRules).where(
                    models.FlavorRules.project_id == 'p1').values(**values))
        edit(nova_context.get_admin_context())

    def test_a_row_that_cannot_be_used_is_named_and_nothing_is_read(self):
        for values in (
            {'deny': '["m1"'}, {'deny': '{}'}, {'deny': '"m1"'},
            {'deny': '[1]'}, {'deny': '["[z-a]"]'}, {'allow': 'm1'},
            {'allow': '[null]'}, {'deny': '[""]'}, {'allow': 'null'},
            {'deny': 'null'},
        ):
            store.save(self.entries)
            self._edit_by_hand(**values)
            error = self.assertRaises(store.InvalidStoredRule, store.read)
            self.assertIn("project 'p1' in table mycompany_flavor_rules",
                          str(error), values)
