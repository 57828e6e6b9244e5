"""The queue carried to another release of upstream, by git.

In the scratch repository ``build/rebase``, the old release, the queue on it
and the new release are commits, and ``git rebase`` carries the queue with
three-way merges. A conflict is resolved there, once: rerere replays it at the
next attempt. The fork's own files are written at the very end, all or none,
so that there is always a way back.

A report, ``report.md`` and ``report.json`` beside the files, says for each
patch what became of it, and for a conflict what upstream changed there.
"""

import argparse
import dataclasses
import json
import pathlib
import re
import shutil
import sys
import tempfile

from patchqueue import fork as fork_module
from patchqueue import history
from patchqueue import patches
from patchqueue import upstream
from patchqueue.errors import ForkError
from patchqueue.fork import Fork
from patchqueue.git import Repository
from patchqueue.git import Stream
from patchqueue.run import progress
from patchqueue.run import words

# What must be committed before a rebase, since its end writes there.
WRITTEN = (*fork_module.OVERLAY, 'patches', 'features.toml', 'upstream.toml')

UNCHANGED, REFRESHED, CHANGED = 'unchanged', 'refreshed', 'changed'
MERGED, CONFLICTED, DROPPED = 'merged', 'conflicted', 'dropped'

_MEANING = {
    UNCHANGED: 'applies as it is',
    REFRESHED: 'only its line numbers or context changed',
    CHANGED: 'adds or takes away other lines than before, as when upstream '
             'has a part of it: look at it',
    MERGED: 'upstream has it: taken out of the queue',
    CONFLICTED: 'does not merge by itself',
    DROPPED: 'left out when its conflict was resolved',
}

PENDING = 'not tried yet'

_HUNK = re.compile(r'@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@ ?(.*)')
_MARKER = re.compile(rb'(?m)^(<{7}|>{7}) ')


# --- the report -------------------------------------------------------------

@dataclasses.dataclass
class Report:
    """What became of the queue on the way from one release to another.

    `patches` are dicts with name, feature, outcome, files and conflicts;
    `collisions` files of ours that the new release has too; `conflicts` those
    in new files, by feature; `error` why it could not be tried.
    """

    old: str
    new: str
    patches: list = dataclasses.field(default_factory=list)
    collisions: list = dataclasses.field(default_factory=list)
    conflicts: list = dataclasses.field(default_factory=list)
    error: str = ''

    @property
    def clean(self):
        return not (self.error or self.collisions or self.conflicts
                    or self.of(CONFLICTED))

    def of(self, outcome):
        return [p for p in self.patches if p['outcome'] == outcome]

    @property
    def as_dict(self):
        return dict(dataclasses.asdict(self), clean=self.clean)

    @property
    def as_markdown(self):
        lines = ['# nova %s to %s' % (self.old, self.new), '']
        if self.error:
            return '\n'.join(lines + [self.error, ''])
        lines += ['%d patches: %s.' % (len(self.patches), ', '.join(
            '%d %s' % (len(self.of(outcome)), outcome)
            for outcome in [*_MEANING, PENDING] if self.of(outcome))
            or 'none'), '']
        if self.patches:
            lines += ['| patch | feature | outcome | files |',
                      '|---|---|---|---|']
            lines += ['| %s | %s | %s | %s |' % (
                p['name'], p['feature'],
                p['outcome'] + (', resolved' if p['resolved'] else ''),
                ', '.join(p['files'])) for p in self.patches] + ['']
        lines += ['- **%s**: %s' % pair for pair in _MEANING.items()
                  if self.of(pair[0])] + ['']
        if self.collisions:
            lines += ['## Files of ours that upstream has now', '',
                      'They would hide upstream\'s. Give ours another name, '
                      'or drop it.', '']
            lines += ['- `%s`' % path for path in self.collisions] + ['']
        conflicts = [('%s (%s)' % (p['name'], p['feature']), p['conflicts'])
                     for p in self.patches if p['conflicts']]
        conflicts += [('New files of %s' % c['feature'], [c])
                      for c in self.conflicts]
        if conflicts:
            lines += ['## Conflicts', '']
        for title, parts in conflicts:
            lines += ['### %s' % title, '']
            for part in parts:
                lines += ['`%s`: %s' % (part['file'], part['reason'])]
                lines += ['(hunk `%s`)' % hunk.partition('\n')[0]
                          for hunk in part['hunks']] + ['']
                if part['upstream']:
                    lines += ['```diff'] + [
                        _shortened(hunk['text'])
                        for hunk in part['upstream']] + ['```', '']
        return re.sub(r'\n{3,}', '\n\n', '\n'.join(lines))


