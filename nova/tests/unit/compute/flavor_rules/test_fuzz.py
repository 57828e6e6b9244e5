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

"""Flavor rules and input that nobody thought of.

hypothesis makes it up: always the same, so that a run can be repeated. For a
long run on input that is new each time, say how many examples each test tries:

    NOVA_FUZZ_EXAMPLES=20000 python -m unittest \\
        nova.tests.unit.compute.flavor_rules.test_fuzz
"""

import fnmatch
import os
import re
import unicodedata
import warnings

import fixtures
import hypothesis
from hypothesis import configuration
from hypothesis import strategies as st
import jsonschema
import yaml

from nova.compute.flavor_rules import rules
from nova.compute.flavor_rules import rules_file
from nova import test

# hypothesis would keep its tables where it is started, which is in the tree.
configuration.set_hypothesis_home_dir(os.devnull)

# All scalars are texts to it, too.
_TextLoader = getattr(yaml, 'CBaseLoader', yaml.BaseLoader)

_LONG_RUN = int(os.environ.get('NOVA_FUZZ_EXAMPLES', '0'))

PATH = 'rules.yaml'

# What YAML gives a meaning to, alone or in its place in a line.
YAML_LOOKALIKES = (
    '1', '1_000', '0x1f', '1e3', '.inf', 'on', 'No', 'null', '~', '<<', '=',
    '2024-01-01', '-', '- x', '?', '? x', ':', ': x', 'x:', 'x: y', '#', '# x',
    'x # y', ',', '[x]', '{x: y}', '&x', '*', '*x', '!', '!x', '!!str x', '|',
    '|+', '>-', '@x', '`x', '%YAML 1.1', '---', '--- x', '...', "'", "'x'",
    '"', '"x', '\\n', '\\', 'x  y', 'version', 'default', 'allow')

YAML_CHARACTERS = (
    '-?:,[]{}#&*!|>\'"%@`~\\/=.<_ \t\n\r01axyen\0\x7f\x85\xa0\u00e9\u0301'
    '\u200b\u2028\u3000\ufeff\U0001f600')

# Parts of documents, for those that are nearly one.
YAML_PARTS = (
    'version: 1', 'version', 'default:', 'projects:', 'allow:', 'deny:', 'p:',
    '\n', '\n  ', '\n    ', '\n- ', '\n  - ', '[', ']', '{', '}', ', ', ': ',
    '- ', '? ', '# ', '"', "'", '\\', '|\n', '>-\n', '&a ', '*a', '!!str ',
    '! ', '!<', '---\n', '...\n', '%YAML 1.1\n', '%TAG ! x\n', 'm1.*', '1',
    '~', '[z-a]', '\t', '\r\n', '\u00e9', '\ufeff', '\0', '\u2028',
    '"\\ud800"')


def fuzzed(examples, *strategies):
    """Run a test on so many examples of its arguments."""
    def decorate(function):
        return hypothesis.settings(
            max_examples=_LONG_RUN or examples, derandomize=not _LONG_RUN,
            database=None, deadline=None,
            suppress_health_check=[hypothesis.HealthCheck.too_slow],
        )(hypothesis.given(*strategies)(function))
    return decorate


def is_valid(check, *args):
    try:
        check(*args)
    except rules.InvalidRule:
        return False
    return True


def is_text(text):
    return is_valid(rules.check_text, 'text', text)


def is_pattern(text):
    return is_valid(rules.check_pattern, text)


def printable(**kwargs):
    return st.text(st.characters(
        exclude_categories=('C', 'Zl', 'Zp')), **kwargs)


def entries(texts):
    """What an operator could have written, of these texts."""
    lists = st.lists(texts.filter(is_pattern), max_size=5)
    return st.lists(
        st.builds(rules.Entry, st.just(rules.DEFAULT) | texts,
                  st.none() | lists, lists),
        max_size=5, unique_by=lambda entry: entry.project_id)


