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

import codecs
import errno
import os
import textwrap
from unittest import mock

import ddt
import fixtures
import jsonschema
import yaml

from nova.compute.flavor_rules import rules
from nova.compute.flavor_rules import rules_file
from nova import test

PATH = '/etc/nova/flavor-rules.yaml'


def to_bytes(content):
    if isinstance(content, str):
        return textwrap.dedent(content).encode()
    return content


class RulesFileTestCase(test.NoDBTestCase):
    """What the tests of the file have in common."""

    def _parse(self, content):
        return rules_file.parse(to_bytes(content), PATH)

    def _assert_refused(self, content, *messages):
        """That parse() says exactly this, a line each, after the path."""
        error = self.assertRaises(
            rules_file.InvalidRulesFile, self._parse, content)

        self.assertEqual([PATH + message for message in messages],
                         str(error).split('\n'))

    def _patterns(self, written):
        """The allow list of a file with this one."""
        entry, = self._parse(
            'version: 1\ndefault:\n  allow:\n' + textwrap.indent(
                textwrap.dedent(written), '    '))
        return entry.allow


@ddt.ddt
class ParseTestCase(RulesFileTestCase):
    """What a file means."""

    def test_it_holds_the_default_first_and_then_the_projects(self):
        self.assertEqual(
            [rules.Entry('*', allow=['m1.*'], deny=['*.gpu']),
             rules.Entry('b', deny=['x']),
             rules.Entry('a', allow=[])],
            self._parse("""\
                version: 1
                projects:
                  b:
                    deny: [x]
                  a:
                    allow: []
                default:
                  allow:
                  - m1.*
                  deny:
                  - '*.gpu'
                """))

    def test_the_version_alone_is_enough(self):
        self.assertEqual([], self._parse('version: 1\n'))

    def test_an_entry_may_be_empty(self):
        self.assertEqual([rules.Entry('*'), rules.Entry('p')],
                         self._parse('{version: 1, default: {}, '
                                     'projects: {p: {}}}'))

    def test_projects_may_be_empty(self):
        self.assertEqual([], self._parse('{version: 1, projects: {}}'))

    def test_no_allow_list_and_an_empty_one_are_not_the_same(self):
        without, empty = self._parse(
            '{version: 1, projects: {a: {deny: [x]}, b: {allow: []}}}')

        self.assertIsNone(without.allow)
        self.assertEqual((), empty.allow)

    def test_default_is_a_projects_id_like_any_other(self):
        self.assertEqual(
            [rules.Entry('default', allow=[])],
            self._parse('{version: 1, projects: {default: {allow: []}}}'))

    @ddt.data('1', '"1"', "'1'", '! "1"', '>-\n  1')
    def test_the_version_may_be_written_as_a_number_or_a_text(self, version):
        self.assertEqual([], self._parse('version: ' + version))

    @ddt.data(
        '1', '01', '1_000', '0x1f', '0o7', '1e3', '1.0', '.5', '.inf', '.nan',
        'on', 'off', 'yes', 'no', 'True', 'false', 'y', 'n',
        'null', 'Null', '~', '2024-01-01', '12:30:45', '<<', '=', '-1', '+1')
    def test_a_scalar_is_the_text_that_is_written(self, text):
        self.assertEqual((text,), self._patterns('- ' + text))

    @ddt.data('1', 'on', 'null', '2024-01-01', '<<')
    def test_a_project_id_is_the_text_that_is_written(self, text):
        self.assertEqual([rules.Entry(text)], self._parse(
            '{version: 1, projects: {%s: {}}}' % text))

    def test_every_style_of_scalar_is_read(self):
        self.assertEqual(
            ('plain', 'single', 'dou\u00e9ble', 'folded too', 'literal'),
            self._patterns("""\
                - plain
                - 'single'
                - "dou\\u00e9ble"
                - >-
                  folded
                  too
                - |-
                  literal
                """))

    def test_the_same_pattern_twice_is_no_fault(self):
        self.assertEqual(('a', 'a'), self._patterns('[a, a]'))

    def test_a_key_may_stand_in_several_entries(self):
        self.assertEqual(2, len(self._parse("""\
            version: 1
            projects:
              a: {deny: [x]}
              b: {deny: [x]}
            """)))

    @ddt.data('# begin\nversion: 1 # one\n# end\n',
              '%YAML 1.1\n---\nversion: 1\n...\n# end\n',
              '\n\n---\n\nversion: 1\n\n')
    def test_comments_and_the_marks_of_a_document_are_taken(self, content):
        self.assertEqual([], self._parse(content))

    @ddt.data('\r\n', '\r', '\n')
    def test_the_lines_may_end_as_on_any_system(self, end):
        content = 'version: 1\ndefault:\n  allow:\n  - m1.*\n  - c1\n'

        self.assertEqual(
            [rules.Entry('*', allow=['m1.*', 'c1'])],
            self._parse(content.replace('\n', end).encode()))

    @ddt.data((codecs.BOM_UTF8, 'utf-8'),
              (codecs.BOM_UTF16_LE, 'utf-16-le'),
              (codecs.BOM_UTF16_BE, 'utf-16-be'),
              (b'', 'utf-8'))
    @ddt.unpack
    def test_unicode_is_read_whatever_editor_wrote_it(self, mark, encoding):
        name = 'caf\u00e9\u3000\U0001f600'
        content = 'version: 1\ndefault: {allow: ["%s"]}\n' % name

        self.assertEqual([rules.Entry('*', allow=[name])],
                         self._parse(mark + content.encode(encoding)))

    def test_a_pattern_is_kept_as_it_is_written(self):
        self.assertEqual(('e\u0301', '\u00e9'),
                         self._patterns('[e\u0301, \u00e9]'))

    @mock.patch.object(rules_file, 'MAX_BYTES', 20)
    def test_a_file_of_the_largest_size_is_read(self):
        self.assertEqual([], self._parse('version: 1'.ljust(20)))


