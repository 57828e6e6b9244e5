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

import dataclasses
import fnmatch

import ddt

from nova.compute.flavor_rules import rules
from nova import test

# One e with an acute, written in the two ways that Unicode has for it.
COMPOSED = '\u00e9'
DECOMPOSED = 'e\u0301'


def decide(entry, name='m1.tiny', flavorid='1'):
    allowed, _ = entry.decide(name, flavorid)
    return allowed


class RuleSetTestCase(test.NoDBTestCase):
    """Which of the entries decides."""

    def _allowed(self, file_entries=(), database_entries=(), project_id='p',
                 name='m1.tiny', flavorid='1'):
        return rules.RuleSet(file_entries, database_entries).decide(
            project_id, name, flavorid).allowed

    def test_without_any_entry_every_flavor_is_allowed(self):
        self.assertTrue(self._allowed())

    def test_without_an_entry_for_it_a_project_may_use_every_flavor(self):
        self.assertTrue(self._allowed([rules.Entry('other', allow=[])]))

    def test_the_default_entry_decides_for_a_project_without_one(self):
        default = rules.Entry(rules.DEFAULT, allow=['m1.*'])

        self.assertTrue(self._allowed([default]))
        self.assertFalse(self._allowed([default], name='c1.tiny'))

    def test_a_projects_own_entry_takes_nothing_from_the_default(self):
        entries = [rules.Entry(rules.DEFAULT, allow=['m1.*'], deny=['*.gpu']),
                   rules.Entry('p', allow=['c1.*'])]

        self.assertTrue(self._allowed(entries, name='c1.gpu'))
        self.assertFalse(self._allowed(entries, name='m1.tiny'))

    def test_an_entry_with_no_list_takes_its_project_out_of_the_default(self):
        entries = [rules.Entry(rules.DEFAULT, allow=[]), rules.Entry('p')]

        self.assertTrue(self._allowed(entries))
        self.assertFalse(self._allowed(entries, project_id='other'))

    def test_for_one_project_the_database_wins_over_the_file(self):
        self.assertTrue(self._allowed(
            [rules.Entry('p', allow=[])], [rules.Entry('p')]))
        self.assertFalse(self._allowed(
            [rules.Entry('p')], [rules.Entry('p', allow=[])]))

    def test_nothing_of_the_files_entry_is_added_to_that_of_the_database(self):
        from_file = [rules.Entry('p', allow=['m1.*'], deny=['*.gpu'])]
        from_database = [rules.Entry('p', deny=['*.huge'])]

        self.assertTrue(self._allowed(
            from_file, from_database, name='c1.gpu'))

    def test_the_databases_default_wins_over_that_of_the_file(self):
        self.assertTrue(self._allowed(
            [rules.Entry(rules.DEFAULT, allow=[])],
            [rules.Entry(rules.DEFAULT)]))
        self.assertFalse(self._allowed(
            [rules.Entry(rules.DEFAULT)],
            [rules.Entry(rules.DEFAULT, allow=[])]))

    def test_a_projects_entry_in_the_file_beats_the_databases_default(self):
        self.assertTrue(self._allowed(
            [rules.Entry('p')], [rules.Entry(rules.DEFAULT, allow=[])]))
        self.assertFalse(self._allowed(
            [rules.Entry('p', allow=[])], [rules.Entry(rules.DEFAULT)]))

    def test_a_projects_id_is_no_pattern(self):
        self.assertTrue(self._allowed([rules.Entry('p?', allow=[]),
                                       rules.Entry('p*', allow=[]),
                                       rules.Entry('P', allow=[])]))

    def test_the_default_entry_is_that_of_no_project(self):
        entries = [rules.Entry(rules.DEFAULT, allow=[])]

        self.assertEqual(
            rules.DEFAULT,
            rules.RuleSet(entries).entry_for('p')[1].project_id)

    def test_there_is_no_entry_for_a_project_when_none_decides(self):
        self.assertIsNone(
            rules.RuleSet([rules.Entry('other')]).entry_for('p'))

    def test_an_entry_of_both_sources_counts_once(self):
        self.assertEqual(2, len(rules.RuleSet(
            [rules.Entry('p'), rules.Entry('q')], [rules.Entry('p')])))

    def test_entries_come_with_the_default_first_and_then_by_project(self):
        # A ! sorts before the * that stands for the default.
        rule_set = rules.RuleSet(
            [rules.Entry('b'), rules.Entry('!'), rules.Entry(rules.DEFAULT)],
            [rules.Entry('a', allow=[])])

        self.assertEqual(
            [(rules.FILE, rules.DEFAULT), (rules.FILE, '!'),
             (rules.DATABASE, 'a'), (rules.FILE, 'b')],
            [(source, entry.project_id) for source, entry in rule_set])

    def test_a_list_that_changes_afterwards_changes_no_rule(self):
        deny = ['m1.*']
        entries = [rules.Entry('p', deny=deny)]
        rule_set = rules.RuleSet(entries)
        deny.clear()
        entries.clear()

        self.assertFalse(rule_set.decide('p', 'm1.tiny', '1').allowed)

    def test_the_same_question_always_has_the_same_answer(self):
        rule_set = rules.RuleSet([rules.Entry('p', deny=['m1.*', 'm1.t*'])])

        self.assertEqual(
            [rule_set.decide('p', 'm1.tiny', '1')] * 3,
            [rule_set.decide('p', 'm1.tiny', '1') for _ in range(3)])