# The texts that an entry may have, and those that it may not.
SHORT_TEXTS = st.one_of(
    st.sampled_from(YAML_LOOKALIKES),
    st.text(YAML_CHARACTERS, min_size=1, max_size=8)).filter(is_text)
TEXTS = st.one_of(
    SHORT_TEXTS,
    st.lists(st.sampled_from(YAML_LOOKALIKES), min_size=1, max_size=60).map(
        ' '.join),
    printable(min_size=1, max_size=255)).filter(is_text)
ANY_TEXTS = st.one_of(
    TEXTS, st.text(YAML_CHARACTERS), printable(),
    st.sampled_from(['', '[z-a]', '[!z-a]', ' x', 'x' * 255, 'x' * 256]))
DOCUMENTS = entries(SHORT_TEXTS).map(rules_file.render)

# What has a meaning in a pattern, or in a regular expression.
GLOB_CHARACTERS = 'abcz[]!-^?*\\.&|~+()$AB01\u00e9e\u0301'
GLOB_PARTS = (
    '[', '[!', ']', 'a-b', 'b-a', 'a-a', '-', '!', '*', '?', 'a', 'b', '--',
    '&&', '||', '~~', '[[', '\\', '^', '\u00e9', 'e\u0301')
BRACKETS = st.tuples(
    st.sampled_from(['[', '[!', '[]', '[!]']),
    st.lists(st.sampled_from(['a-b', 'b-a', 'a', '-', '!', '[']), max_size=3
             ).map(''.join),
    st.sampled_from([']', ']', ''])).map(''.join)
GLOBS = st.one_of(
    st.text(GLOB_CHARACTERS, min_size=1, max_size=10),
    st.lists(st.sampled_from(GLOB_PARTS), min_size=1, max_size=8).map(''.join),
    st.lists(st.sampled_from('a*?]') | BRACKETS, min_size=1, max_size=3).map(
        ''.join))


def edits(contents, parts, longest):
    """Contents with some spans deleted, put in, replaced or doubled.

    :param contents: a strategy of sequences, such as bytes
    :param parts: a strategy of what is put in, of the same type
    :param longest: how much of a content one edit takes out or doubles
    """
    def edit(arguments):
        content, changes = arguments
        for start, length, part, is_doubled in changes:
            start = start % (len(content) + 1)
            end = start + length
            if is_doubled:
                part = content[start:end] * 2
            content = content[:start] + part + content[end:]
        return content

    return st.tuples(contents, st.lists(
        st.tuples(st.integers(0, 400), st.integers(0, longest), parts,
                  st.booleans()),
        min_size=1, max_size=2)).map(edit)


def as_entries(data):
    """The entries of a document whose scalars are all texts."""
    places = [(rules.DEFAULT, data['default'])] if 'default' in data else []
    places += data.get('projects', {}).items()
    return [rules.Entry(project_id, entry.get('allow'), entry.get('deny', ()))
            for project_id, entry in places]


