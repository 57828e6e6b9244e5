"""The queue as one plain quilt series: one patch per feature.

Each patch holds a feature's new files and its seams together. The series
turns the pristine sdist into exactly the fork's tree, so that a source
package, or anyone with ``patch``, needs nothing else.
"""

import pathlib
import shutil
import tempfile
import textwrap

from patchqueue import fork as fork_module
from patchqueue import patches
from patchqueue import tree
from patchqueue import upstream
from patchqueue.errors import ForkError
from patchqueue.run import require
from patchqueue.run import run

# The feature whose patch carries the release file made from
# CHANGES.mycompany.
VERSION_FEATURE = 'vendor-version'

# The first line of a series that is ours to replace.
_MARK = '# Made by tools/series.sh from patches/ and nova/.'


def diff(old, new, paths):
    """The unified diff of `paths` from the folder `old` to `new`.

    The form is the one `tools/quilt.sh refresh` writes: files sorted, no
    time stamps, no function names.

    :returns: text; '' when nothing differs
    """
    parts = []
    for path in sorted(paths):
        sides = [folder / path if (folder / path).exists()
                 else pathlib.Path('/dev/null') for folder in (old, new)]
        labels = [path if side == pathlib.Path('/dev/null') else prefix + path
                  for side, prefix in zip(sides, ('a/', 'b/'))]
        labels = ['/dev/null' if side == pathlib.Path('/dev/null') else label
                  for side, label in zip(sides, labels)]
        done = run([require('diff', 'diffutils'), '-u',
                    '--label', labels[0], '--label', labels[1],
                    *sides], check=False, text=False,
                   env={'LC_ALL': 'C.UTF-8'})
        if done.returncode > 1 or done.stdout.startswith(b'Binary files'):
            raise ForkError('%s: no text that diff can compare' % path)
        parts.append(done.stdout.decode('utf-8'))
    return ''.join(parts)


def header(fork, feature):
    """The DEP-3 header of a feature's patch, from its seams' headers."""
    seams = fork.patches_of(feature)
    lines = ['Description: %s' % feature.title]
    if feature.files or feature.tests:
        lines += [' New files, and these edits of upstream\'s:', ' .'] if (
            seams) else [' New files only.']
    for seam in seams:
        lines += textwrap.wrap('%s: %s' % (
            seam.name.rpartition('.')[0], seam.summary), 76,
            initial_indent=' * ', subsequent_indent='   ')
    lines += [
        'Author: %s' % fork.release.maintainer,
        'Origin: vendor',
        'Forwarded: not-needed',
        'Last-Update: %s' % max(
            [seam.header.get('Last-Update', '') for seam in seams]
            + [fork.release.date.date().isoformat()]),
        'Feature: %s' % feature.name,
    ]
    return '\n'.join(lines) + '\n\n'


def _refuse_other(fork, folder):
    """Only what an earlier call has written may be replaced."""
    inside = folder.resolve().relative_to(fork.root).parts if (
        folder.resolve().is_relative_to(fork.root)) else None
    if inside is not None and inside[:1] not in (('build',), ('dist',)):
        raise ForkError('%s is a place for sources of the fork: the series '
                        'goes to dist/patches, or outside' % folder)
    if not folder.exists() or not list(folder.iterdir()):
        return
    try:
        ours = (folder / 'series').read_text().startswith(_MARK)
    except OSError:
        ours = False
    strange = {path.name for path in folder.iterdir()} - {
        'series', *(patches.series_names(folder) if ours else ())}
    if strange:
        raise ForkError('%s holds other things, which would be deleted: %s' % (
            folder, ', '.join(sorted(strange)[:5])))


def write(fork, folder):
    """Write the series into `folder`, in the place of an earlier one.

    :returns: the names of the patches
    :raises ForkError: the folder holds anything else
    """
    folder = pathlib.Path(folder)
    _refuse_other(fork, folder)
    names = []
    with tempfile.TemporaryDirectory() as scratch:
        out = pathlib.Path(scratch) / 'out'
        out.mkdir()
        before = pathlib.Path(scratch) / 'before'
        after = pathlib.Path(scratch) / 'after'
        seams = {path for patch in fork.series for path in patch.paths}
        for side in (before, after):
            upstream.unpack(fork.upstream.pinned, side, only=seams)
        for feature in fork.features:
            touched = set(fork.files_of(feature))
            tree.add_overlay(fork, after, only=sorted(touched))
            if feature.name == VERSION_FEATURE:
                tree.write_release_file(fork, after)
                touched.add(fork_module.RELEASE_FILE)
            for patch in fork.patches_of(feature):
                run([require('patch'), '-p1', '--fuzz=0', '--batch',
                     '--no-backup-if-mismatch'], cwd=after,
                    input=patch.diff_text)
                touched.update(patch.paths)
            if not touched:
                continue
            name = feature.name + '.patch'
            (out / name).write_bytes((
                header(fork, feature) + diff(before, after, touched)
            ).encode('utf-8'))
            names.append(name)
            for path in touched:
                (before / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(after / path, before / path)
        (out / 'series').write_text('\n'.join([_MARK, *names]) + '\n')
        if folder.exists():
            shutil.rmtree(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(out, folder)
    return names