@ddt.ddt
class RefusalTestCase(RulesFileTestCase):
    """What is refused: with what is wrong, and on which line."""

    @ddt.data('', ' ', '\n\n', '# no rules\n', '---\n', '---\n...\n', '""',
              codecs.BOM_UTF8, codecs.BOM_UTF16_LE)
    def test_a_file_without_content(self, content):
        self._assert_refused(
            content, ': is empty; expected at least "version: 1"')

    def test_no_version(self):
        self._assert_refused(
            '# rules\n\ndefault: {}\n',
            ', line 3: the key version is missing in the file')

    def test_an_empty_mapping(self):
        self._assert_refused(
            '{}', ', line 1: the key version is missing in the file')

    @ddt.data('2', '1.0', '01', '0x1', 'one', 'true', '"1 "', '~')
    def test_another_version(self, version):
        self._assert_refused(
            'default: {}\nversion: ' + version,
            ', line 2: version is the text %r; this release reads version 1 '
            'only' % version.strip('"'))

    @ddt.data(('[1]', 'a list'), ('{1: 1}', 'a mapping'),
              ('', "the text ''"))
    @ddt.unpack
    def test_a_version_that_is_none(self, version, kind):
        self._assert_refused(
            'version: ' + version,
            ', line 1: version is %s; this release reads version 1 only'
            % kind)

    @ddt.data(('- version', 'a list'), ('version 1', "the text 'version 1'"))
    @ddt.unpack
    def test_a_file_that_is_no_mapping(self, content, kind):
        self._assert_refused(
            content, ', line 1: the file is %s; expected a mapping' % kind)

    def test_an_unknown_key_in_the_file(self):
        self._assert_refused(
            """\
            version: 1
            project:
              p: {}
            """,
            ", line 2: unknown key 'project' in the file; expected: default, "
            "projects, version")

    def test_an_unknown_key_in_an_entry(self):
        self._assert_refused(
            """\
            version: 1
            default:
              denied: [a]
            projects:
              p:
                deny: [a]
                Allow: [b]
            """,
            ", line 3: unknown key 'denied' in default; expected: allow, deny",
            ", line 7: unknown key 'Allow' in projects.p; expected: allow, "
            "deny")

    @ddt.data(('', "the text ''"), ('[a]', 'a list'),
              ('all', "the text 'all'"), ('~', "the text '~'"))
    @ddt.unpack
    def test_an_entry_that_is_no_mapping(self, written, kind):
        self._assert_refused(
            """\
            version: 1
            projects:
              p: {}
              q: %s
            default: %s
            """ % (written, written),
            ', line 4: projects.q is %s; expected a mapping' % kind,
            ', line 5: default is %s; expected a mapping' % kind)

    def test_projects_that_are_no_mapping(self):
        self._assert_refused(
            'version: 1\nprojects:\n- p\n',
            ', line 2: projects is a list; expected a mapping')

    @ddt.data(('', "the text ''"), ('m1.*', "the text 'm1.*'"),
              ('null', "the text 'null'"), ('{m1: c1}', 'a mapping'))
    @ddt.unpack
    def test_a_list_of_patterns_that_is_none(self, written, kind):
        self._assert_refused(
            'version: 1\ndefault:\n  deny: []\n  allow: ' + written,
            ', line 4: default.allow is %s; expected a list' % kind)

    def test_a_pattern_that_is_no_text(self):
        self._assert_refused(
            """\
            version: 1
            default:
              deny:
              - a
              - b: c
              - [d]
              - ''
              -
            """,
            ', line 5: default.deny.1 is a mapping; expected a text of 1 to '
            '255 characters',
            ', line 6: default.deny.2 is a list; expected a text of 1 to 255 '
            'characters',
            ", line 7: default.deny.3 is the text ''; expected a text of 1 to "
            "255 characters",
            ", line 8: default.deny.4 is the text ''; expected a text of 1 to "
            "255 characters")

    def test_a_text_that_is_too_long(self):
        self._parse('version: 1\ndefault:\n  deny: [%s]' % ('x' * 255))

        self._assert_refused(
            'version: 1\ndefault:\n  deny: [%s]' % ('x' * 256),
            ", line 3: default.deny.0 is the text '%s...; expected a text of "
            "1 to 255 characters" % ('x' * 56))

    def test_a_pattern_that_cannot_be_used(self):
        self._assert_refused(
            """\
            version: 1
            default:
              allow:
              - '[z-a]'
              - 'm1 '
              - "a\\nb"
              - "\\u3000"
              - fine
            """,
            ", line 4: pattern '[z-a]' has an empty range: z-a",
            ", line 5: pattern 'm1 ' is empty, or begins or ends with a space",
            ", line 6: pattern 'a\\nb' has characters that cannot be printed",
            ", line 7: pattern '\\u3000' is empty, or begins or ends with a "
            "space")

    def test_a_project_id_that_cannot_be_used(self):
        self._assert_refused(
            """\
            version: 1
            projects:
              fine: {}
              ' p': {}
              "a\\tb": {deny: ['[z-a]']}
            """,
            ", line 4: project id ' p' is empty, or begins or ends with a "
            "space",
            ", line 5: pattern '[z-a]' has an empty range: z-a",
            ", line 5: project id 'a\\tb' has characters that cannot be "
            "printed")

    def test_a_project_id_of_the_wrong_length(self):
        self._assert_refused(
            """\
            version: 1
            projects:
              fine: {}
              '': {}
              ? %s
              : {}
            """ % ('x' * 256),
            ", line 4: a key of projects is the text ''; expected a text of 1 "
            "to 255 characters",
            ", line 5: a key of projects is the text '%s...; expected a text "
            "of 1 to 255 characters" % ('x' * 56))

    def test_a_star_as_a_project_id(self):
        self._assert_refused(
            """\
            version: 1
            projects:
              p: {}
              '*': {}
            """,
            ", line 4: the key '*' is not a project id; the entry for "
            "projects without one is called default")

    def test_a_key_that_stands_twice(self):
        self._assert_refused(
            """\
            version: 1
            projects:
              p:
                deny: [a]
                deny: [b]
              "p": {}
            projects: {}
            """,
            ", line 5: the key 'deny' is here again; it is already on line 4",
            ", line 6: the key 'p' is here again; it is already on line 3",
            ", line 7: the key 'projects' is here again; it is already on "
            "line 2")

    def test_a_key_that_stands_three_times(self):
        self._assert_refused(
            'version: 1\nversion: 1\n\nversion: 1\n',
            ", line 2: the key 'version' is here again; it is already on "
            "line 1",
            ", line 4: the key 'version' is here again; it is already on "
            "line 2")

    def test_a_fault_below_a_key_that_stands_twice_has_its_own_line(self):
        self._assert_refused(
            """\
            version: 1
            default:
              deny:
              - a
              - b
            default:
              deny:
              - a
              - [b]
            """,
            ", line 6: the key 'default' is here again; it is already on line "
            "2",
            ', line 9: default.deny.1 is a list; expected a text of 1 to 255 '
            'characters')

    @ddt.data('? [a]\n: b\n', '? {a: b}\n: c\n', '{a: b}: c\n')
    def test_a_key_that_is_no_text(self, written):
        self._assert_refused('version: 1\n' + written,
                             ', line 2: a key must be a text')

    @ddt.data('x: &a 1', '&a x: 1', 'x: &a [1]', 'x: &a {1: 1}', 'x: *a',
              '*a : 1')
    def test_an_anchor_or_an_alias(self, written):
        self._assert_refused(
            'version: 1\n' + written,
            ', line 2: anchors and aliases are not supported')

    def test_an_alias_bomb_is_refused_at_its_first_anchor(self):
        lines = ['version: 1', 'a0: &a0 [x]']
        lines += ['a%d: &a%d [%s]' % (
            i, i, ', '.join(['*a%d' % (i - 1)] * 10)) for i in range(1, 100)]

        self._assert_refused(
            '\n'.join(lines),
            ', line 2: anchors and aliases are not supported')

    @ddt.data(('!!int 1', 'tag:yaml.org,2002:int'),
              ('!!str x', 'tag:yaml.org,2002:str'),
              ('!mine [x]', '!mine'),
              ('!!python/name:os.system {}',
               'tag:yaml.org,2002:python/name:os.system'),
              ('!<a%0Ab> x', 'a\nb'))
    @ddt.unpack
    def test_a_tag(self, written, tag):
        self._assert_refused(
            'version: 1\ndefault: ' + written,
            ', line 2: tags such as %r are not supported' % tag)

    def test_a_second_document(self):
        self._assert_refused(
            'version: 1\n---\nversion: 1\n',
            ', line 2: a second YAML document begins here; there can be one '
            'only')

    @ddt.data('[', '{a: ', '- ')
    def test_a_file_that_goes_too_deep(self, opening):
        self._assert_refused(
            'version: 1\nx:\n ' + opening * 2000,
            ', line 3: more than 8 levels deep')

    @mock.patch.object(rules_file, 'MAX_BYTES', 20)
    def test_a_file_that_is_too_large(self):
        self._assert_refused('version: 1'.ljust(21),
                             ': is larger than 20 bytes')

    @ddt.data(
        ('version: 1\n\tx: 1', 2,
         'found a tab character that violates indentation'),
        ('version: 1\ndefault: a: b', 2,
         'mapping values are not allowed in this context'),
        ('version: 1\ndefault: {allow: [\n', 3,
         'did not find expected node content'),
        ('version: 1\ndefault:\n    allow: []\n  deny: []\n', 4,
         'did not find expected key'),
        ('version: 1\nx: "\\ud800"', 2,
         'found invalid Unicode character escape code'),
        ('%FOO\n---\nversion: 1', 1, 'found unknown directive name'),
        ('@', 1, 'found character that cannot start any token'),
        ('version: 1\n...\nx', 3,
         'did not find expected <document start>'),
    )
    @ddt.unpack
    def test_what_is_not_yaml(self, content, line, problem):
        self._assert_refused(
            content, ', line %d: not valid YAML: %s' % (line, problem))

    @ddt.data(
        (b'# caf\xe9s\n', 'invalid trailing UTF-8 octet'),
        (b'# \xff\n', 'invalid leading UTF-8 octet'),
        (b'# \xed\xa0\x80\n', 'invalid Unicode character'),
        (b'# \xc3', 'incomplete UTF-8 octet sequence'),
        (b'# \0\n', 'control characters are not allowed'),
        (b'# \x1b[0m\n', 'control characters are not allowed'))
    @ddt.unpack
    def test_what_is_no_text(self, written, problem):
        self._assert_refused(
            'version: 1\n# \u00e9\u3000\U0001f600\n\n'.encode() + written,
            ', line 4: not valid YAML: ' + problem)

    def test_utf_16_that_is_no_text(self):
        self._assert_refused(
            codecs.BOM_UTF16_BE + 'version: 1\r\n# \u0a00\r\n'.encode(
                'utf-16-be') + b'\xdc\x00',
            ', line 3: not valid YAML: unexpected low surrogate area')

    def test_utf_16_without_a_mark(self):
        self._assert_refused(
            'version: 1\n'.encode('utf-16-le'),
            ', line 1: not valid YAML: control characters are not allowed')

    def test_a_tag_that_is_no_text(self):
        self._assert_refused(
            'version: 1\nx: !<%ED%A0%80> a',
            ': not valid YAML: invalid continuation byte')

    def test_several_faults_come_in_one_go_and_by_line(self):
        self._assert_refused(
            """\
            projects:
              b:
                deny: all
              '*': {}
              b: {}
            default:
              allow: [[a]]
              alow: []
            version: 3
            """,
            ", line 4: the key '*' is not a project id; the entry for "
            "projects without one is called default",
            ", line 5: the key 'b' is here again; it is already on line 2",
            ', line 7: default.allow.0 is a list; expected a text of 1 to 255 '
            'characters',
            ", line 8: unknown key 'alow' in default; expected: allow, deny",
            ", line 9: version is the text '3'; this release reads version 1 "
            "only")

    def test_what_came_before_a_fault_that_ends_the_reading_is_told(self):
        self._assert_refused(
            """\
            version: 1
            version: 1
            default: &a {}
            projects: 5
            """,
            ", line 2: the key 'version' is here again; it is already on "
            "line 1",
            ', line 3: anchors and aliases are not supported')
        self._assert_refused(
            'version: 1\nversion: 1\n@',
            ", line 2: the key 'version' is here again; it is already on "
            "line 1",
            ', line 3: not valid YAML: found character that cannot start any '
            'token')

    def test_of_many_faults_the_first_ten_are_told(self):
        content = 'version: 1\n' + ''.join(
            'x%d: 1\n' % number for number in range(12))

        error = self.assertRaises(
            rules_file.InvalidRulesFile, self._parse, content)

        lines = str(error).split('\n')
        self.assertEqual(
            ["%s, line %d: unknown key 'x%d' in the file; expected: default, "
             "projects, version" % (PATH, number + 2, number)
             for number in range(10)], lines[:10])
        self.assertEqual(['and 2 more'], lines[10:])

    def test_a_fault_has_one_line_whatever_the_file_says(self):
        self._assert_refused(
            """\
            version: "1\\n2"
            "x\\ny": 1
            projects:
              "a\\nb": {"c\\nd": 1}
              "\\u2028": {deny: 5}
              "%s": 5
            """ % ('p' * 100),
            r", line 1: version is the text '1\n2'; this release reads "
            r"version 1 only",
            r", line 2: unknown key 'x\ny' in the file; expected: default, "
            r"projects, version",
            r", line 4: unknown key 'c\nd' in projects.'a\nb'; expected: "
            r"allow, deny",
            r", line 5: projects.'\u2028'.deny is the text '5'; expected a "
            r"list",
            r", line 6: projects.'%s... is the text '5'; expected a mapping"
            % ('p' * 56))