class DecisionTestCase(test.NoDBTestCase):
    """A decision says which entry decided, and what in it."""

    def _words(self, *entries, name='m1.tiny', flavorid='1', database=()):
        return str(rules.RuleSet(entries, database).decide(
            'p', name, flavorid))

    def test_it_names_the_deny_pattern(self):
        self.assertEqual(
            "the project's entry in the rules file: deny pattern 'm1.*'",
            self._words(rules.Entry('p', deny=['*.gpu', 'm1.*'])))

    def test_it_names_the_allow_pattern(self):
        self.assertEqual(
            "the project's entry in the rules file: allow pattern 'm1.*'",
            self._words(rules.Entry('p', allow=['*.gpu', 'm1.*'])))

    def test_it_names_the_pattern_that_matches_the_id(self):
        self.assertEqual(
            "the project's entry in the rules file: deny pattern '[0-9]'",
            self._words(rules.Entry('p', deny=['c1.*', '[0-9]'])))

    def test_it_names_a_pattern_as_it_was_written(self):
        written = 'caf%s.*' % DECOMPOSED

        decision = rules.RuleSet([rules.Entry('p', deny=[written])]).decide(
            'p', 'caf%s.1' % COMPOSED, '1')

        self.assertEqual('deny pattern %r' % written, decision.reason)

    def test_it_says_that_nothing_is_denied(self):
        self.assertEqual(
            "the project's entry in the rules file: no deny pattern matches, "
            "and there is no allow list",
            self._words(rules.Entry('p', deny=['c1.*'])))

    def test_it_says_that_no_allow_pattern_matches(self):
        self.assertEqual(
            "the project's entry in the rules file: no allow pattern matches",
            self._words(rules.Entry('p', allow=['c1.*'])))

    def test_it_says_that_the_allow_list_is_empty(self):
        self.assertEqual(
            "the project's entry in the rules file: the allow list is empty",
            self._words(rules.Entry('p', allow=[])))

    def test_it_names_the_default_entry(self):
        self.assertEqual(
            "the default entry in the rules file: the allow list is empty",
            self._words(rules.Entry(rules.DEFAULT, allow=[])))

    def test_it_names_the_database(self):
        self.assertEqual(
            "the project's entry in the database: the allow list is empty",
            self._words(rules.Entry('p'),
                        database=[rules.Entry('p', allow=[])]))

    def test_it_says_that_there_is_no_entry(self):
        self.assertEqual('no entry for the project and no default entry',
                         self._words(rules.Entry('other', allow=[])))

    def test_it_holds_the_entry_and_its_source(self):
        entry = rules.Entry('p', deny=['m1.*'])

        decision = rules.RuleSet([], [entry]).decide('p', 'm1.tiny', '1')

        self.assertIs(entry, decision.entry)
        self.assertEqual(rules.DATABASE, decision.source)