def _shortened(text, most=20):
    """A hunk for people; the whole of it is in report.json."""
    lines = text.splitlines()
    if len(lines) <= most:
        return text
    return '\n'.join(lines[:most] + ['... and %d more lines'
                                     % (len(lines) - most)])


class _Causes:
    """What upstream changed where a patch does not merge."""

    def __init__(self, repository, old, new, queue):
        self._repository = repository
        self._old, self._new = old, new
        self._old_tree = repository.tree(old)
        self._new_tree = repository.tree(new)
        self._queue = queue

    def of(self, name, path):
        """A dict of the file, the reason, the patch's hunks and upstream's."""
        seam = self._queue.seam(name)
        source = path
        if path not in self._old_tree:
            source = self._renamed().get(path, path)
        found = {'file': path, 'hunks': [], 'upstream': []}
        if path not in self._new_tree:
            return dict(found, reason='upstream has no such file any more')
        if not seam or source not in seam.edits:
            return dict(found, reason='upstream has that file too')
        before, after = seam.edits[source]
        base = self._old_tree[source][1]
        shift = self._hunks(base, before)
        edited = [(_to_base(start, shift), _to_base(start + count, shift),
                   text)
                  for start, count, _, _, _, text in self._hunks(
                      before, after, context=3)]
        # By their paths, so that git knows Python and names the function.
        for hunk in self._hunks('%s:%s' % (self._old, source),
                                '%s:%s' % (self._new, path)):
            start, count, _, _, function, _ = hunk
            hit = [text for first, last, text in edited
                   if start <= last and start + max(count, 1) > first]
            found['hunks'] += [
                text for text in hit if text not in found['hunks']]
            if hit:
                found['upstream'].append({
                    'old_start': hunk[0], 'old_lines': hunk[1],
                    'new_start': hunk[2], 'new_lines': hunk[3],
                    'function': function, 'text': hunk[5]})
        return dict(found, reason=(
            'upstream changed these lines' if found['upstream'] else
            'upstream changed nothing there: a patch before it in this file '
            'does not merge either'))

    def _hunks(self, old, new, context=0):
        """What differs between two blobs.

        :returns: (start, count, new start, new count, function, text) each
        """
        if old == new:
            return []
        made = []
        for line in self._repository.git(
                'diff', '--unified=%d' % context, '--no-color', old,
                new).stdout.splitlines():
            head = _HUNK.match(line)
            if head:
                a, b, c, d, function = head.groups()
                made.append([int(a), int(b or 1), int(c), int(d or 1),
                             function, line])
            elif made and line[:1] in '+- ':
                made[-1][5] += '\n' + line
        return [tuple(hunk) for hunk in made]

    def _renamed(self):
        """{new path: old path} of what upstream has renamed."""
        parts = self._repository.git(
            'diff', '--find-renames', '--diff-filter=R', '--name-status',
            '-z', self._old, self._new).stdout.split('\0')
        return dict(zip(parts[2::3], parts[1::3]))


def _to_base(line, hunks):
    """The line of the base file that is `line` after `hunks`."""
    moved = 0
    for start, count, new_start, new_count, _, _ in hunks:
        if new_start >= line:
            break
        moved = (start + count) - (new_start + new_count)
        if line < new_start + new_count:
            return start
    return line + moved


# --- carrying ---------------------------------------------------------------

