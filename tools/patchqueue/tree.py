"""Upstream, overlay and seams put together: ``build/tree``, and copies of it.

In ``build/tree`` the overlay's files are symbolic links into the repository,
so that an edit of one is live, and quilt's state points at ``patches/``, so
that an edit of a seam goes back by ``quilt refresh``. Everything else (the
packages, the checks) uses plain copies.
"""

import fcntl
import hashlib
import itertools
import json
import os
import pathlib
import shutil
import sys

from patchqueue import fork as fork_module
from patchqueue import patches
from patchqueue import upstream
from patchqueue.errors import ForkError
from patchqueue.run import progress
from patchqueue.run import require
from patchqueue.run import run
from patchqueue.run import words

# What building and working leave in a tree; no part of what it is.
_LEFTOVERS = ('.pc', '.stestr', '.mypy_cache', '__pycache__', '.tox')
_LEFTOVERS_ON_TOP = ('build', 'dist')

_STAMP = '.pc/fork.json'


def quilt(tree, patches_dir, *args, check=True):
    """Run quilt in `tree` with the queue in `patches_dir`."""
    require('quilt')
    rc = pathlib.Path(__file__).parents[1] / 'quiltrc'
    # The user's QUILT_SERIES and the like would win over the file.
    theirs = [word for name in os.environ if name.startswith('QUILT_')
              for word in ('-u', name)]
    return run(['env', *theirs, 'quilt', '--quiltrc', rc, *args], cwd=tree,
               check=check,
               env={'QUILT_PATCHES': str(patches_dir), 'QUILT_PC': '.pc',
                    'LC_ALL': 'C.UTF-8'})


def push_all(tree, patches_dir):
    """Apply the whole series without fuzz.

    :raises ForkError: a patch does not apply; with quilt's words
    """
    done = quilt(tree, patches_dir, 'push', '-a', check=False)
    if applied(tree, patches_dir) != patches.series_names(patches_dir):
        raise ForkError('%s does not apply to %s:\n%s' % (
            patches_dir, tree, words(done).strip()))


def applied(tree, patches_dir):
    """The names of the patches that are applied in `tree`, in order."""
    return quilt(tree, patches_dir, 'applied', check=False).stdout.split()


def is_leftover(path):
    parts = pathlib.PurePath(path).parts
    return (any(p in _LEFTOVERS or p.endswith('.egg-info') for p in parts)
            or parts[0] in _LEFTOVERS_ON_TOP or path.endswith('.pyc'))


def contents(tree):
    """What the tree is: each file's path with its digest; no leftovers."""
    found = {}
    for folder, names, files in os.walk(tree):
        names[:] = [n for n in names
                    if not is_leftover(os.path.relpath(
                        os.path.join(folder, n), tree))]
        for name in files:
            path = os.path.join(folder, name)
            relative = os.path.relpath(path, tree)
            if is_leftover(relative):
                continue
            if os.path.islink(path) and not os.path.exists(path):
                found[relative] = 'a dangling link'
                continue
            with open(path, 'rb') as stream:
                found[relative] = hashlib.sha1(
                    stream.read(), usedforsecurity=False).hexdigest()
    return found


def differences(left, right):
    """What makes two trees different, a line each."""
    left, right = contents(left), contents(right)
    return sorted(
        ['only in the first: %s' % p for p in left.keys() - right.keys()]
        + ['only in the second: %s' % p for p in right.keys() - left.keys()]
        + ['not the same: %s' % p for p in left.keys() & right.keys()
           if left[p] != right[p]])


def add_overlay(fork, folder, only=None, link=False):
    """Put the overlay's files into `folder`.

    :param only: their paths; all unless told
    :param link: symbolic links into the repository in place of copies
    :raises ForkError: a file would hide one of upstream's
    """
    folder = pathlib.Path(folder)
    for path in fork.overlay if only is None else only:
        source, target = fork.root / path, folder / path
        if target.exists() and not target.is_symlink():
            raise ForkError(
                '%s: upstream has a file at that place. Give ours another '
                'name, or make the edit a patch' % path)
        if not source.exists():
            raise ForkError('features.toml lists %s, which does not exist'
                            % path)
        target.parent.mkdir(parents=True, exist_ok=True)
        if not link:
            shutil.copyfile(source, target)
            target.chmod(0o644)
            continue
        wanted = os.path.relpath(source, target.parent)
        if target.is_symlink():
            if os.readlink(target) == wanted:
                continue
            target.unlink()
        target.symlink_to(wanted)


def write_release_file(fork, folder):
    path = pathlib.Path(folder) / fork_module.RELEASE_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(fork.release.release_file)


def write_metadata(folder, version):
    """Make nova.egg-info anew, for the files and entry points we added.

    pbr takes the list of files from SOURCES.txt if there is one; left alone,
    the sdist's list would leave out every file of ours that is not Python.
    """
    folder = pathlib.Path(folder)
    info = folder / 'nova.egg-info'
    info.mkdir(exist_ok=True)
    (info / 'SOURCES.txt').write_text('\n'.join(sorted(contents(folder))))
    run([sys.executable, 'setup.py', '-q', 'egg_info'], cwd=folder,
        env=pbr_environment(version, folder))


def pbr_environment(version, folder):
    """What pbr must be told, so that it neither guesses nor looks around.

    Upstream's plain version: pbr garbles a local version part. And without
    the ceiling it would note down the commit of the checkout above `folder`.
    """
    return {'PBR_VERSION': version, 'SKIP_GENERATE_AUTHORS': '1',
            'SKIP_WRITE_GIT_CHANGELOG': '1',
            'GIT_CEILING_DIRECTORIES': str(pathlib.Path(folder).parent)}


