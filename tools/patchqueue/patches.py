"""A patch of the queue: its DEP-3 header, its diff, and the series file."""

import dataclasses
import functools
import pathlib
import re

import unidiff
from debian import deb822

from patchqueue.errors import ForkError

# Where the diff begins and the header ends, as quilt sees it.
_DIFF = re.compile(r'(?m)^(---[ \t]+\S|diff -|Index:[ \t])')

# How GNU patch says that it found a hunk's lines elsewhere. Only the whole of
# it is sure: a path may hold the word.
OFFSET = re.compile(r'\(offset -?\d+ lines?\)')


@dataclasses.dataclass(frozen=True)
class Patch:
    """A patch file. `name` is its file name below patches/."""

    name: str
    text: str

    @functools.cached_property
    def _split(self):
        found = _DIFF.search(self.text)
        return found.start() if found else len(self.text)

    @property
    def header_text(self):
        return self.text[:self._split]

    @property
    def diff_text(self):
        return self.text[self._split:]

    @functools.cached_property
    def header(self):
        """The DEP-3 fields: a mapping, its keys without regard to case."""
        return deb822.Deb822(self.header_text.strip('\n').splitlines())

    @functools.cached_property
    def diff(self):
        """The diff, a unidiff.PatchSet.

        :raises ForkError: it is no unified diff
        """
        try:
            return unidiff.PatchSet(self.diff_text)
        except unidiff.errors.UnidiffParseError as error:
            raise ForkError('%s: not a unified diff: %s' % (self.name, error))

    @property
    def paths(self):
        """The files it edits."""
        return [part.path for part in self.diff]

    @property
    def feature(self):
        return self.header.get('Feature', '').strip()

    @property
    def tests(self):
        """The dotted names of the tests that fail without it."""
        return self.header.get('Test', '').split()

    @property
    def summary(self):
        """The first line of its description."""
        return self.header.get('Description', '').strip().partition('\n')[0]

    def only(self, wanted):
        """The diff's text, of the files for which `wanted(path)` is true."""
        return ''.join(str(part) for part in self.diff if wanted(part.path))


def load_series(folder):
    """The patches that `folder`/series names, in its order.

    :raises ForkError: the series is missing, names a patch twice, with
        options, or one that is not there
    """
    made = []
    for name in series_names(folder):
        path = pathlib.Path(folder) / name
        try:
            # No newline is translated: a patch is bytes to keep.
            text = path.read_bytes().decode('utf-8')
        except FileNotFoundError:
            raise ForkError('%s/series names %s, which does not exist' % (
                folder, name))
        except UnicodeDecodeError as error:
            raise ForkError('%s: not UTF-8: %s' % (path, error))
        made.append(Patch(name, text))
    return made


def series_names(folder):
    path = pathlib.Path(folder) / 'series'
    try:
        lines = path.read_text().splitlines()
    except FileNotFoundError:
        raise ForkError('%s: not found' % path)
    names = []
    for number, line in enumerate(lines, 1):
        words = line.partition('#')[0].split()
        if not words:
            continue
        if len(words) > 1:
            raise ForkError('%s:%d: options are not used here: %r; every '
                            'patch applies with -p1' % (path, number, line))
        if words[0] in names:
            raise ForkError('%s:%d: %s is there twice' % (
                path, number, words[0]))
        names.append(words[0])
    return names


def write_series(path, names):
    """Make the series name `names`, and keep its comments where they are.

    A name that is new goes below the one before it, the first one above all
    that were there.
    """
    lines = path.read_text().splitlines() if path.exists() else []

    def name_of(line):
        return line.partition('#')[0].strip()

    old = [name_of(line) for line in lines if name_of(line)]
    kept = iter([name for name in names if name in old])
    made = []
    for line in lines:
        name = name_of(line)
        if not name:
            made.append(line)
        elif name in names:
            # The places stay, the names are dealt out in their new order.
            made.append(line.replace(name, next(kept), 1))
    for at, name in enumerate(names):
        if name not in old:
            if at:
                where = 1 + next(n for n, line in enumerate(made)
                                 if name_of(line) == names[at - 1])
            else:
                where = next((n for n, line in enumerate(made)
                              if name_of(line)), len(made))
            made.insert(where, name)
    assert [name_of(line) for line in made if name_of(line)] == names, made
    path.write_text('\n'.join(made) + '\n')