class _Carrying:
    """A rebase in `repository`: begun, stopped, gone on, ended."""

    def __init__(self, fork, repository, release):
        self.fork = fork
        self.repository = repository
        self.release = release
        self.branch = history.branch_of(fork)
        self.base = history.base_of(fork.upstream.pinned.version)
        self.onto = history.base_of(release.version)

    def prepare(self):
        """Write the history that is to be rebased, and check it out."""
        repository = self.repository
        repository.create(self.branch, self.fork.release.maintainer)
        if repository.id('HEAD'):
            repository.git('checkout', '--quiet', '--force', '--detach')
        history.write(self.fork, repository)
        self.add_release()
        repository.git('checkout', '--quiet', '--force', self.branch)

    def add_release(self):
        stream = Stream()
        history.add_upstream(self.fork, stream, self.release,
                             parent=b'refs/tags/' + self.base.encode())
        stream.write(self.repository)

    def collisions(self):
        """Files of ours that the new release has too."""
        return sorted(upstream.paths(self.release) & {
            *self.fork.overlay, fork_module.RELEASE_FILE})

    def go(self, *command):
        """Run `git rebase` with `command`, and go on where rerere resolved.

        Yields the message of each commit that does not merge by itself. The
        last one may be left in conflict: see `repository.unmerged()`.
        """
        while True:
            before = self.repository.id('REBASE_HEAD')
            done = self.repository.git('rebase', *command, check=False)
            if not self.repository.rebasing:
                if done.returncode != 0:
                    raise ForkError('%s: git rebase failed:\n%s' % (
                        self.repository.folder, words(done).strip()))
                return
            now = self.repository.id('REBASE_HEAD')
            if not self.repository.unmerged() and (
                    now == before and command == ('--continue',)):
                raise ForkError('%s: git rebase --continue failed:\n%s' % (
                    self.repository.folder, words(done).strip()))
            yield self.stopped_at()
            if self.repository.unmerged():
                return
            command = ('--continue',)

    def stopped_at(self):
        """The message of the commit that does not merge by itself."""
        return self.repository.git('show', '--no-patch', '--format=%B',
                                   'REBASE_HEAD').stdout

    def queue(self):
        """The queue's commits as they were exported."""
        ref = history.exported_ref(self.branch)
        return history.read(self.repository, self.base, ref, ref)

    def carried(self):
        """The queue's commits on the new release."""
        return history.read(self.repository, self.onto, self.branch,
                            history.exported_ref(self.branch))

    def texts(self, queue, carried):
        """{name: text} of the patches for the new release."""
        texts = history.Texts(
            self.repository, queue,
            history.exported_patches(self.repository, self.branch))
        return {seam.name: texts.of(seam, exactly=True)
                for seam in carried.seams}

    def causes(self, queue):
        return _Causes(self.repository, self.base, self.onto, queue)


def _conflict(carrying, causes, message, paths, resolved):
    """A stop as a dict: patch or feature, and its conflicts."""
    names = history.names_in(message)
    feature = re.findall(r'(?m)^Feature:\s*(\S+)', message)
    return {'patch': names[0] if names else None,
            'feature': feature[0] if feature else '', 'resolved': resolved,
            'conflicts': [causes.of(names[0] if names else None, path)
                          for path in paths]}


def _report(carrying, queue, stops, texts, pending=()):
    """The report.

    :param stops: what :func:`_conflict` made
    :param texts: {name: text} of what is carried
    :param pending: names of the patches that were not tried yet
    """
    report = Report(carrying.fork.upstream.pinned.version,
                    carrying.release.version)
    stopped = {stop['patch']: stop for stop in stops}
    old = {patch.name: patch for patch in carrying.fork.series}
    for seam in queue.seams:
        stop = stopped.get(seam.name)
        if stop:
            outcome = (DROPPED if stop['resolved'] and seam.name not in texts
                       else CONFLICTED)
        elif seam.name in pending:
            outcome = PENDING
        elif seam.name not in texts:
            outcome = MERGED
        else:
            outcome = _how(old[seam.name].text, texts[seam.name])
        report.patches.append({
            'name': seam.name, 'feature': seam.feature, 'outcome': outcome,
            'files': sorted(seam.edits),
            'resolved': bool(stop and stop['resolved']),
            'conflicts': stop['conflicts'] if stop else []})
    report.conflicts = [
        dict(conflict, feature=stop['feature']) for stop in stops
        if not stop['patch'] for conflict in stop['conflicts']]
    return report


def _how(old, new):
    """What became of a patch that was carried."""
    if old == new:
        return UNCHANGED

    def edits(text):
        return [line for line in patches.Patch('', text).diff_text.splitlines()
                if re.match(r'[+-](?![+-]{2} )', line)]

    return REFRESHED if edits(old) == edits(new) else CHANGED


# --- one rebase, with stops -------------------------------------------------

