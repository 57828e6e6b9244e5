"""The queue as git commits (``build/branch``), and back.

``export`` makes a branch: upstream's release as one commit, then for each
feature its new files as one commit and each of its seams as one. ``import`` is
the inverse, and changes no byte that was not edited in between: beside the
branch, the repository holds the queue as it was exported (refs/queue/...), so
that a patch whose commit is as it was keeps its text, whatever its form.

Nothing is lost: import refuses when the queue has changed since the export,
export when the branch has work that was not imported, and import writes all
of its files or none.
"""

import argparse
import dataclasses
import datetime
import hashlib
import os
import pathlib
import re
import shutil
import sys
import tempfile
import textwrap

import tomlkit

from patchqueue import features as features_module
from patchqueue import fork as fork_module
from patchqueue import patches as patches_module
from patchqueue import series
from patchqueue import upstream
from patchqueue.errors import ForkError
from patchqueue.fork import Fork
from patchqueue.git import Repository
from patchqueue.git import split_who
from patchqueue.git import Stream
from patchqueue.run import progress
from patchqueue.run import require
from patchqueue.run import run
from patchqueue.run import words

# The line of a commit's message that makes it a seam.
TRAILER = 'Queue-Patch'

_NAMED = re.compile(r'(?m)^%s:[ \t]*(.*?)[ \t]*\n?$' % TRAILER)
_FEATURE = re.compile(r'(?m)^Feature:[ \t]*(\S+)[ \t]*$')
_PATCH_NAME = re.compile(r'[A-Za-z0-9][A-Za-z0-9_.+-]*\.patch')

_PLAIN, _PROGRAM = '100644', '100755'


# --- the queue as commits ---------------------------------------------------

def branch_of(fork):
    """The name of the branch, from the release's tag: mycompany/2024.1"""
    return fork.release.tag.rpartition('.')[0].replace('-', '/', 1)


def base_of(version):
    """The tag of the commit that is upstream's release."""
    return 'upstream/%s' % version


def message_of(patch):
    """The message of a seam's commit: subject, DEP-3 header, trailer."""
    stem = patch.name.rpartition('.')[0]
    parts = ['%s: %s' % (stem, patch.summary) if patch.summary else stem,
             patch.header_text.strip('\n'), '%s: %s' % (TRAILER, patch.name)]
    return '\n\n'.join(part for part in parts if part) + '\n'


def add_upstream(fork, stream, release, parent=None):
    """Add upstream's `release` to `stream` as one commit; return its mark."""
    who = fork.release.maintainer
    mark = stream.commit(
        'refs/tags/' + base_of(release.version),
        '%s\n\nThe release as it is on the package index.\n\nSha256: %s\n' % (
            release, release.sha256),
        author=who, committer=who, seconds=fork.release.epoch_seconds,
        files=[(path, _PROGRAM if mode & 0o100 else _PLAIN, data)
               for path, mode, data in upstream.members(release)],
        parent=parent, anew=True)
    return mark


def write(fork, repository):
    """Write upstream and the queue into `repository`, as its branch.

    The same queue gives the same commits: authors and dates are its own.
    """
    branch, who = branch_of(fork), fork.release.maintainer
    when = fork.release.epoch_seconds
    stream = Stream()
    base = add_upstream(fork, stream, fork.upstream.pinned)
    parent = base
    ref = 'refs/heads/' + branch
    for step in _steps(fork):
        if isinstance(step.of, patches_module.Patch):
            message, author = message_of(step.of), step.of.header.get('Author')
            seconds = _day(step.of.header.get('Last-Update')) or when
        else:
            message = '%s: new files\n\n%s\n\nFeature: %s\n' % (
                step.of.name, step.of.title, step.of.name)
            author, seconds = who, when
        parent = stream.commit(
            ref, message, author=author if split_who(author) else who,
            committer=who, seconds=seconds, files=step.files, parent=parent)
    stream.reset(ref, parent)
    stream.reset(exported_ref(branch), parent)
    _add_queue(fork, stream)
    stream.write(repository)


def exported_ref(branch):
    """The ref of what was exported or imported last."""
    return 'refs/exported/' + branch


def _queue(branch):
    """The ref of the queue's own files as they were then."""
    return 'refs/queue/' + branch