@ddt.ddt
class EntryTestCase(test.NoDBTestCase):
    """What one entry says of a flavor, and what cannot be an entry."""

    def test_with_neither_list_everything_is_allowed(self):
        self.assertTrue(decide(rules.Entry('p')))

    def test_with_no_allow_list_everything_but_the_denied_is_allowed(self):
        entry = rules.Entry('p', deny=['*.gpu'])

        self.assertTrue(decide(entry))
        self.assertFalse(decide(entry, 'm1.gpu'))

    def test_an_empty_allow_list_allows_nothing(self):
        self.assertFalse(decide(rules.Entry('p', allow=[])))

    def test_an_allow_list_allows_nothing_else(self):
        entry = rules.Entry('p', allow=['m1.*'])

        self.assertTrue(decide(entry))
        self.assertFalse(decide(entry, 'c1.tiny'))

    def test_deny_beats_allow(self):
        self.assertFalse(decide(rules.Entry('p', allow=['*'], deny=['m1.*'])))
        self.assertFalse(decide(
            rules.Entry('p', allow=['m1.tiny'], deny=['m1.tiny'])))

    def test_deny_by_the_id_beats_allow_by_the_name(self):
        self.assertFalse(decide(
            rules.Entry('p', allow=['m1.tiny'], deny=['1'])))

    def test_deny_by_the_name_beats_allow_by_the_id(self):
        self.assertFalse(decide(
            rules.Entry('p', allow=['1'], deny=['m1.tiny'])))

    def test_it_keeps_the_lists_in_order_and_as_they_are_written(self):
        entry = rules.Entry('p', allow=['b', 'a', 'b'], deny=(DECOMPOSED, '*'))

        self.assertEqual(('b', 'a', 'b'), entry.allow)
        self.assertEqual((DECOMPOSED, '*'), entry.deny)

    def test_it_cannot_be_changed(self):
        entry = rules.Entry('p', allow=['a'], deny=['b'])

        for name in ('project_id', 'allow', 'deny'):
            self.assertRaises(dataclasses.FrozenInstanceError,
                              setattr, entry, name, None)
        self.assertIsInstance(entry.allow, tuple)
        self.assertIsInstance(entry.deny, tuple)

    def test_entries_that_say_the_same_are_equal(self):
        used = rules.Entry('p', allow=['a'])
        used.decide('a', '1')

        self.assertEqual(used, rules.Entry('p', allow=('a',)))
        self.assertNotEqual(rules.Entry('p'), rules.Entry('p', allow=[]))

    @ddt.data(None, 5, b'p', ['p'])
    def test_a_project_id_is_a_string(self, project_id):
        error = self.assertRaises(
            rules.InvalidRule, rules.Entry, project_id)

        self.assertEqual('project id %r is not a string' % (project_id,),
                         str(error))

    @ddt.data('', ' ', ' p', 'p ', '\u3000p', 'p\n', '\tp')
    def test_a_project_id_has_no_space_around_it(self, project_id):
        error = self.assertRaises(
            rules.InvalidRule, rules.Entry, project_id)

        self.assertEqual('project id %r is empty, or begins or ends with a '
                         'space' % project_id, str(error))

    def test_a_project_id_has_255_characters_at_most(self):
        rules.Entry('p' * 255)

        error = self.assertRaises(
            rules.InvalidRule, rules.Entry, 'p' * 256)

        self.assertEqual("project id 'pppppppppppppppppppppppppppppppp'... is "
                         "longer than 255 characters", str(error))

    def test_a_pattern_of_either_list_is_checked(self):
        for kind in ('allow', 'deny'):
            error = self.assertRaises(
                rules.InvalidRule, rules.Entry, 'p',
                **{kind: ['m1.*', '[z-a]']})
            self.assertEqual("pattern '[z-a]' has an empty range: z-a",
                             str(error))

    def test_unmatched_patterns_come_with_the_list_they_are_in(self):
        entry = rules.Entry('p', allow=['m1.*', 'c1.*'], deny=['7', '1', 'x'])

        self.assertEqual(
            [('allow', 'c1.*'), ('deny', '7'), ('deny', 'x')],
            entry.unmatched([('m1.tiny', '1')]))

    def test_an_entry_without_an_allow_list_has_no_unmatched_one(self):
        self.assertEqual([('deny', 'x')],
                         rules.Entry('p', deny=['x']).unmatched([]))