class PurePythonParseTestCase(ParseTestCase):
    """The same where PyYAML was built without libyaml."""

    def setUp(self):
        super().setUp()
        self.useFixture(fixtures.MockPatchObject(
            rules_file, '_Loader', yaml.SafeLoader))


class ReadTestCase(RulesFileTestCase):
    """The file itself."""

    def _write(self, content):
        path = os.path.join(self.useFixture(fixtures.TempDir()).path, 'rules')
        with open(path, 'wb') as stream:
            stream.write(to_bytes(content))
        return path

    def test_its_entries_are_read(self):
        self.assertEqual(
            [rules.Entry('*', allow=['\u00e9'])],
            rules_file.read(self._write(
                'version: 1\ndefault: {allow: [\u00e9]}')))

    def test_the_path_is_in_the_message(self):
        path = self._write('version: 2')

        error = self.assertRaises(
            rules_file.InvalidRulesFile, rules_file.read, path)

        self.assertEqual(
            "%s, line 1: version is the text '2'; this release reads version "
            "1 only" % path, str(error))

    @mock.patch.object(rules_file, 'MAX_BYTES', 20)
    def test_of_a_file_that_is_too_large_no_more_is_read(self):
        # An endless one would take all memory.
        error = self.assertRaises(
            rules_file.InvalidRulesFile, rules_file.read, '/dev/zero')

        self.assertEqual('/dev/zero: is larger than 20 bytes', str(error))

    def test_a_file_that_is_not_there_is_an_os_error(self):
        error = self.assertRaises(
            OSError, rules_file.read, self._write('') + '.not')

        self.assertEqual(errno.ENOENT, error.errno)