class Rebase:
    """The rebase in build/rebase, and what it remembers between its steps."""

    def __init__(self, fork):
        self.fork = fork
        self.repository = Repository(fork.build / 'rebase')
        self._state_path = self.repository.folder / '.git/fork-rebase.json'

    @property
    def state(self):
        try:
            return json.loads(self._state_path.read_text())
        except (FileNotFoundError, NotADirectoryError):
            return None

    def _remember(self, state):
        fresh = self._state_path.with_suffix('.new')
        fresh.write_text(json.dumps(state, indent=1))
        fresh.replace(self._state_path)

    def _need_state(self):
        if not self.state:
            raise ForkError('no rebase is in progress')
        return self.state

    def _carrying(self, version):
        return _Carrying(self.fork, self.repository,
                         self.fork.upstream.get(version))

    def start(self, version):
        """Begin to carry the queue to `version`.

        :returns: the Report, and whether it has come to its end
        """
        if self.state:
            raise ForkError(
                'the rebase to %s is in progress: tools/rebase.sh --continue '
                'or --abort' % self.state['to'])
        carrying = self._carrying(version)
        _refuse_wheels(self.fork, carrying.release)
        _refuse_uncommitted(self.fork)
        collisions = carrying.collisions()
        if collisions:
            raise ForkError(
                '%s has files where ours are, and ours would hide them:\n%s\n'
                'Give ours another name, or drop it, first' % (
                    carrying.release,
                    '\n'.join('    ' + path for path in collisions)))
        progress('%s, the queue and %s as commits in %s' % (
            self.fork.upstream.pinned, carrying.release,
            self.repository.folder))
        self.repository.create(carrying.branch,
                               self.fork.release.maintainer)
        self._remember({'from': self.fork.upstream.pinned.version,
                        'to': version, 'stops': []})
        try:
            carrying.prepare()
        except ForkError:
            self._state_path.unlink()
            raise
        progress('rebasing %d patches' % len(self.fork.series))
        return self._go_on(carrying, '--merge', '--onto', carrying.onto,
                           carrying.base, carrying.branch)

    def resume(self):
        """Go on after a conflict was resolved; returns what `start` does."""
        carrying = self._carrying(self._need_state()['to'])
        if not self.repository.rebasing:
            return self._end(carrying)
        unmerged = self.repository.unmerged()
        if unmerged:
            raise ForkError(
                'not resolved yet in %s:\n%s\nEdit them and "git add" them '
                'there' % (self.repository.folder,
                           '\n'.join('    ' + path for path in unmerged)))
        self._refuse_markers()
        # git records by itself only what becomes a commit, not a seam that
        # was resolved to nothing.
        self.repository.git('rerere')
        return self._go_on(carrying, '--continue')

    def _refuse_markers(self):
        # In another file, what looks like them may be meant.
        in_conflict = self.repository.resolved()
        for path in self.repository.git(
                'diff', '--cached', '--name-only', '--diff-filter=d',
                '-z').stdout.split('\0'):
            if path in in_conflict and _MARKER.search(
                    self.repository.git('show', ':' + path,
                                        text=False).stdout):
                raise ForkError('%s: %s still has the marks of a conflict' % (
                    self.repository.folder, path))

    def _go_on(self, carrying, *command):
        queue = carrying.queue()
        causes = carrying.causes(queue)
        for message in carrying.go(*command):
            state, paths = self.state, self.repository.unmerged()
            state['stops'].append(_conflict(
                carrying, causes, message,
                paths or self._replayed(queue, message), resolved=not paths))
            self._remember(state)
            if not paths:
                progress('%s: resolved as the last time' %
                         message.partition('\n')[0])
        if self.repository.unmerged():
            return self._stop(carrying, queue)
        return self._end(carrying)

    def _replayed(self, queue, message):
        """The files of a commit whose resolution was recorded."""
        edited = self.repository.git('diff', '--cached', '--name-only',
                                     '-z').stdout.strip('\0')
        if edited:
            return edited.split('\0')
        # It was resolved to nothing: all that the seam edits.
        return [path for name in history.names_in(message)
                for path in queue.seam(name).edits]

    def _stop(self, carrying, queue):
        done = history.read(self.repository, carrying.onto, 'HEAD', 'HEAD')
        texts, stops = carrying.texts(queue, done), self.state['stops']
        at = stops[-1]['patch']
        order = [seam.name for seam in queue.seams]
        # Of a feature's new files, the next seam is the first untried one.
        reached = (order.index(at) if at in order else max(
            [order.index(name) + 1 for name in texts if name in order] + [0]))
        report = _report(carrying, queue, stops, texts,
                         pending=order[reached:])
        self._write(report)
        return report, False

    def _end(self, carrying):
        """Write the carried queue back into the fork's files."""
        repository, state = self.repository, self._need_state()
        if not repository.has_ancestor(carrying.onto, carrying.branch):
            raise ForkError('%s: the rebase was given up there with git: '
                            'tools/rebase.sh --abort' % repository.folder)
        if state['from'] != self.fork.upstream.pinned.version:
            raise ForkError(
                'upstream.toml: the pin was %s when the rebase began: '
                'tools/rebase.sh --abort, and start again' % state['from'])
        since = history.changed_since(self.fork, repository, carrying.branch)
        if since:
            raise ForkError(
                'changed since the rebase began:\n%s\nTake that back, or '
                'tools/rebase.sh --abort and start again' % '\n'.join(
                    '    ' + path for path in since))
        queue, carried = carrying.queue(), carrying.carried()
        texts = carrying.texts(queue, carried)
        for stop in state['stops']:
            stop['resolved'] = True
        report = _report(carrying, queue, state['stops'], texts)
        made = history.changes(self.fork, repository, carried, texts)
        with tempfile.TemporaryDirectory() as scratch:
            copy = pathlib.Path(scratch) / 'upstream.toml'
            shutil.copyfile(self.fork.root / 'upstream.toml', copy)
            upstream.pin(copy, state['to'])
            made['upstream.toml'] = copy.read_bytes()
        history.apply(self.fork.root, made)
        self._write(report)
        self._state_path.unlink()
        return report, True

    def _write(self, report):
        folder = self.repository.folder
        (folder / 'report.md').write_text(report.as_markdown)
        (folder / 'report.json').write_text(
            json.dumps(report.as_dict, indent=1) + '\n')

    def abort(self):
        """Give it up. The fork's files were not touched yet."""
        self._need_state()
        if self.repository.rebasing:
            self.repository.git('rebase', '--abort', check=False)
            # A rebase that was killed may not know what to go back to.
            for name in ('rebase-merge', 'rebase-apply'):
                shutil.rmtree(self.repository.folder / '.git' / name,
                              ignore_errors=True)
        for name in ('report.md', 'report.json'):
            (self.repository.folder / name).unlink(missing_ok=True)
        self._state_path.unlink()

    def status(self):
        """Where it stands, in words."""
        state = self.state
        if not state:
            return 'no rebase is in progress; the queue is on %s' % (
                self.fork.upstream.pinned)
        said = 'from %s to %s, in %s: ' % (state['from'], state['to'],
                                           self.repository.folder)
        if not self.repository.rebasing:
            return said + 'all is merged; tools/rebase.sh --continue ends it'
        subject = self.repository.out('show', '--no-patch', '--format=%s',
                                      'REBASE_HEAD')
        unmerged = self.repository.unmerged()
        return said + 'stopped at %s; %s' % (subject, (
            'not resolved yet:\n' + '\n'.join(
                '    ' + path for path in unmerged)
            if unmerged else 'all is resolved: tools/rebase.sh --continue'))