def _add_queue(fork, stream):
    who = fork.release.maintainer
    stream.commit(
        _queue(branch_of(fork)), 'The queue of %s\n' % fork.upstream.pinned,
        author=who, committer=who, seconds=fork.release.epoch_seconds,
        files=[(path, _PLAIN, data) for path, data in queue_files(
            fork).items()], anew=True)


def queue_files(fork):
    """{path: bytes} of all that an import may change."""
    found = {path: (fork.root / path).read_bytes() for path in fork.overlay}
    for name in ['series'] + [patch.name for patch in fork.series]:
        found['patches/' + name] = (fork.patches_dir / name).read_bytes()
    found['features.toml'] = (fork.root / 'features.toml').read_bytes()
    return found


@dataclasses.dataclass(frozen=True)
class _Step:
    """A commit to be: `of` is the feature or the patch it is."""

    of: object
    files: list


def _steps(fork):
    _check_order(fork.features, fork.series)
    _check_files(fork)
    edited = {path for patch in fork.series for path in patch.paths}
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        have = upstream.unpack(fork.upstream.pinned, folder, only=edited)
        theirs = upstream.paths(fork.upstream.pinned)
        for path in [*fork.overlay, fork_module.RELEASE_FILE]:
            if path in theirs:
                raise ForkError(
                    '%s: %s has a file at that place. Give ours another '
                    'name, or make the edit a patch' % (
                        path, fork.upstream.pinned))
        for feature in fork.features:
            new = [(path, _PLAIN, (fork.root / path).read_bytes())
                   for path in sorted(fork.files_of(feature))]
            if feature.name == series.VERSION_FEATURE:
                new.append((fork_module.RELEASE_FILE, _PLAIN,
                            fork.release.release_file.encode()))
            if new:
                yield _Step(feature, new)
            for patch in fork.patches_of(feature):
                yield _Step(patch, _apply(fork, patch, folder, have))


def _apply(fork, patch, folder, have):
    """Apply `patch` in `folder`, and return the files it edits."""
    strange = sorted(set(patch.paths) - have)
    if strange:
        raise ForkError(
            '%s: it edits %s, which %s does not have. New files belong '
            'below %s, as files' % (patch.name, strange[0],
                                    fork.upstream.pinned,
                                    ' or '.join(fork_module.OVERLAY)))
    done = run([require('patch'), '-p1', '--fuzz=0', '--batch',
                '--no-backup-if-mismatch'], cwd=folder, check=False,
               input=patch.diff_text, env={'LC_ALL': 'C.UTF-8'})
    if done.returncode != 0:
        raise ForkError('%s does not apply to %s after the patches before '
                        'it:\n%s' % (patch.name, fork.upstream.pinned,
                                     words(done).strip()))
    made = []
    for path in sorted(set(patch.paths)):
        if not (folder / path).exists():
            raise ForkError('%s: it deletes %s; no patch may' % (
                patch.name, path))
        mode = os.stat(folder / path).st_mode
        made.append((path, _PROGRAM if mode & 0o100 else _PLAIN,
                     (folder / path).read_bytes()))
    return made


def _check_files(fork):
    owned = {path for feature in fork.features
             for path in fork.files_of(feature)}
    for path in fork.overlay:
        if path not in owned:
            raise ForkError('features.toml: no feature lists %s' % path)
    for path in sorted(owned):
        if path not in fork.overlay:
            raise ForkError('features.toml lists %s, which does not exist'
                            % path)


def _check_order(features, patches):
    """Each patch is in a feature, and the series is feature by feature."""
    place = {name: (at, feature.name) for at, feature in enumerate(features)
             for name in feature.patches}
    before = None
    for patch in patches:
        if patch.name not in place:
            raise ForkError('features.toml: no feature lists %s'
                            % patch.name)
        if before and place[before] > place[patch.name]:
            raise ForkError(
                '%s of %s comes after %s of %s: the series must go feature '
                'by feature, in the order of features.toml' % (
                    patch.name, place[patch.name][1],
                    before, place[before][1]))
        before = patch.name
    for feature in features:
        for name in feature.patches:
            if name not in (patch.name for patch in patches):
                raise ForkError('features.toml: %s lists %s, which '
                                'patches/series does not' % (
                                    feature.name, name))


def _day(text):
    try:
        day = datetime.date.fromisoformat((text or '').strip())
    except ValueError:
        return None
    return int(datetime.datetime(day.year, day.month, day.day,
                                 tzinfo=datetime.timezone.utc).timestamp())


# --- commits as a queue -----------------------------------------------------