@ddt.ddt
class RenderTestCase(RulesFileTestCase):
    """Entries written as a file."""

    def test_it_looks_as_people_write_it(self):
        self.assertEqual(
            textwrap.dedent("""\
                version: 1
                default:
                  allow:
                  - m1.*
                  - '1'
                projects:
                  b:
                    deny:
                    - '*.gpu'
                  a:
                    allow: []
                  empty: {}
                """),
            rules_file.render([
                rules.Entry('b', deny=['*.gpu']), rules.Entry('a', allow=[]),
                rules.Entry('empty'),
                rules.Entry('*', allow=['m1.*', '1'])]))

    def test_no_entries_are_a_file_too(self):
        self.assertEqual('version: 1\n', rules_file.render([]))

    @ddt.data(
        'on', '~', 'null', '1', '1_000', '0x1f', '1e3', '2024-01-01', '<<',
        '- x', '-', '?', '? x', ':', ': x', 'x:', 'x: y', '#', '# x', 'x #y',
        'x # y', '!', '!x', '!!str x', '&a', '*a', '%', '@', '`', '|', '>-',
        '{', '}', '{a: b}', '[', ']', '[]', ',', '"', "'", '"x"', "'x'",
        '\\', '\\n', '---', '--- x', '...', 'caf\u00e9', 'e\u0301',
        '\U0001f600', '\u5927\u3000\u5c0f', 'a\u00a0b', 'a  b',
        'x' * 255, ' '.join('y' * 128), 'a' + '  #' * 80, '\U0001f600' * 255)
    def test_a_text_comes_back_as_it_was(self, text):
        entries = [rules.Entry('*', allow=[text, 'x'], deny=[text]),
                   rules.Entry('p', allow=[text])]
        if text != rules.DEFAULT:
            entries.append(rules.Entry(text, deny=['x']))

        self.assertEqual(entries, self._parse(rules_file.render(entries)))


class SchemaTestCase(test.NoDBTestCase):
    """The schema that is published beside the code."""

    def test_it_is_a_valid_schema_of_draft_7(self):
        schema = rules_file.schema()

        jsonschema.Draft7Validator.check_schema(schema)
        self.assertEqual(jsonschema.Draft7Validator.META_SCHEMA['$schema'],
                         schema['$schema'].rstrip('#') + '#')

    def test_it_takes_a_file_as_a_yaml_editor_reads_it(self):
        # Such an editor makes numbers and truth values of what we read as
        # text.
        jsonschema.Draft7Validator(rules_file.schema()).validate(
            yaml.safe_load("""
                version: 1
                default: {allow: [m1.*, 1, on, 1.5], deny: []}
                projects: {abc: {}}
                """))

    def test_its_bounds_are_those_of_the_rules(self):
        self.assertEqual(
            rules.MAX_LENGTH,
            rules_file.schema()['definitions']['text']['anyOf'][0][
                'maxLength'])
        self.assertIn('larger than %d MiB' % (rules_file.MAX_BYTES >> 20),
                      rules_file.schema()['description'])