def _refuse_wheels(fork, release):
    for side in (fork.upstream.pinned, release):
        if side.artifact == 'wheel':
            raise ForkError(
                '%s: the index has only its wheel, without setup.cfg and the '
                'like: nothing can be rebased onto or from it' % side)


def _refuse_uncommitted(fork):
    try:
        edits = Repository(fork.root).uncommitted(*WRITTEN)
    except ForkError:
        raise ForkError('%s is no git repository: there would be no way back '
                        'from a rebase' % fork.root)
    if edits:
        raise ForkError('a rebase writes these, and they are not committed:\n'
                        '%s' % '\n'.join('    ' + line for line in edits))


# --- only a report ----------------------------------------------------------

def check(fork, versions):
    """Try to carry the queue to each of `versions`, and change nothing.

    A patch that does not merge is left out, and the next one tried.

    :returns: a list of Report
    """
    releases = [fork.upstream.get(version) for version in versions]
    pinned = fork.upstream.pinned
    reports = []
    for release in releases:
        try:
            _refuse_wheels(fork, release)
            progress('%d patches from %s to %s' % (
                len(fork.series), pinned, release))
            # Each in its own: what fails leaves nothing to the next.
            with tempfile.TemporaryDirectory() as scratch:
                reports.append(_checked(_Carrying(
                    fork, Repository(pathlib.Path(scratch) / 'rebase'),
                    release)))
        except ForkError as error:
            reports.append(Report(pinned.version, release.version,
                                  error=str(error)))
    return reports