class ParseAnythingTestCase(test.NoDBTestCase):
    """A file is read or refused; there is no third way."""

    def _check(self, content):
        try:
            entries = rules_file.parse(content, PATH)
        except rules_file.InvalidRulesFile as error:
            self._check_message(str(error), content)
            return
        # Nothing is lost, and nothing is made up: PyYAML's own way to read
        # texts says the same.
        self.assertEqual(
            as_entries(yaml.load(content, Loader=_TextLoader)), entries)
        self.assertEqual(
            sorted(entries, key=lambda entry: entry.project_id != '*'),
            rules_file.parse(rules_file.render(entries).encode(), PATH))

    def _check_message(self, message, content):
        lines = message.split('\n')
        self.assertLessEqual(len(lines), 11)
        if re.fullmatch('and [0-9]+ more', lines[-1]) and len(lines) == 11:
            lines.pop()
        # In some encoding each of these ends a line, and an end that is too
        # early is told of the line after the last.
        last = 2 + len(re.findall(b'[\r\n\x85\x28\x29\xa8\xa9]', content))
        for line in lines:
            found = re.fullmatch(
                re.escape(PATH) + r'(?:, line ([0-9]+))?: (.+)', line)
            self.assertIsNotNone(found, line)
            self.assertTrue(line.isprintable(), line)
            # A text is told as it is, and escaped if it cannot be printed.
            self.assertLess(len(line), 11 * rules.MAX_LENGTH)
            if found[1]:
                self.assertTrue(1 <= int(found[1]) <= last, line)

    @fuzzed(200, st.binary(max_size=200))
    def test_any_bytes(self, content):
        self._check(content)

    @fuzzed(300, st.text(YAML_CHARACTERS), st.sampled_from(
        ['utf-8', 'utf-8-sig', 'utf-16', 'utf-16-be', 'latin-1', 'utf-32']))
    def test_any_text_in_any_encoding(self, content, encoding):
        self._check(content.encode(encoding, 'replace'))

    @fuzzed(500, st.lists(st.sampled_from(YAML_PARTS), max_size=40).map(
        ''.join))
    def test_parts_of_documents(self, content):
        self._check(content.encode())

    @fuzzed(300, st.lists(st.sampled_from(YAML_PARTS), max_size=10).map(
        ''.join))
    def test_parts_of_documents_below_the_version(self, content):
        self._check(('version: 1\n' + content).encode())

    @fuzzed(400, edits(
        # Edits between words or lines leave more that can be read.
        st.tuples(st.sampled_from(['(?<=[ \n])', '(?<=\n)']), DOCUMENTS).map(
            lambda pair: re.split(*pair)),
        st.sampled_from(YAML_PARTS).map(lambda part: [part]), 3).map(''.join))
    def test_edited_documents(self, content):
        self._check(content.encode())

    @fuzzed(200, edits(DOCUMENTS, st.sampled_from(YAML_CHARACTERS), 12))
    def test_misspelt_documents(self, content):
        self._check(content.encode())

    @fuzzed(200, edits(
        st.tuples(DOCUMENTS, st.sampled_from(['utf-8', 'utf-16'])).map(
            lambda pair: pair[0].encode(pair[1])),
        st.binary(max_size=4), 12))
    def test_damaged_documents(self, content):
        self._check(content)


class RenderTestCase(test.NoDBTestCase):
    """Entries that are written are read again; no rule is ever left out."""

    def _check(self, entries):
        expected = sorted(
            entries, key=lambda entry: entry.project_id != rules.DEFAULT)

        self.assertEqual(expected, rules_file.parse(
            rules_file.render(entries).encode(), PATH))

    @fuzzed(400, entries(TEXTS))
    def test_any_entries(self, entries):
        self._check(entries)

    @fuzzed(200, st.lists(st.sampled_from(YAML_LOOKALIKES).filter(is_text),
                          min_size=1, unique=True))
    def test_entries_that_look_like_yaml(self, texts):
        self._check([rules.Entry(text, allow=texts, deny=texts)
                     for text in texts])


class _Dumper(yaml.SafeDumper):
    """PyYAML's dumper without the anchors, for what stands twice."""

    def ignore_aliases(self, data):
        return True


LISTS = st.lists(ANY_TEXTS, max_size=3)
GOOD_LISTS = st.lists(TEXTS.filter(is_pattern), max_size=3)
ANYTHING = st.recursive(
    ANY_TEXTS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(
        ANY_TEXTS, inner, max_size=2),
    max_leaves=4)


def structures(versions, keys, lists, entries=st.nothing()):
    """Data in the form of a document, and other data in places of it."""
    entries = entries | st.fixed_dictionaries(
        {}, optional={'allow': lists, 'deny': lists})
    return st.fixed_dictionaries(
        {'version': versions},
        optional={'default': entries, 'projects': st.dictionaries(
            keys, entries, max_size=3)})


