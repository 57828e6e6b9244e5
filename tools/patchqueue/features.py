"""``features.toml``: the map from each feature to all that belongs to it."""

import dataclasses
import pathlib
import re

from patchqueue import toml
from patchqueue.errors import ForkError

_LISTS = ('files', 'patches', 'tests', 'upstream_tests', 'docs')


@dataclasses.dataclass(frozen=True)
class Feature:
    """One feature: its new files, its seams, their tests and their pages.

    `upstream_tests` are dotted names of upstream's tests that look at what
    the seams edit; they run with ours.
    """

    name: str
    title: str
    files: tuple
    patches: tuple
    tests: tuple
    upstream_tests: tuple
    docs: tuple


@dataclasses.dataclass(frozen=True)
class Features:
    path: pathlib.Path
    features: tuple
    guides: tuple

    def __iter__(self):
        return iter(self.features)

    def get(self, name):
        for feature in self.features:
            if feature.name == name:
                return feature
        raise ForkError('%s: there is no feature %r; there are %s' % (
            self.path, name, ', '.join(f.name for f in self.features)))


def load(path):
    """Read `features.toml`.

    :raises ForkError: it is no TOML, a key is unknown, missing or of another
        type than a list of strings, or a thing is listed twice
    """
    path = pathlib.Path(path)
    data = toml.load(path)
    unknown = set(data) - {'feature', 'guides'}
    if unknown:
        raise ForkError('%s: unknown keys %s; expected are [[feature]] and '
                        'guides' % (path, ', '.join(sorted(unknown))))
    made = []
    owner = {}
    tables = toml.tables(data, 'feature', path)
    guides = data.get('guides', [])
    if not isinstance(guides, list) or not all(
            isinstance(page, str) for page in guides):
        raise ForkError('%s: guides must be a list of strings' % path)
    for number, table in enumerate(tables, 1):
        name = table.get('name')
        where = 'feature %s' % (name or 'number %d' % number)
        if not isinstance(name, str) or not re.fullmatch(
                r'[a-z][a-z0-9]*(-[a-z0-9]+)*', name):
            raise ForkError('%s: %s: name must be words of a-z and 0-9 '
                            'joined by "-", found %r' % (path, where, name))
        if name in (f.name for f in made):
            raise ForkError('%s: %s is there twice' % (path, where))
        if not isinstance(table.get('title'), str):
            raise ForkError('%s: %s needs a title, a string' % (path, where))
        unknown = set(table) - {'name', 'title', *_LISTS}
        if unknown:
            raise ForkError('%s: %s has unknown keys %s' % (
                path, where, ', '.join(sorted(unknown))))
        lists = {}
        for key in _LISTS:
            items = table.get(key, [])
            if not isinstance(items, list) or not all(
                    isinstance(item, str) for item in items):
                raise ForkError('%s: %s: %s must be a list of strings' % (
                    path, where, key))
            for item in items if key != 'upstream_tests' else ():
                if item in owner:
                    raise ForkError('%s: %s is listed twice, by %s and %s' % (
                        path, item, owner[item], name))
                owner[item] = name
            lists[key] = tuple(items)
        made.append(Feature(name, table['title'], **lists))
    return Features(path, tuple(made), tuple(guides))