@ddt.ddt
class CheckPatternTestCase(test.NoDBTestCase):
    """What is refused, because it could not mean what its author thinks."""

    @ddt.data(
        '*', '?', 'm1.tiny', '1', 'm1.[a-z]*', '[!a-z]', '[a-a]', '[]a]',
        '[!]a]', '[]-a]', '[a-]', '[-a]', '[!-a]', '[[]', '[]]', '[!]', '[]',
        '[^a]', '[a-c-e]', '[--z]', '[%-+]', r'[a\]', 'a]', '-', 'z-a', '!',
        '\\', 'two words', '\u5927\u3000\u304d\u3044', '\U0001f600',
        '[%s]' % COMPOSED, '[%s]' % DECOMPOSED, 'x' * 255)
    def test_these_are_taken(self, pattern):
        rules.check_pattern(pattern)

    # An unclosed [ is an ordinary character, and so is what comes after it.
    @ddt.data('[', '[z-a', 'a[', '[!', '[!z-a', '[]z-a', '[!]z-a', ']z-a[')
    def test_a_bracket_that_is_not_closed_holds_no_range(self, pattern):
        rules.check_pattern(pattern)

    @ddt.data(
        ('[z-a]', 'z-a'),
        ('[!z-a]', 'z-a'),
        ('[9-0]*', '9-0'),
        ('m1.[xz-a]', 'z-a'),
        ('[a-zz-a]', 'z-a'),
        ('[a-z]x[z-a]', 'z-a'),
        ('[z-a]x[a-z]', 'z-a'),
        ('[][z-a]', 'z-a'),
        ('[[z-a]', 'z-a'),
        # The first ] is a member, so these go on to the next one.
        ('[]-A]', ']-A'),
        ('[!]-A]', ']-A'),
        ('[]x[z-a]', 'z-a'),
        ('[a--]', 'a--'),
        # A second ! is a member, and so is a ^ anywhere.
        ('[!a-!]', 'a-!'),
        ('[^-A]', '^-A'),
        ('[%s-z]' % COMPOSED, '%s-z' % COMPOSED),
        ('[%s-z]' % DECOMPOSED, '%s-z' % COMPOSED),
    )
    @ddt.unpack
    def test_an_empty_range_is_refused(self, pattern, found):
        error = self.assertRaises(
            rules.InvalidRule, rules.check_pattern, pattern)

        self.assertEqual('pattern %r has an empty range: %s' % (
            rules.normalize(pattern), found), str(error))

    @ddt.data(None, 1, 1.5, True, b'm1', ['m1'], {'m1': 1})
    def test_what_is_no_string_is_refused(self, pattern):
        error = self.assertRaises(
            rules.InvalidRule, rules.check_pattern, pattern)

        self.assertEqual('pattern %r is not a string' % (pattern,),
                         str(error))

    @ddt.data('', ' ', ' m1', 'm1 ', '\u3000m1', 'm1\u3000', 'm1\n')
    def test_a_space_around_it_is_refused(self, pattern):
        error = self.assertRaises(
            rules.InvalidRule, rules.check_pattern, pattern)

        self.assertEqual('pattern %r is empty, or begins or ends with a '
                         'space' % pattern, str(error))

    # A control character, a line's end, a zero width space, a lone surrogate,
    # one for private use, one that is not assigned, Unicode's line end.
    @ddt.data('\0', '\n', '\u200b', '\ud800', '\ue000', '\u0378', '\u2028')
    def test_what_cannot_be_printed_is_refused(self, char):
        pattern = 'm%s1' % char

        error = self.assertRaises(
            rules.InvalidRule, rules.check_pattern, pattern)

        self.assertEqual('pattern %r has characters that cannot be printed' %
                         pattern, str(error))

    def test_more_than_255_characters_are_refused(self):
        error = self.assertRaises(
            rules.InvalidRule, rules.check_pattern, 'x' * 256)

        self.assertEqual("pattern 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'... is "
                         "longer than 255 characters", str(error))