@dataclasses.dataclass(frozen=True)
class Seam:
    """A commit that edits upstream's files: a patch to be.

    `edits` is {path: (sha before, sha after)}; `header` the DEP-3 header as
    the message has it, which git may have tidied.
    """

    name: str
    header: str
    commit: object
    edits: dict

    @property
    def feature(self):
        return patches_module.Patch(self.name, self.header + '\n\n').feature


@dataclasses.dataclass(frozen=True)
class Commits:
    """What a branch holds: its seams, and its new files.

    `new` is {path: sha}; `origin` says for each which commit has it first.
    """

    seams: tuple
    new: dict
    origin: dict

    def seam(self, name):
        return next((s for s in self.seams if s.name == name), None)


def read(repository, base, tip, exported):
    """The :class:`Commits` from `base` to `tip`.

    :param exported: the commit whose generated release file `tip` must have
    :raises ForkError: with all that cannot be part of a queue
    """
    if not repository.has_ancestor(base, tip):
        raise ForkError('%s: %s does not stand on %s any more. Rebase it '
                        'onto %s first' % (repository.folder, tip, base, base))
    theirs, at_tip = repository.tree(base), repository.tree(tip)
    seams, origin, wrong = [], {}, []
    for commit in repository.commits(base, tip):
        edits = {}
        for change in commit.changes:
            path = change.path
            if path in theirs:
                if change.status != 'M' or change.old_mode != change.new_mode:
                    wrong.append(
                        '%s: it %s %s of upstream; a seam only edits what is '
                        'in a file' % (commit, _verb(change), path))
                edits[path] = change.old, change.new
            elif path == fork_module.RELEASE_FILE:
                pass
            elif not fork_module.in_overlay(path):
                if path in at_tip and path not in origin:
                    wrong.append('%s: it adds %s; new files belong below '
                                 '%s' % (commit, path, ' or '.join(
                                     fork_module.OVERLAY)))
                    origin[path] = commit
            elif path not in origin or not _FEATURE.search(
                    origin[path].message):
                origin[path] = commit
        names = names_in(commit.message)
        if edits and not names:
            wrong.append(_nameless(commit, edits))
        elif names and not edits:
            wrong.append(
                '%s: it is to be %s but edits no file of upstream. Drop the '
                'commit, or take the line "%s:" out of its message' % (
                    commit, names[0], TRAILER))
        elif len(set(names)) > 1:
            wrong.append('%s: it names %s; keep one' % (
                commit, ' and '.join(names)))
        elif names and not _PATCH_NAME.fullmatch(names[0]):
            wrong.append('%s: %r is no name for a patch; expected is one '
                         'like compute-post-create-hook.patch' % (
                             commit, names[0]))
        elif names and names[0] in (seam.name for seam in seams):
            wrong.append(
                '%s: there is another commit for %s. Make them one: '
                'git rebase -i --autosquash %s' % (commit, names[0], base))
        elif names:
            seams.append(Seam(names[0], _header_in(commit.message), commit,
                              edits))
    new = {path: sha for path, (_, sha) in at_tip.items()
           if path not in theirs and path != fork_module.RELEASE_FILE}
    for path in sorted(new):
        if at_tip[path][0] != _PLAIN:
            wrong.append('%s: it must be a plain file of mode 644, not %s'
                         % (path, at_tip[path][0]))
    if at_tip.get(fork_module.RELEASE_FILE) != repository.tree(
            exported).get(fork_module.RELEASE_FILE):
        wrong.append(
            '%s is edited, but it is made from CHANGES.mycompany. Edit that, '
            'and take the edit of this file back: git checkout %s -- %s' % (
                fork_module.RELEASE_FILE, repository.id(exported)[:10],
                fork_module.RELEASE_FILE))
    if wrong:
        raise ForkError('%s: these commits cannot become a queue:\n%s' % (
            repository.folder, '\n'.join(
                textwrap.indent(line, '    ') for line in wrong)))
    return Commits(tuple(seams), new, origin)


def names_in(message):
    """The patches that a commit's message names."""
    return _NAMED.findall(message)


def _verb(change):
    if change.status == 'M':
        return 'changes the mode (%s to %s) of' % (
            change.old_mode, change.new_mode)
    return {'A': 'creates', 'D': 'deletes'}.get(
        change.status, 'changes the kind of')


