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

"""What a flavor rule means; no input or output is done here.

An *entry* says for one project, or as the default for all projects without an
entry of their own, which flavors may be used. A *rule set* is all entries that
are in force together, and decides. Entries do not add up: exactly one of them
decides, and every decision says which and by which of its patterns.
"""

import dataclasses
import fnmatch
import functools
import re
import typing as ty
import unicodedata

# How the default entry is called where a project id is expected. Keystone's
# ids are hexadecimal digits.
DEFAULT = '*'

# Flavor names, flavor ids and project ids have at most this many characters
# in Nova's database, and a pattern has no use for more.
MAX_LENGTH = 255

# Sources, in the order in which they are asked for one project.
DATABASE = 'the database'
FILE = 'the rules file'

# Flavor names are few; this only bounds what a flood of new ones may take.
_MAX_REMEMBERED = 16384

_MAGIC = re.compile(r'[*?[]')

# Many alternatives of one regular expression are much faster than as many
# expressions; the bound keeps a single one from growing without limit.
_PATTERNS_PER_REGEX = 500


class InvalidRule(ValueError):
    """A rule that cannot be used; the message says why, for people."""


def normalize(text: str) -> str:
    """The form in which names and patterns are compared.

    One name can be written in several ways in Unicode, which look alike: é is
    one character or two. Case counts.
    """
    return unicodedata.normalize('NFC', text)


def check_text(what: str, text: ty.Any) -> None:
    """Refuse what cannot be a project id or a pattern.

    :param what: what the text is, for the message
    :raises InvalidRule: not a string, empty, too long, or not printable
    """
    if not isinstance(text, str):
        raise InvalidRule('%s %r is not a string' % (what, text))
    if not text or text != text.strip():
        raise InvalidRule('%s %r is empty, or begins or ends with a space' % (
            what, text))
    if len(text) > MAX_LENGTH:
        raise InvalidRule('%s %r... is longer than %d characters' % (
            what, text[:32], MAX_LENGTH))
    # What Nova itself takes in a flavor's name.
    categories = {unicodedata.category(char) for char in text} - {'Zs'}
    if any(category[0] in 'CZ' for category in categories):
        raise InvalidRule('%s %r has characters that cannot be printed' % (
            what, text))


def check_pattern(pattern: ty.Any) -> None:
    """Refuse a pattern that could not mean what its author thinks.

    :raises InvalidRule: the pattern is no printable text, or has a range that
        holds nothing, such as ``[z-a]``
    """
    check_text('pattern', pattern)
    pattern = normalize(pattern)
    # fnmatch refuses, ignores or empties such a range, depending on Python's
    # version.
    i = pattern.find('[')
    while i >= 0:
        # A ] right after the opening [ or [! is a member, not the end.
        start = i + 2 if pattern[i + 1:i + 2] == '!' else i + 1
        end = pattern.find(']', start + 1)
        if end < 0:
            # Without its end a [ is an ordinary character.
            break
        for low, high in re.findall(r'(.)-(.)', pattern[start:end]):
            if low > high:
                raise InvalidRule(
                    'pattern %r has an empty range: %s-%s' % (
                        pattern, low, high))
        i = pattern.find('[', end)


class Patterns:
    """Shell-style patterns, matched against a flavor's name and its id."""

    def __init__(self, patterns: ty.Iterable[str]) -> None:
        self.patterns = tuple(patterns)
        # What is no pattern at all is looked up, however many there are.
        self._literals: ty.Dict[str, str] = {}
        globs = []
        for pattern in self.patterns:
            if _MAGIC.search(pattern):
                globs.append(pattern)
            else:
                self._literals.setdefault(normalize(pattern), pattern)
        self._globs = tuple(globs)

    @functools.cached_property
    def _regexes(self):
        regexes = []
        for i in range(0, len(self._globs), _PATTERNS_PER_REGEX):
            part = self._globs[i:i + _PATTERNS_PER_REGEX]
            regexes.append((re.compile('|'.join(
                '(?:%s)' % self._translate(pattern) for pattern in part)),
                part))
        return regexes

    @staticmethod
    def _translate(pattern):
        return fnmatch.translate(normalize(pattern))

    def match(self, *names: str) -> ty.Optional[str]:
        """The pattern that one of the names matches, or None.

        A literal is preferred; among others, the first that matches.
        """
        names = tuple(normalize(name) for name in names)
        for name in names:
            if name in self._literals:
                return self._literals[name]
        for regex, patterns in self._regexes:
            if any(regex.match(name) for name in names):
                for pattern in patterns:
                    one = re.compile(self._translate(pattern))
                    if any(one.match(name) for name in names):
                        return pattern
        return None

    def unmatched(self, flavors) -> ty.List[str]:
        """The patterns that none of the flavors match.

        :param flavors: pairs of flavor name and flavor id
        """
        names = {normalize(name) for pair in flavors for name in pair}
        result = []
        for pattern in self.patterns:
            if not _MAGIC.search(pattern):
                found = normalize(pattern) in names
            else:
                regex = re.compile(self._translate(pattern))
                found = any(regex.match(name) for name in names)
            if not found:
                result.append(pattern)
        return result