STRUCTURES = st.one_of(
    structures(st.just('1'), TEXTS, GOOD_LISTS),
    structures(st.just('1'), ANY_TEXTS, LISTS),
    structures(
        ANY_TEXTS | st.just('1'), ANY_TEXTS, LISTS,
        ANYTHING | st.fixed_dictionaries({}, optional={
            'allow': st.lists(ANYTHING, max_size=2) | ANYTHING,
            'Deny': LISTS})),
    st.fixed_dictionaries({}, optional={
        'version': st.just('1'), 'projects': ANYTHING, 'default': ANYTHING,
        'Default': ANYTHING}),
    ANYTHING)


class SchemaTestCase(test.NoDBTestCase):
    """A file is taken when the published schema takes it, and only then.

    But for what the schema's description says beyond it.
    """

    def _is_taken_by_the_schema(self, data):
        validator = jsonschema.Draft7Validator(rules_file.schema())
        return validator.is_valid(data) and is_valid(as_entries, data)

    @fuzzed(700, STRUCTURES, st.sampled_from([None, True, False]),
            st.sampled_from([None, '"', "'", '|', '>']))
    def test_any_structure(self, data, flow_style, style):
        # PyYAML escapes what is not ASCII; as it is, it would write the line
        # ends of Unicode so that it reads something else.
        content = yaml.dump(
            data, Dumper=_Dumper, default_style=style,
            default_flow_style=flow_style).encode()
        try:
            entries = rules_file.parse(content, PATH)
        except rules_file.InvalidRulesFile as error:
            self.assertFalse(self._is_taken_by_the_schema(data), str(error))
            return
        self.assertTrue(self._is_taken_by_the_schema(data))
        self.assertEqual({entry.project_id: entry
                          for entry in as_entries(data)},
                         {entry.project_id: entry for entry in entries})


def composed(text):
    return unicodedata.normalize('NFC', text)


def parts_of(pattern):
    """The parts of a pattern: '*', or the ranges of one character.

    :returns: a list of '*' and pairs: whether the character must not be in
        the ranges, and the ranges as pairs of their ends
    """
    parts = []
    i = 0
    while i < len(pattern):
        char = pattern[i]
        i += 1
        if char == '*':
            parts.append('*')
            continue
        if char == '?':
            parts.append((True, []))
            continue
        if char == '[':
            is_not = pattern[i:i + 1] == '!'
            start = i + is_not
            end = pattern.find(']', start + 1)
            if end >= 0:
                parts.append((is_not, ranges_of(pattern[start:end])))
                i = end + 1
                continue
        parts.append((False, [(char, char)]))
    return parts


def ranges_of(members):
    ranges = []
    while members:
        length = 3 if len(members) > 2 and members[1] == '-' else 1
        ranges.append((members[0], members[length - 1]))
        members = members[length:]
    return ranges


def is_match(pattern, name):
    """What a pattern means, without the regular expressions of fnmatch.

    Those differ between the releases of Python; what is meant must not.
    """
    name = composed(name)
    ends = {0}
    for part in parts_of(composed(pattern)):
        if part == '*':
            ends = {end for end in range(len(name) + 1)
                    if ends and end >= min(ends)}
            continue
        is_not, ranges = part
        ends = {end + 1 for end in ends if end < len(name) and is_not != any(
            low <= name[end] <= high for low, high in ranges)}
    return len(name) in ends


def first_match(patterns, *names):
    """Which of the patterns is named, as one by one they say."""
    literals = [pattern for pattern in patterns
                if not set(pattern) & set('*?[')]
    for name in names:
        for pattern in literals:
            if composed(pattern) == composed(name):
                return pattern
    for pattern in patterns:
        if pattern not in literals and any(
                is_match(pattern, name) for name in names):
            return pattern
    return None


GOOD_GLOBS = GLOBS.filter(is_pattern)
NAMES = st.text(GLOB_CHARACTERS, max_size=10)
# Of so few characters that many patterns match.
SHORT_GLOBS = st.text('a\u0301\u00e1*?[]!-', min_size=1, max_size=6).filter(
    is_pattern)
SHORT_NAMES = st.text('a\u0301\u00e1[]!-', max_size=4)
PROJECTS = st.sampled_from(['p', 'q'])