def _nameless(commit, edits):
    text = '%s: it edits %s but names no patch. ' % (
        commit, ', '.join(sorted(edits)))
    if re.match(r'(fixup|squash|amend)! ', commit.subject):
        return text + ('Put it into its target: git rebase -i --autosquash '
                       'upstream/VERSION')
    return text + (
        'If it belongs to a seam, squash it into that commit; if it is one, '
        'amend its message with the header of the patch ("Description:", '
        '"Author:", "Origin:", "Forwarded:", "Last-Update:", "Feature:", '
        '"Test:") and a last line "%s: NAME.patch"' % TRAILER)


def _header_in(message):
    """The DEP-3 header that a seam's commit carries below its subject."""
    body = message.partition('\n\n')[2]
    return _NAMED.sub('', body).strip('\n')


def _tidy(header):
    """`header` as git leaves a message that went through an editor."""
    lines = [line.rstrip() for line in header.splitlines()
             if not line.startswith('#')]
    return re.sub(r'\n{3,}', '\n\n', '\n'.join(lines)).strip('\n')


class Texts:
    """The patch of each seam as text, from what it was and what it is.

    :param repository: has the blobs of both
    :param before: the :class:`Commits` that `patches` were exported as
    :param patches: {name: Patch}
    """

    def __init__(self, repository, before, patches):
        self._repository = repository
        self._before = before
        self._patches = patches

    def of(self, seam, exactly=False):
        """The text of the seam's patch.

        :param exactly: a text that is kept must apply without offset too
        """
        old, was = self._patches.get(seam.name), self._before.seam(seam.name)
        if not old or not was:
            return self._header(seam, old) + self.diff(seam.edits)
        if not (was.edits == seam.edits and not exactly):
            fresh = self.diff(seam.edits)
            if not (old.diff_text == fresh or (
                    self.diff(was.edits) == fresh
                    and self._applies(old.diff_text, seam.edits))):
                return self._header(seam, old) + fresh
        return self._header(seam, old) + old.diff_text

    def _header(self, seam, old):
        if old and _tidy(old.header_text) == _tidy(seam.header):
            return old.header_text
        return seam.header + '\n\n'

    def diff(self, edits):
        """The diff of `edits` in the form of `quilt refresh`."""
        with tempfile.TemporaryDirectory() as scratch:
            sides = self._sides(edits, pathlib.Path(scratch))
            return series.diff(*sides, edits)

    def _applies(self, text, edits):
        with tempfile.TemporaryDirectory() as scratch:
            old, new = self._sides(edits, pathlib.Path(scratch))
            done = run([require('patch'), '-p1', '--fuzz=0', '--batch',
                        '--no-backup-if-mismatch'], cwd=old, check=False,
                       input=text, env={'LC_ALL': 'C.UTF-8'})
            return (done.returncode == 0
                    and not patches_module.OFFSET.search(done.stdout)
                    and all((old / path).exists()
                            and (old / path).read_bytes()
                            == (new / path).read_bytes() for path in edits))

    def _sides(self, edits, scratch):
        blobs = self._repository.blobs(
            sha for pair in edits.values() for sha in pair)
        sides = scratch / 'old', scratch / 'new'
        for path, pair in edits.items():
            for side, sha in zip(sides, pair):
                (side / path).parent.mkdir(parents=True, exist_ok=True)
                (side / path).write_bytes(blobs[sha])
        return sides


def changes(fork, repository, commits, texts):
    """What the queue must change to be what `commits` are.

    :param texts: {name: text} of the patches, in the order of the series
    :returns: {path: bytes, or None for a file to delete}
    """
    have = queue_files(fork)
    blobs = repository.blobs(commits.new.values())
    want = {path: blobs[sha] for path, sha in commits.new.items()}
    want.update(('patches/' + name, text.encode('utf-8'))
                for name, text in texts.items())
    want['patches/series'] = _series_with(fork, list(texts))
    want['features.toml'] = _features_with(fork, commits, texts)
    made = {path: data for path, data in want.items()
            if have.get(path) != data}
    made.update((path, None) for path in have.keys() - want.keys())
    return dict(sorted(made.items()))


def _series_with(fork, names):
    path = fork.patches_dir / 'series'
    if names == patches_module.series_names(fork.patches_dir):
        return path.read_bytes()
    with tempfile.TemporaryDirectory() as scratch:
        copy = pathlib.Path(scratch) / 'series'
        shutil.copyfile(path, copy)
        patches_module.write_series(copy, names)
        return copy.read_bytes()