@dataclasses.dataclass(frozen=True)
class Entry:
    """The rules for one project, or for all that have none.

    An entry with neither allow nor deny allows everything, and so takes its
    project out of the default entry.

    :ivar project_id: a project's id, or DEFAULT
    :ivar allow: patterns of what may be used; None stands for everything and
        an empty tuple for nothing
    :ivar deny: patterns of what may not be used, whatever ``allow`` says
    """
    project_id: str
    allow: ty.Optional[ty.Tuple[str, ...]] = None
    deny: ty.Tuple[str, ...] = ()

    def __post_init__(self):
        check_text('project id', self.project_id)
        # A list would be shared with whoever made it.
        if self.allow is not None:
            object.__setattr__(self, 'allow', tuple(self.allow))
        object.__setattr__(self, 'deny', tuple(self.deny))
        for pattern in (self.allow or ()) + self.deny:
            check_pattern(pattern)

    @functools.cached_property
    def _allow(self):
        return None if self.allow is None else Patterns(self.allow)

    @functools.cached_property
    def _deny(self):
        return Patterns(self.deny)

    def decide(self, name: str, flavorid: str) -> ty.Tuple[bool, str]:
        """Whether a flavor may be used, and why, as the end of a sentence."""
        pattern = self._deny.match(name, flavorid)
        if pattern is not None:
            return False, 'deny pattern %r' % pattern
        if self._allow is None:
            return True, 'no deny pattern matches, and there is no allow list'
        pattern = self._allow.match(name, flavorid)
        if pattern is not None:
            return True, 'allow pattern %r' % pattern
        if not self.allow:
            return False, 'the allow list is empty'
        return False, 'no allow pattern matches'

    def unmatched(self, flavors) -> ty.List[ty.Tuple[str, str]]:
        """Pairs of ``allow`` or ``deny`` and a pattern without a flavor."""
        return [(kind, pattern)
                for kind, patterns in (('allow', self._allow),
                                       ('deny', self._deny))
                if patterns is not None
                for pattern in patterns.unmatched(flavors)]


@dataclasses.dataclass(frozen=True)
class Decision:
    """Whether a project may use a flavor.

    :ivar source: DATABASE or FILE; None when no entry is there at all
    :ivar entry: the entry that decided, or None
    :ivar reason: what in that entry decided
    """
    allowed: bool
    source: ty.Optional[str]
    entry: ty.Optional[Entry]
    reason: str

    def __str__(self):
        if self.entry is None:
            return self.reason
        whose = ('the default entry' if self.entry.project_id == DEFAULT
                 else "the project's entry")
        return '%s in %s: %s' % (whose, self.source, self.reason)


class RuleSet:
    """All entries in force. It never changes; a new one replaces it."""

    def __init__(
        self,
        file_entries: ty.Iterable[Entry] = (),
        database_entries: ty.Iterable[Entry] = (),
    ) -> None:
        # The last word on a key is the database's.
        self._entries = {
            entry.project_id: (source, entry)
            for source, entries in ((FILE, file_entries),
                                    (DATABASE, database_entries))
            for entry in entries}
        # The same few flavors are asked for again and again.
        self.decide = functools.lru_cache(_MAX_REMEMBERED)(self._decide)

    def __len__(self):
        return len(self._entries)

    def __iter__(self):
        """Pairs of source and entry: the default first, then by project."""
        yield from sorted(
            self._entries.values(),
            key=lambda pair: (pair[1].project_id != DEFAULT,
                              pair[1].project_id))

    def entry_for(self, project_id: str):
        """The source and the entry that decide for a project, or None."""
        return self._entries.get(project_id) or self._entries.get(DEFAULT)

    def _decide(self, project_id, name, flavorid):
        """Whether a project may use the flavor of this name and id.

        :returns: a Decision
        """
        found = self.entry_for(project_id)
        if found is None:
            return Decision(True, None, None,
                            'no entry for the project and no default entry')
        source, entry = found
        allowed, reason = entry.decide(name, flavorid)
        return Decision(allowed, source, entry, reason)