SHORT_LISTS = st.lists(SHORT_GLOBS, max_size=2)
# Few projects, so that one often has an entry in both sources.
FEW_ENTRIES = st.lists(
    st.builds(rules.Entry, PROJECTS | st.just(rules.DEFAULT),
              st.none() | SHORT_LISTS, SHORT_LISTS),
    max_size=3, unique_by=lambda entry: entry.project_id)


class PatternsTestCase(test.NoDBTestCase):
    """What is taken as a pattern can be used, and means the same anywhere."""

    def setUp(self):
        super().setUp()
        # Many regular expressions instead of many patterns.
        self.useFixture(fixtures.MockPatchObject(
            rules, '_PATTERNS_PER_REGEX', 2))

    @fuzzed(500, GLOBS.filter(is_text))
    def test_an_empty_range_is_all_that_is_refused(self, pattern):
        ranges = [found for part in parts_of(composed(pattern))
                  if part != '*' for found in part[1]]

        self.assertEqual(all(low <= high for low, high in ranges),
                         is_pattern(pattern))

    @fuzzed(300, ANY_TEXTS | st.none() | st.integers() | st.binary())
    def test_whatever_it_is_the_refusal_is_one_of_ours(self, value):
        is_pattern(value)
        is_text(value)

    def _check_one(self, pattern, name):
        with warnings.catch_warnings():
            # Such as that of a set that may mean another in a later Python.
            warnings.simplefilter('error')
            re.compile(fnmatch.translate(composed(pattern)))
            found = rules.Patterns([pattern]).match(name)

        self.assertEqual(is_match(pattern, name), found is not None)
        self.assertEqual(
            fnmatch.fnmatchcase(composed(name), composed(pattern)),
            found is not None)

    @fuzzed(500, GOOD_GLOBS, NAMES)
    def test_one_pattern(self, pattern, name):
        self._check_one(pattern, name)

    @fuzzed(500, SHORT_GLOBS, SHORT_NAMES)
    def test_one_short_pattern(self, pattern, name):
        self._check_one(pattern, name)

    @fuzzed(300, TEXTS.filter(is_pattern), TEXTS)
    def test_one_pattern_of_any_characters(self, pattern, name):
        self._check_one(pattern, name)

    @fuzzed(300, st.lists(GOOD_GLOBS | SHORT_GLOBS, max_size=9),
            NAMES | SHORT_NAMES, NAMES | SHORT_NAMES)
    def test_many_patterns_say_what_they_say_one_by_one(
            self, patterns, name, flavorid):
        self.assertEqual(first_match(patterns, name, flavorid),
                         rules.Patterns(patterns).match(name, flavorid))

    @fuzzed(300, st.lists(GOOD_GLOBS | SHORT_GLOBS, max_size=9),
            st.lists(st.tuples(NAMES | SHORT_NAMES, SHORT_NAMES), max_size=3))
    def test_unmatched_are_those_that_match_nothing(self, patterns, flavors):
        self.assertEqual(
            [pattern for pattern in patterns
             if not any(first_match([pattern], *pair) for pair in flavors)],
            rules.Patterns(patterns).unmatched(flavors))

    @fuzzed(300, FEW_ENTRIES, FEW_ENTRIES, PROJECTS, SHORT_NAMES, SHORT_NAMES)
    def test_a_rule_set_decides_as_it_is_documented(
            self, from_file, from_database, project_id, name, flavorid):
        entry = next((entry for wanted in (project_id, rules.DEFAULT)
                      for entries in (from_database, from_file)
                      for entry in entries
                      if entry.project_id == wanted), None)
        expected = entry is None or (
            first_match(entry.deny, name, flavorid) is None and
            (entry.allow is None or
             first_match(entry.allow, name, flavorid) is not None))

        decision = rules.RuleSet(from_file, from_database).decide(
            project_id, name, flavorid)

        self.assertEqual((expected, entry),
                         (decision.allowed, decision.entry))