def _features_with(fork, commits, texts):
    """The text of features.toml, with what is new and without what is gone."""
    made = [patches_module.Patch(name, text) for name, text in texts.items()]
    known = [feature.name for feature in fork.features]
    wrong = []
    for patch in made:
        if patch.feature not in known:
            wrong.append('%s: its header needs a line "Feature: NAME", '
                         'found %r' % (patch.name, patch.feature))
    listed = {path for feature in fork.features
              for path in fork.files_of(feature)}
    added = {}
    for path in sorted(commits.new.keys() - listed):
        named = set(_FEATURE.findall(commits.origin[path].message))
        if len(named) != 1 or not named <= set(known):
            wrong.append('%s: the message of %s needs one line "Feature: '
                         'NAME" for the new file, found %s' % (
                             path, commits.origin[path],
                             ', '.join(sorted(named)) or 'none'))
        for name in named:
            added.setdefault(name, []).append(path)
    if wrong:
        raise ForkError('%s\nNAME must be one of features.toml: %s' % (
            '\n'.join(wrong), ', '.join(known)))
    was = patches_module.series_names(fork.patches_dir)
    document = tomlkit.parse((fork.root / 'features.toml').read_text())
    edited = False
    for feature, table in zip(fork.features, document['feature']):
        new = added.get(feature.name, [])
        tests = [p for p in new if p.startswith('nova/tests/')]
        lists = {
            'files': _merged(feature.files, commits.new,
                             [p for p in new if p not in tests]),
            'patches': _in_series(
                feature.patches, was,
                [p.name for p in made if p.feature == feature.name]),
            'tests': _merged(feature.tests, commits.new, tests),
        }
        for key, items in lists.items():
            if items != list(getattr(feature, key)):
                _set_list(table, key, items)
                edited = True
    if not edited:
        return (fork.root / 'features.toml').read_bytes()
    text = tomlkit.dumps(document)
    with tempfile.TemporaryDirectory() as scratch:
        path = pathlib.Path(scratch) / 'features.toml'
        path.write_text(text)
        _check_order(features_module.load(path), made)
    return text.encode('utf-8')


def _merged(listed, present, new):
    """`listed` without what is gone, and with `new`; sorted if it was."""
    kept = [path for path in listed
            if path in present or not fork_module.in_overlay(path)]
    return sorted(kept + new) if kept == sorted(kept) else kept + sorted(new)


def _in_series(listed, was, names):
    """The patches of a feature: in the series' order, if they were in it."""
    if list(listed) == [name for name in was if name in listed]:
        return names
    return ([name for name in listed if name in names]
            + [name for name in names if name not in listed])


def _set_list(table, key, items):
    """Make the list `key` hold `items`; what stays keeps its comments."""
    if not table.get(key):
        fresh = tomlkit.parse('x = [\n%s]\n' % ''.join(
            '    %s,\n' % tomlkit.string(item).as_string()
            for item in items))['x']
        if key in table:
            table[key] = fresh
        else:
            # Behind the last key, not behind the empty line below it.
            after = next(k for k in reversed(list(table)))
            table.value._insert_after(after, key, fresh)
        return
    array = table[key]
    for at in reversed(range(len(array))):
        if array[at] not in items:
            del array[at]
    for item in items:
        if item not in array:
            array.append(item)
    for at, item in enumerate(items):
        if array[at] != item:
            array[at] = item


def apply(root, changed):
    """Write `changed` (see :func:`changes`) below `root`: all of it or none.

    :raises ForkError: a file cannot be written; then none has changed
    """
    root = pathlib.Path(root)
    staged, before = {}, {}
    try:
        for path, data in changed.items():
            target = root / path
            before[path] = target.read_bytes() if target.exists() else None
            if data is not None:
                target.parent.mkdir(parents=True, exist_ok=True)
                beside = target.with_name('.%s.new' % target.name)
                staged[path] = beside
                beside.write_bytes(data)
                if target.exists():
                    shutil.copymode(target, beside)
        done = []
        try:
            for path, data in changed.items():
                done.append(path)
                if data is None:
                    (root / path).unlink()
                else:
                    os.replace(staged[path], root / path)
        except OSError:
            for path in done:
                if before[path] is None:
                    (root / path).unlink(missing_ok=True)
                else:
                    (root / path).write_bytes(before[path])
            raise
    except OSError as error:
        raise ForkError('nothing was changed: cannot write: %s' % error)
    finally:
        for beside in staged.values():
            beside.unlink(missing_ok=True)
    for path, data in changed.items():
        if data is None:
            _remove_empty((root / path).parent, root)