def materialise(fork, folder, link=False):
    """Put the whole fork together in `folder`, which must not exist."""
    folder = pathlib.Path(folder)
    # Read first: its errors are clearer than quilt's.
    fork.series
    upstream.unpack(fork.upstream.pinned, folder)
    add_overlay(fork, folder, link=link)
    quilt(folder, fork.patches_dir, 'init')
    push_all(folder, fork.patches_dir)
    write_release_file(fork, folder)


def make(fork, discard=False):
    """Make or bring up to date `build/tree`.

    :param discard: throw away edits in it that are in no patch
    :raises ForkError: there are such edits, or popped patches (and not
        `discard`)
    """
    fork.build.mkdir(exist_ok=True)
    with open(fork.build / 'tree.lock', 'w') as lock:
        # One at a time: `make -j` and a second terminal call it too.
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _make(fork, discard)


def _make(fork, discard):
    tree, state, stamp = fork.tree, _state(fork), _stamp(fork.tree)
    if tree.exists() and not discard:
        _refuse_popped(fork, stamp)
        _refuse_files_for_links(fork)
    if stamp and stamp['state'] == state and not discard:
        edited = _unsaved(tree, {}, stamp)
        if edited:
            progress('%s holds edits that are in no patch yet: %s' % (
                tree, ', '.join(edited)))
        _refresh_links(fork)
        return tree
    progress('putting %s, %d files of ours and %d patches together' % (
        fork.upstream.pinned, len(fork.overlay), len(fork.series)))
    # Beside the old one, so that the relative links hold after the rename.
    fresh, old = fork.build / 'tree.new', fork.build / 'tree.old'
    for left in (fresh, old):
        shutil.rmtree(left, ignore_errors=True)
    materialise(fork, fresh, link=True)
    put = contents(fresh)
    if tree.exists() and not discard:
        unsaved = _unsaved(tree, put, stamp)
        if unsaved:
            raise ForkError(
                '%s holds edits that are in no patch:\n    %s\nSave them '
                'with "tools/quilt.sh refresh", or throw them away with '
                '"tools/tree.sh --discard"' % (
                    tree, '\n    '.join(unsaved)))
    write_metadata(fresh, fork.upstream.pinned.version)
    (fresh / _STAMP).write_text(json.dumps({
        'state': state, 'contents': put,
        'series': [patch.name for patch in fork.series]}))
    if tree.exists():
        tree.rename(old)
    fresh.rename(tree)
    shutil.rmtree(old, ignore_errors=True)
    return tree


def _refuse_popped(fork, stamp):
    """A tree with patches popped is not the fork, and looks like edits."""
    now = applied(fork.tree, fork.patches_dir)
    whole = [[patch.name for patch in fork.series]]
    if stamp:
        whole.append(stamp.get('series'))
    if now not in whole:
        raise ForkError(
            '%s: not all patches are applied, the last is %s. '
            '"tools/quilt.sh push -a" applies the rest, "tools/tree.sh '
            '--discard" makes the tree anew' % (
                fork.tree, now[-1] if now else 'none'))


def _refuse_files_for_links(fork):
    """Some editors put a new file where there was a link to ours."""
    for path in fork.overlay:
        file = fork.tree / path
        if file.is_file() and not file.is_symlink():
            if file.read_bytes() == (fork.root / path).read_bytes():
                continue
            raise ForkError(
                '%s is no link to %s any more, and not the same. Move it '
                'there if it has your edits, else remove it; then make the '
                'tree again' % (file, path))


def _state(fork):
    """A digest of all that a tree is made of, the overlay's content apart."""
    digest = hashlib.sha256(fork.upstream.pinned.sha256.encode())
    for patch in fork.series:
        digest.update(b'\0%s\0%s' % (patch.name.encode(),
                                     patch.text.encode()))
    return digest.hexdigest()


def _stamp(tree):
    try:
        return json.loads((tree / _STAMP).read_text())
    except (FileNotFoundError, ValueError):
        return None


def _refresh_links(fork):
    """Follow new and vanished files of the overlay, and a new release."""
    ours = set(fork.overlay)
    before = set()
    for folder, _, files in itertools.chain.from_iterable(
            os.walk(fork.tree / top) for top in fork_module.OVERLAY):
        for name in files:
            path = pathlib.Path(folder) / name
            relative = str(path.relative_to(fork.tree))
            if path.is_symlink():
                before.add(relative)
            if path.is_symlink() and relative not in ours:
                path.unlink()
            elif relative in ours and not path.is_symlink():
                # The same as ours: see _refuse_files_for_links.
                path.unlink()
    add_overlay(fork, fork.tree, link=True)
    write_release_file(fork, fork.tree)
    if before != ours:
        # Not else: tests may be running on it.
        write_metadata(fork.tree, fork.upstream.pinned.version)


def _unsaved(tree, wanted, stamp):
    """Files of `tree` that are neither as wanted nor as we put them there.

    :param wanted: what :func:`contents` says of the tree to be
    """
    put = stamp['contents'] if stamp else {}
    return sorted(
        path for path, digest in contents(tree).items()
        if digest not in (wanted.get(path), put.get(path))
        and not (tree / path).is_symlink()
        and path != fork_module.RELEASE_FILE)