@ddt.ddt
class PatternsTestCase(test.NoDBTestCase):
    """What a pattern matches."""

    def _matches(self, pattern, name, flavorid='no id'):
        rules.check_pattern(pattern)
        return rules.Patterns([pattern]).match(name, flavorid) is not None

    def test_a_literal_is_compared_with_the_name_and_with_the_id(self):
        self.assertTrue(self._matches('m1.tiny', 'm1.tiny', '1'))
        self.assertTrue(self._matches('1', 'm1.tiny', '1'))
        self.assertFalse(self._matches('m1', 'm1.tiny', '1'))

    def test_a_pattern_is_compared_with_the_name_and_with_the_id(self):
        self.assertTrue(self._matches('m?.*', 'm1.tiny', 'abc'))
        self.assertTrue(self._matches('ab?', 'm1.tiny', 'abc'))

    def test_no_pattern_matches_name_and_id_taken_together(self):
        self.assertFalse(self._matches('m1*abc', 'm1.tiny', 'abc'))

    @ddt.data(
        ('*', 'anything at all'),
        ('m1.*', 'm1.'),
        ('m1.*', 'm1.tiny'),
        ('*.tiny', 'm1.tiny'),
        ('*1*', 'm1.tiny'),
        ('m?.tiny', 'm1.tiny'),
        ('m[12].tiny', 'm1.tiny'),
        ('m[0-9].tiny', 'm1.tiny'),
        ('m[!2].tiny', 'm1.tiny'),
        ('m[!a-z].tiny', 'm1.tiny'),
        ('**', 'm1'),
        # What has another meaning in a regular expression.
        ('m[^1]', 'm^'),
        ('m[^1]', 'm1'),
        (r'm[\d]', 'md'),
        ('m[a-]', 'm-'),
        ('m[a&&b]', 'm&'),
        # A bracket, as a member and alone.
        ('m[[]1]', 'm[1]'),
        ('m[]]', 'm]'),
        ('m[!]]', 'm1'),
        ('m[1', 'm[1'),
        ('m]1*', 'm]1.tiny'),
        ('[!]', '[!]'),
        ('[*', '[m1'),
    )
    @ddt.unpack
    def test_these_match(self, pattern, name):
        self.assertTrue(self._matches(pattern, name))

    @ddt.data(
        ('m1.*', 'xm1.tiny'),
        ('m1.?', 'm1.'),
        ('m1.?', 'm1.ab'),
        ('*.tiny', 'm1.tiny2'),
        ('m[12].tiny', 'm3.tiny'),
        ('m[!1].tiny', 'm1.tiny'),
        ('m[]]', 'm['),
        ('m[!]]', 'm]'),
        ('m[1', 'm1'),
        ('[!]', 'a'),
        # What has another meaning in a regular expression.
        ('m1.tiny*', 'm1xtiny'),
        ('m+*', 'mmm'),
        ('(m1)*', 'm1'),
        ('m1|c1*', 'm1'),
        ('*$', 'm1'),
        (r'm\d*', 'm1'),
        # A backslash takes nothing's meaning away.
        (r'm\*', 'm*'),
        # Braces are no alternatives.
        ('{m1,c1}*', 'm1.tiny'),
    )
    @ddt.unpack
    def test_these_do_not_match(self, pattern, name):
        self.assertFalse(self._matches(pattern, name))

    @ddt.data('m1.tiny', 'm1.t*', 'm1.[t]iny')
    def test_case_counts(self, pattern):
        self.assertTrue(self._matches(pattern, 'm1.tiny'))
        self.assertFalse(self._matches(pattern, 'M1.Tiny'))

    @ddt.data('caf%s', 'caf%s*', 'caf[%s]', '?af%s', '*[a%s]')
    def test_all_ways_to_write_a_letter_are_one(self, pattern):
        for written in (COMPOSED, DECOMPOSED):
            for named in (COMPOSED, DECOMPOSED):
                self.assertTrue(
                    self._matches(pattern % written, 'caf' + named))

    def test_a_letter_with_its_accent_is_one_character(self):
        self.assertTrue(self._matches('caf?', 'caf' + DECOMPOSED))
        self.assertFalse(self._matches('caf??', 'caf' + DECOMPOSED))
        self.assertFalse(self._matches('cafe*', 'caf' + DECOMPOSED))

    def test_letters_that_only_look_alike_are_not_the_same(self):
        # A Cyrillic letter, a wide one, a ligature.
        self.assertFalse(self._matches('a', '\u0430'))
        self.assertFalse(self._matches('a', '\uff41'))
        self.assertFalse(self._matches('fi', '\ufb01'))

    def test_an_emoji_is_one_character(self):
        self.assertTrue(self._matches('gpu-?', 'gpu-\U0001f680'))
        self.assertTrue(self._matches('gpu-[\U0001f680-\U0001f6a2]',
                                      'gpu-\U0001f681'))
        self.assertTrue(self._matches('\U0001f680', '\U0001f680'))

    def test_an_ideographic_space_is_not_a_plain_one(self):
        self.assertTrue(self._matches('\u5927\u3000*', '\u5927\u3000\u5c0f'))
        self.assertFalse(self._matches('\u5927 *', '\u5927\u3000\u5c0f'))

    def test_a_name_that_has_a_line_end_is_not_left_out(self):
        # Nova takes none now, but a row of the database may have one.
        self.assertTrue(self._matches('m1.*', 'm1.\ntiny'))
        self.assertFalse(self._matches('m1.tin?', 'm1.tiny\n'))

    def test_a_pattern_of_many_stars_is_answered_at_once(self):
        # Backtracking through these would take longer than anyone waits.
        self.assertFalse(self._matches('*a' * 100 + 'b', 'a' * 255))

    def test_a_literal_is_named_before_a_pattern(self):
        patterns = rules.Patterns(['m1.*', 'm1.tiny'])

        self.assertEqual('m1.tiny', patterns.match('m1.tiny', '1'))
        self.assertEqual('m1.tiny', patterns.match('1', 'm1.tiny'))

    def test_the_first_of_several_patterns_is_named(self):
        self.assertEqual('m1.?*', rules.Patterns(
            ['c1.*', 'm1.?*', 'm1.*']).match('m1.tiny', '1'))

    def test_no_pattern_matches_nothing(self):
        self.assertIsNone(rules.Patterns([]).match('m1.tiny', '1'))

    def test_thousands_of_patterns_say_the_same_as_one_by_one(self):
        written = ['%s%d.*' % (family, number)
                   for family in 'abcd' for number in range(300)]
        written += ['[%s]%d?x' % (family, number)
                    for family in ('ab', '!a-y') for number in range(300)]
        written += ['literal.%d' % number for number in range(1000)]
        patterns = rules.Patterns(written)
        names = ['a0.x', 'b299.', 'd12.large', 'a300.', 'literal.0', 'a7yx',
                 'literal.999', 'literal.1000', 'z299zx', 'y1xx', 'c', '']

        self.assertEqual(
            [next((pattern for pattern in written
                   if fnmatch.fnmatchcase(name, pattern)), None)
             for name in names],
            [patterns.match(name) for name in names])

    def test_unmatched_are_those_that_no_flavor_has_the_name_or_id_of(self):
        flavors = [('m1.tiny', '1'), ('caf' + COMPOSED, 'x-7')]

        self.assertEqual(
            ['m1', 'M1.*', '8', '[!m]1*'],
            rules.Patterns([
                'm1.*', 'm1.tiny', 'm1', '1', 'M1.*', 'x-?', '8',
                'caf' + DECOMPOSED, '[c]af' + DECOMPOSED, '[!m]1*',
            ]).unmatched(flavors))

    def test_without_flavors_every_pattern_is_unmatched(self):
        self.assertEqual(['*', 'a'], rules.Patterns(['*', 'a']).unmatched([]))