def _remove_empty(folder, root):
    while folder != root and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent


# --- the commands -----------------------------------------------------------

def export(fork, folder):
    """Make or bring up to date the branch in the repository `folder`.

    :returns: the name of the branch
    :raises ForkError: it holds work that was not imported
    """
    repository, branch = Repository(folder), branch_of(fork)
    fork.series, fork.features  # What is wrong with them comes first.
    if repository.exists:
        _refuse_to_lose(repository, branch)
    elif repository.folder.exists() and any(repository.folder.iterdir()):
        raise ForkError('%s is there, and is no branch of ours. Name another '
                        'folder' % repository.folder)
    progress('%s and %d patches as commits in %s' % (
        fork.upstream.pinned, len(fork.series), repository.folder))
    there = repository.exists
    try:
        repository.create(branch, fork.release.maintainer)
        if repository.id('HEAD'):
            repository.git('checkout', '--quiet', '--detach')
        write(fork, repository)
    except ForkError:
        if not there:
            shutil.rmtree(repository.folder / '.git', ignore_errors=True)
            _remove_empty(repository.folder, repository.folder.parent)
        elif repository.id(branch):
            repository.git('checkout', '--quiet', branch)
        raise
    repository.git('checkout', '--quiet', '--force', branch)
    return branch


def _refuse_to_lose(repository, branch):
    kept, tip = repository.id(exported_ref(branch)), repository.id(branch)
    if not repository.ours:
        raise ForkError('%s is a repository, but none of ours. Name another '
                        'folder' % repository.folder)
    _refuse_unfinished(repository)
    if tip and tip != kept:
        raise ForkError(
            '%s: %s holds work that is not imported: %s. Import it '
            '(tools/branch.sh import), or give the branch another name' % (
                repository.folder, branch,
                repository.out('log', '-1', '--format=%h (%s)', tip)))
    head = repository.id('HEAD')
    if head and not repository.out('for-each-ref', '--contains', head,
                                   'refs/heads', exported_ref(branch)):
        raise ForkError(
            '%s: no branch is checked out, and no branch has what is: %s. '
            'Keep it (git branch NAME) or leave it (git checkout %s)' % (
                repository.folder,
                repository.out('log', '-1', '--format=%h (%s)', head),
                branch))


def _refuse_unfinished(repository):
    if repository.rebasing:
        raise ForkError('%s: a rebase is in progress. End it first: git '
                        'rebase --continue, or --abort' % repository.folder)
    edits = repository.uncommitted()
    if edits:
        raise ForkError('%s: there are edits that are not committed:\n%s' % (
            repository.folder, '\n'.join('    ' + line for line in edits)))


def import_(fork, folder, force=False):
    """Take the branch's commits back into nova/, patches/ and features.toml.

    :param force: even when these have changed since the export; what has
        changed in them is overwritten
    :returns: {path: bytes or None}: what was changed
    :raises ForkError: something cannot be taken; then nothing was changed
    """
    repository, branch = Repository(folder), branch_of(fork)
    if not repository.exists or not repository.id(branch):
        raise ForkError('%s: there is no branch %s; make it with '
                        'tools/branch.sh export' % (
                            repository.folder, branch))
    _refuse_unfinished(repository)
    head = repository.git('symbolic-ref', '--quiet', '--short', 'HEAD',
                          check=False).stdout.strip()
    if head != branch:
        raise ForkError('%s: %s is checked out, not %s' % (
            repository.folder, head or 'no branch', branch))
    base = base_of(fork.upstream.pinned.version)
    if not repository.id(base):
        raise ForkError('%s: it was exported from another release than the '
                        'pinned one, %s' % (
                            repository.folder, fork.upstream.pinned))
    since = changed_since(fork, repository, branch)
    if since and not force:
        raise ForkError(
            'changed since the export, and would be overwritten:\n%s\nTake '
            'that into the branch as well, or import with --force' %
            '\n'.join('    ' + path for path in since))
    progress('reading %s in %s' % (branch, repository.folder))
    made = _imported(fork, repository, base, branch)
    apply(fork.root, made)
    # From here on, the branch holds nothing that is not imported.
    stream = Stream()
    _add_queue(Fork(fork.root), stream)
    stream.write(repository)
    repository.git('update-ref', exported_ref(branch), branch)
    return made


