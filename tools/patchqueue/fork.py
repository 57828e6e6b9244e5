"""The repository of the fork as an object: where things are."""

import functools
import itertools
import os
import pathlib
import sys

from patchqueue import features
from patchqueue import patches
from patchqueue import release
from patchqueue import upstream

# The folders of Nova's tree in which the fork has files of its own: its code,
# and where upstream keeps the pages and the samples of its API.
OVERLAY = ('nova', 'api-ref', 'doc/api_samples')

# Made from CHANGES.mycompany wherever a tree is put together: Nova reads it to
# name the vendor's release.
RELEASE_FILE = 'etc/nova/release'


def in_overlay(path):
    """Whether a path in Nova's tree is where the fork may have new files."""
    return path.startswith(tuple(top + '/' for top in OVERLAY))


class Fork:
    """A checkout of the fork.

    :param root: its top folder; the one this file is in unless told
    """

    def __init__(self, root=None):
        self.root = pathlib.Path(
            root or os.environ.get('FORK_ROOT')
            or pathlib.Path(__file__).parents[2]).resolve()

    @property
    def build(self):
        return self.root / 'build'

    @property
    def tree(self):
        return self.build / 'tree'

    @property
    def dist(self):
        return self.root / 'dist'

    @property
    def patches_dir(self):
        return self.root / 'patches'

    @property
    def python(self):
        """The interpreter that has what Nova needs, to import and test it."""
        venv = self.build / 'venv' / 'nova' / 'bin' / 'python'
        return str(venv if venv.exists() else sys.executable)

    @functools.cached_property
    def upstream(self):
        return upstream.load(self.root / 'upstream.toml')

    @functools.cached_property
    def features(self):
        return features.load(self.root / 'features.toml')

    @functools.cached_property
    def release(self):
        return release.load(self.root / 'CHANGES.mycompany')[0]

    @functools.cached_property
    def series(self):
        """The patches, in the order of patches/series."""
        return patches.load_series(self.patches_dir)

    @functools.cached_property
    def overlay(self):
        """The files of our own in Nova's tree: sorted paths, as strings."""
        found = []
        for folder, names, files in itertools.chain.from_iterable(
                os.walk(self.root / top) for top in OVERLAY):
            names[:] = sorted(n for n in names if n != '__pycache__')
            # A link to a folder is none of ours to walk into; the checks
            # refuse it.
            links = [n for n in names
                     if os.path.islink(os.path.join(folder, n))]
            found += [
                os.path.relpath(os.path.join(folder, name), self.root)
                for name in files + links
                if not name.endswith(('.pyc', '~', '.swp', '.orig', '.rej'))]
        return sorted(found)

    def patches_of(self, feature):
        return [p for p in self.series if p.name in feature.patches]

    def files_of(self, feature):
        """The feature's own files in Nova's tree, its tests among them."""
        return [p for p in feature.files + feature.tests
                if in_overlay(p)]
