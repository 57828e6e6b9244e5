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
import os
import shutil
import tempfile
from unittest import mock

from oslo_db import exception as db_exc
from oslo_serialization import jsonutils

from nova.cmd import manage
from nova.cmd import manage_flavor_rules
from nova.compute.flavor_rules import rules
from nova.compute.flavor_rules import rules_file
from nova.compute.flavor_rules import store
from nova.compute import flavors
from nova import test

PROJECT = 'a1b2c3d4e5f64718a9b0c1d2e3f40516'


class CategoryTestCase(test.NoDBTestCase):

    def test_nova_manage_has_the_commands(self):
        command = manage.CATEGORIES['flavor_rules']()
        self.assertEqual(
            ['check', 'export', 'import', 'list', 'set', 'unset'],
            [name for name, _method in manage.cmd_common.methods_of(command)])


class CommandsTestCase(test.TestCase):

    def setUp(self):
        super().setUp()
        self.commands = manage_flavor_rules.FlavorRulesCommands()
        self.flags(use_database=True, group='flavor_rules')
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)
        flavors.create('s1.small', 1, 1, 0, flavorid='small')
        flavors.create('s1.large', 1, 1, 0, flavorid='large')

    def _run(self, command, *args, **kwargs):
        """Run a command; returns its status, and what it says and where."""
        with mock.patch('sys.stdout', new=io.StringIO()) as out, \
                mock.patch('sys.stderr', new=io.StringIO()) as err:
            status = getattr(self.commands, command)(*args, **kwargs)
        return status, out.getvalue(), err.getvalue()

    def _write(self, text):
        path = os.path.join(self.folder, 'rules.yaml')
        with open(path, 'w', encoding='utf-8') as stream:
            stream.write(text)
        return path

    def _entries(self):
        return sorted(store.read()[1], key=lambda entry: entry.project_id)

    # set and unset

    def test_set_replaces_the_entry_of_a_project(self):
        self._run('set', project=PROJECT, deny=['s1.large'])
        self.assertEqual((0, '', ''), self._run(
            'set', project=PROJECT, allow=['s1.*'], deny=['s1.large']))
        self.assertEqual(
            [rules.Entry(PROJECT, ('s1.*',), ('s1.large',))],
            self._entries())

    def test_set_tells_nothing_all_and_a_list_apart(self):
        for kwargs, allow in (({'allow_none': True}, ()),
                              ({'allow_all': True}, None),
                              ({'allow': ['a', 'b']}, ('a', 'b')),
                              ({'deny': ['a']}, None)):
            self.assertEqual(0, self._run('set', default=True, **kwargs)[0])
            self.assertEqual(allow, self._entries()[0].allow)

    def test_set_refuses_what_it_cannot_mean(self):
        for kwargs, message in (
            ({'deny': ['a']}, 'either --project or --default'),
            ({'project': PROJECT, 'default': True, 'deny': ['a']},
             'either --project or --default'),
            ({'project': PROJECT}, 'Say what is allowed or denied'),
            ({'project': PROJECT, 'allow': ['a'], 'allow_none': True},
             'exclude each other'),
            ({'project': '*', 'deny': ['a']}, 'is --default'),
            ({'project': 'x' * 256, 'deny': ['a']}, 'longer than 255'),
            ({'project': PROJECT, 'deny': ['[z-a]']}, 'empty range: z-a'),
            ({'project': PROJECT, 'deny': ['']}, 'is empty'),
        ):
            status, out, err = self._run('set', **kwargs)
            self.assertEqual((2, ''), (status, out))
            self.assertIn(message, err)
        self.assertEqual([], self._entries())

    def test_set_says_when_the_rules_are_not_used(self):
        self.flags(use_database=False, group='flavor_rules')
        status, _out, err = self._run('set', default=True, deny=['a'])
        self.assertEqual(0, status)
        self.assertIn('use_database is not set', err)

    def test_unset_says_when_there_was_none(self):
        self._run('set', default=True, deny=['a'])
        self.assertEqual((0, '', ''), self._run('unset', default=True))
        self.assertEqual(
            (1, '', 'There is no entry of default in the API database\n'),
            self._run('unset', default=True))
        self.assertEqual([], self._entries())

    # list

    def test_list_shows_which_entry_is_in_force(self):
        self.flags(rules_file=self._write(
            'version: 1\ndefault: {allow: []}\n'
            'projects:\n  %s: {deny: [x]}\n' % PROJECT),
            group='flavor_rules')
        self._run('set', project=PROJECT, deny=['y'])
        status, out, _err = self._run('list', as_json=True)
        self.assertEqual(0, status)
        self.assertEqual([
            {'project': 'default', 'source': 'file', 'allow': [], 'deny': [],
             'in_force': True},
            {'project': PROJECT, 'source': 'database', 'allow': None,
             'deny': ['y'], 'in_force': True},
            {'project': PROJECT, 'source': 'file', 'allow': None,
             'deny': ['x'], 'in_force': False},
        ], jsonutils.loads(out))

    def test_list_is_readable_with_thousands_of_patterns(self):
        self._run('set', default=True, allow=['p%d' % i for i in range(5000)])
        self._run('set', project=PROJECT, allow_none=True)
        _status, out, _err = self._run('list')
        self.assertIn('... 4994 more', out)
        self.assertIn('(nothing)', out)
        self.assertLess(len(out), 2000)

    # check

    def test_check_says_yes_or_no_and_which_rule_decided(self):
        self._run('set', project=PROJECT, deny=['*.large'])
        self.assertEqual(
            (1, "no: project %s may not use flavor s1.large (large): the "
             "project's entry in the database: deny pattern '*.large'\n" %
             PROJECT, ''),
            self._run('check', project=PROJECT, flavor='large'))
        self.assertEqual(
            (0, "yes: project %s may use flavor s1.small (small): the "
             "project's entry in the database: no deny pattern matches, and "
             "there is no allow list\n" % PROJECT, ''),
            self._run('check', project=PROJECT, flavor='s1.small'))
        self.assertEqual(
            (0, 'yes: project other may use flavor s1.small (small): no '
             'entry for the project and no default entry\n', ''),
            self._run('check', project='other', flavor='small'))

    def test_check_takes_an_id_before_a_name(self):
        flavors.create('large', 1, 1, 0, flavorid='44')
        _status, out, _err = self._run(
            'check', project=PROJECT, flavor='large', as_json=True)
        self.assertEqual({'name': 's1.large', 'id': 'large'},
                         jsonutils.loads(out)['flavor'])

    def test_check_warns_of_rules_that_name_no_flavor(self):
        self._run('set', project=PROJECT, allow=['s1.*', 'S1.LARGE'],
                  deny=['t?.tiny'])
        self._run('set', default=True, deny=['nothing'])
        status, out, err = self._run(
            'check', project=PROJECT, flavor='small', as_json=True)
        self.assertEqual((0, ''), (status, err))
        self.assertEqual([
            {'project': PROJECT, 'source': 'database', 'list': 'allow',
             'pattern': 'S1.LARGE'},
            {'project': PROJECT, 'source': 'database', 'list': 'deny',
             'pattern': 't?.tiny'},
        ], jsonutils.loads(out)['no_flavor_for'])
        status, out, err = self._run('check')
        self.assertEqual((1, ''), (status, out))
        self.assertEqual(3, err.count('Warning: no flavor has a name or an '
                                      'id that matches'))
        self.assertIn("deny pattern 'nothing' of default in the database",
                      err)

    def test_check_of_all_rules_is_content(self):
        self._run('set', default=True, deny=['small', 's1.*'])
        self.assertEqual((0, '1 entries, all patterns match a flavor\n', ''),
                         self._run('check'))

    def test_check_can_look_at_a_file_before_it_is_deployed(self):
        path = self._write('version: 1\ndefault: {allow: [s1.small]}\n')
        self.flags(use_database=False, group='flavor_rules')
        status, out, err = self._run(
            'check', project=PROJECT, flavor='large', path=path)
        self.assertEqual((1, ''), (status, err))
        self.assertIn('the default entry in the rules file: no allow pattern '
                      'matches', out)
        path = self._write('version: 1\nall: {}\n')
        status, out, err = self._run('check', path=path)
        self.assertEqual((2, ''), (status, out))
        self.assertIn("line 2: unknown key 'all'", err)

    def test_check_refuses_a_flavor_that_is_not_there(self):
        status, out, err = self._run(
            'check', project=PROJECT, flavor='s2')
        self.assertEqual((2, ''), (status, out))
        self.assertEqual(
            "There is no flavor with the id or the name 's2'\n", err)

    def test_check_wants_a_project_and_a_flavor(self):
        self.assertEqual(2, self._run('check', project=PROJECT)[0])
        self.assertEqual(2, self._run('check', flavor='small')[0])

    # import and export

    def test_what_is_exported_can_be_imported(self):
        self._run('set', default=True, allow=['1', 'on', '~', '*'])
        self._run('set', project=PROJECT, allow_none=True, deny=['\u00e9'])
        before = self._entries()
        status, out, _err = self._run('export')
        self.assertEqual(0, status)
        store.save([], replace=True)
        self.assertEqual((0, '2 entries are set\n', ''),
                         self._run('import', self._write(out)))
        self.assertEqual(before, self._entries())

    def test_import_keeps_what_the_file_does_not_have_unless_told(self):
        self._run('set', project=PROJECT, deny=['a'])
        path = self._write('version: 1\ndefault: {deny: [b]}\n')
        self._run('import', path)
        self.assertEqual(2, len(self._entries()))
        self._run('import', path, replace=True)
        self.assertEqual([rules.Entry(rules.DEFAULT, deny=('b',))],
                         self._entries())

    def test_import_takes_nothing_of_a_broken_file(self):
        path = self._write('version: 1\ndefault: {deny: [b]}\n'
                           'projects: {x: {deny: ["[z-a]"]}}\n')
        status, _out, err = self._run('import', path, replace=True)
        self.assertEqual(2, status)
        self.assertIn("%s, line 3: pattern '[z-a]'" % path, err)
        self.assertEqual([], self._entries())
        status, _out, err = self._run('import', path + '.not')
        self.assertEqual(2, status)
        self.assertIn('No such file', err)

    # all of them

    def test_a_database_that_cannot_be_used_is_no_traceback(self):
        fault = db_exc.DBConnectionError('nobody there')
        with mock.patch.object(store, 'read', side_effect=fault), \
                mock.patch.object(store, 'save', side_effect=fault), \
                mock.patch.object(store, 'delete', side_effect=fault):
            path = self._write(rules_file.render([]))
            for command, args, kwargs in (
                ('set', (), {'default': True, 'deny': ['a']}),
                ('unset', (), {'default': True}),
                ('list', (), {}), ('check', (), {}), ('export', (), {}),
                ('import', (path,), {}),
            ):
                status, out, err = self._run(command, *args, **kwargs)
                self.assertEqual((2, ''), (status, out), command)
                self.assertIn('nova-manage api_db sync', err)