def _checked(carrying):
    repository, stops = carrying.repository, []
    if carrying.release == carrying.fork.upstream.pinned:
        texts = {p.name: p.text for p in carrying.fork.series}
        repository.create(carrying.branch, carrying.fork.release.maintainer)
        history.write(carrying.fork, repository)
        return _report(carrying, carrying.queue(), [], texts)
    carrying.prepare()
    queue = carrying.queue()
    causes = carrying.causes(queue)
    command = ('--merge', '--onto', carrying.onto, carrying.base,
               carrying.branch)
    while command:
        for message in carrying.go(*command):
            stops.append(_conflict(carrying, causes, message,
                                   repository.unmerged(), resolved=False))
        command = ('--skip',) if repository.rebasing else ()
    carried = carrying.carried()
    report = _report(carrying, queue, stops, carrying.texts(queue, carried))
    report.collisions = carrying.collisions()
    return report


# --- the commands -----------------------------------------------------------

def _parser():
    top = argparse.ArgumentParser(
        prog='tools/rebase.sh', description=__doc__.partition('\n')[0])
    top.add_argument('version', nargs='*', help='a release of upstream.toml')
    what = top.add_mutually_exclusive_group()
    what.add_argument('--continue', dest='resume', action='store_true',
                      help='go on after a conflict was resolved')
    what.add_argument('--abort', action='store_true', help='give it up')
    what.add_argument('--status', action='store_true',
                      help='say where it stands')
    what.add_argument('--check', action='store_true',
                      help='only report, on as many versions as named')
    top.add_argument('--json', action='store_true',
                     help='the report of --check for machines')
    return top


def _check_command(fork, versions, as_json):
    reports = check(fork, versions)
    if as_json:
        print(json.dumps([report.as_dict for report in reports], indent=1))
    else:
        print('\n'.join(report.as_markdown for report in reports))
    return 0 if all(report.clean for report in reports) else 1


def _rebase_command(rebase, report, ended):
    folder = rebase.repository.folder
    print(report.as_markdown)
    if not ended:
        print('Stopped at a conflict. Resolve it in %s, "git add" the files '
              'there, then:\n    tools/rebase.sh --continue (or --abort)\n'
              '%s' % (folder, '\n'.join(
                  '    ' + path for path in rebase.repository.unmerged())))
        return 1
    print('The queue is on nova %s now. Next: write the entry of the next '
          'release in CHANGES.mycompany, as "(nova %s)", run the checks and '
          'tests, and commit.' % (report.new, report.new))
    return 0


def main(argv=None):
    parser = _parser()
    args = parser.parse_args(argv)
    alone = args.resume or args.abort or args.status
    if alone and args.version:
        parser.error('no VERSION goes with that option')
    if not alone and not args.version or (
            len(args.version) > 1 and not args.check):
        parser.error('name %s' % (
            'at least one VERSION' if args.check else 'one VERSION'))
    if args.json and not args.check:
        parser.error('--json goes with --check')
    try:
        fork = Fork()
        rebase = Rebase(fork)
        if args.check:
            return _check_command(fork, args.version, args.json)
        if args.status:
            print(rebase.status())
            return 0
        if args.abort:
            rebase.abort()
            print('given up; the queue is on %s as before' %
                  fork.upstream.pinned)
            return 0
        if args.resume:
            return _rebase_command(rebase, *rebase.resume())
        if args.version[0] == fork.upstream.pinned.version:
            print('the queue is on %s already: nothing to do' %
                  fork.upstream.pinned)
            return 0
        return _rebase_command(rebase, *rebase.start(args.version[0]))
    except ForkError as error:
        print('error: %s' % error, file=sys.stderr)
        return 1


if __name__ == '__main__':
    sys.exit(main())