def changed_since(fork, repository, branch):
    """Files of nova/ and patches/ that are not what they were."""
    was = {path: sha for path, (_, sha) in repository.tree(
        _queue(branch)).items()}
    now = {path: _sha(data) for path, data in queue_files(fork).items()}
    return sorted(path for path in was.keys() | now.keys()
                  if was.get(path) != now.get(path)
                  # Edited here by entries only: what changed in it stays.
                  and path != 'features.toml')


def _sha(data):
    return hashlib.sha1(b'blob %d\0%s' % (len(data), data),
                        usedforsecurity=False).hexdigest()


def _imported(fork, repository, base, branch):
    was = exported_ref(branch)
    before = read(repository, base, was, was)
    now = (before if repository.id(was) == repository.id(branch)
           else read(repository, base, branch, was))
    patches = exported_patches(repository, branch)
    for seam in now.seams:
        old = patches.get(seam.name)
        if old and _tidy(old.header_text) == _tidy(seam.header) and (
                seam.commit.subject not in (
                    message_of(old).partition('\n')[0],
                    before.seam(seam.name).commit.subject)):
            progress('%s: the subject of its commit is not kept, its '
                     'Description is: %s' % (seam.name, seam.commit))
    texts = Texts(repository, before, patches)
    return changes(fork, repository, now,
                   {seam.name: texts.of(seam) for seam in now.seams})


def exported_patches(repository, branch):
    """{name: Patch} as they were at the export."""
    found = {pathlib.PurePath(path).name: sha for path, (_, sha)
             in repository.tree(_queue(branch)).items()
             if path.startswith('patches/') and path.endswith('.patch')}
    blobs = repository.blobs(found.values())
    return {name: patches_module.Patch(name, blobs[sha].decode('utf-8'))
            for name, sha in found.items()}


def round_trip(fork):
    """Export the queue and import it again, elsewhere.

    :returns: the paths that come back different, sorted; [] when the two
        commands are inverse on this queue, as they must be
    """
    with tempfile.TemporaryDirectory() as scratch:
        repository = Repository(pathlib.Path(scratch) / 'branch')
        repository.create(branch_of(fork), fork.release.maintainer)
        write(fork, repository)
        copy = pathlib.Path(scratch) / 'copy'
        for path, data in queue_files(fork).items():
            (copy / path).parent.mkdir(parents=True, exist_ok=True)
            (copy / path).write_bytes(data)
        for name in ('upstream.toml', 'CHANGES.mycompany'):
            shutil.copyfile(fork.root / name, copy / name)
        base = base_of(fork.upstream.pinned.version)
        apply(copy, _imported(Fork(copy), repository, base, branch_of(fork)))
        was, now = queue_files(fork), queue_files(Fork(copy))
        return sorted(path for path in was.keys() | now.keys()
                      if was.get(path) != now.get(path))


def _parser():
    top = argparse.ArgumentParser(
        prog='tools/branch.sh', description=__doc__.partition('\n')[0])
    commands = top.add_subparsers(dest='command', metavar='export|import',
                                  required=True)
    for name, text in (('export', 'make the branch from the queue'),
                       ('import', 'take the branch back into the queue')):
        sub = commands.add_parser(name, help=text, description=text)
        sub.add_argument('folder', nargs='?',
                         help='the repository; build/branch unless told')
    sub.add_argument('--force', action='store_true',
                     help='even when the queue has changed since the export')
    return top


def _export_command(fork, folder):
    branch = export(fork, folder)
    print('%s: branch %s, %d patches on %s' % (
        folder, branch, len(fork.series),
        base_of(fork.upstream.pinned.version)))


def _import_command(fork, folder, force):
    made = import_(fork, folder, force)
    for path, data in made.items():
        print('%s %s' % ('deleted' if data is None else 'wrote  ', path))
    if not made:
        print('the queue is what the branch is: nothing to change')


def main(argv=None):
    args = _parser().parse_args(argv)
    try:
        fork = Fork()
        folder = pathlib.Path(args.folder or fork.build / 'branch')
        if args.command == 'export':
            _export_command(fork, folder)
        else:
            _import_command(fork, folder, args.force)
    except ForkError as error:
        print('error: %s' % error, file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
