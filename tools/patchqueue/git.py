"""git, run so that nobody's configuration changes what comes out.

A repository of ours (``build/branch``, ``build/rebase``) is told all that
matters in its own configuration, so that the user's own ``git commit`` and
``git rebase`` in it are as safe as ours: no conversion of line ends, no
attributes of upstream's or the user's, no hooks, no signatures.
"""

import dataclasses
import pathlib
import re

from patchqueue.errors import ForkError
from patchqueue.run import require
from patchqueue.run import run
from patchqueue.run import words

# What points git to another repository; it is set when a hook runs us.
_POINTERS = (
    'GIT_DIR', 'GIT_WORK_TREE', 'GIT_INDEX_FILE', 'GIT_COMMON_DIR',
    'GIT_OBJECT_DIRECTORY', 'GIT_ALTERNATE_OBJECT_DIRECTORIES', 'GIT_PREFIX',
    'GIT_NAMESPACE', 'GIT_CONFIG', 'GIT_CONFIG_PARAMETERS', 'GIT_CONFIG_COUNT',
    'GIT_EXTERNAL_DIFF', 'GIT_DIFF_OPTS', 'GIT_ATTR_SOURCE',
    'GIT_TEMPLATE_DIR', 'GIT_AUTHOR_NAME', 'GIT_AUTHOR_EMAIL',
    'GIT_AUTHOR_DATE', 'GIT_COMMITTER_DATE')

_CONFIG = '''\
[commit]
    gpgSign = false
[core]
    attributesFile = /dev/null
    autocrlf = false
    eol = lf
    excludesFile = /dev/null
    fileMode = true
    fsmonitor = false
    hooksPath = /dev/null
    quotePath = false
[diff]
    noprefix = false
[gc]
    auto = 0
[merge]
    conflictStyle = diff3
    renames = true
[rebase]
    autoSquash = false
    autoStash = false
    rebaseMerges = false
    updateRefs = false
[rerere]
    autoUpdate = true
    enabled = true
[tag]
    gpgSign = false
'''

# It comes before every .gitattributes of upstream's tree.
_ATTRIBUTES = ('* -text -ident !eol !filter !diff !merge'
               ' !working-tree-encoding\n'
               # The name of a method, not of its class, above a hunk.
               '*.py diff=python\n')

# What running tests in the work tree leaves there.
_EXCLUDE = '__pycache__/\n*.pyc\n/.stestr/\n/report.md\n/report.json\n'

_WHO = re.compile(r'\s*([^<>\n]*[^<>\s])\s*<([^<>\s]+)>')


@dataclasses.dataclass(frozen=True)
class Change:
    """What a commit does to one file. A sha of zeros: there is none."""

    path: str
    status: str
    old_mode: str
    new_mode: str
    old: str
    new: str


@dataclasses.dataclass(frozen=True)
class Commit:
    """A commit and what it does to its parent's files."""

    id: str
    message: str
    changes: tuple

    @property
    def subject(self):
        return self.message.partition('\n')[0]

    def __str__(self):
        return '%s (%s)' % (self.id[:10], self.subject)


class Repository:
    """A git repository with a work tree in `folder`."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder).resolve()

    @property
    def exists(self):
        return (self.folder / '.git').is_dir()

    @property
    def ours(self):
        """Whether :meth:`create` has made it."""
        return (self.folder / '.git' / 'fork.config').is_file()

    @property
    def rebasing(self):
        """Whether a rebase has stopped in it."""
        return any((self.folder / '.git' / name).exists()
                   for name in ('rebase-merge', 'rebase-apply'))

    def git(self, *args, check=True, input=None, text=True, env=None):
        """Run git in it and return the CompletedProcess.

        :raises ForkError: it failed (with `check`), in git's words
        """
        unset = [word for name in _POINTERS for word in ('-u', name)]
        done = run(
            ['env', *unset, require('git'), '-c', 'safe.directory=*', *args],
            cwd=self.folder, input=input, text=text, check=False,
            env=dict({
                # A folder without a repository must not lead to the fork's
                # own, which is above it.
                'GIT_CEILING_DIRECTORIES': str(self.folder.parent),
                'GIT_CONFIG_GLOBAL': '/dev/null', 'GIT_CONFIG_NOSYSTEM': '1',
                'GIT_ATTR_NOSYSTEM': '1', 'GIT_TERMINAL_PROMPT': '0',
                'GIT_EDITOR': 'true', 'GIT_SEQUENCE_EDITOR': 'true',
                'LC_ALL': 'C.UTF-8'}, **(env or {})))
        if check and done.returncode != 0:
            raise ForkError('git %s failed with %d in %s:\n%s' % (
                ' '.join(map(str, args)), done.returncode, self.folder,
                words(done).strip()))
        return done

    def out(self, *args):
        """What git prints, stripped."""
        return self.git(*args).stdout.strip()

    def create(self, branch, who):
        """Make it, or bring its configuration up to date.

        :param who: "Name <address>", who commits in it unless told
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self.exists:
            self.git('init', '--quiet', '--template=',
                     '--initial-branch=%s' % branch)
            # In a file of its own: one git in place of one per line.
            self.git('config', 'include.path', 'fork.config')
        (self.folder / '.git' / 'fork.config').write_text(
            _CONFIG + '[user]\n\tname = "%s"\n\temail = "%s"\n' % tuple(
                word.replace('\\', '\\\\').replace('"', '\\"')
                for word in split_who(who)))
        info = self.folder / '.git' / 'info'
        info.mkdir(exist_ok=True)
        (info / 'attributes').write_text(_ATTRIBUTES)
        (info / 'exclude').write_text(_EXCLUDE)

    def id(self, ref):
        """The id of the commit `ref` names; None when there is none."""
        done = self.git('rev-parse', '--quiet', '--verify',
                        ref + '^{commit}', check=False)
        return done.stdout.strip() or None

    def unmerged(self):
        """The paths in conflict, sorted."""
        return sorted(path for path in set(self.git(
            'diff', '--name-only', '--diff-filter=U', '-z'
        ).stdout.split('\0')) if path)

    def resolved(self):
        """The paths that were in conflict and are not now, sorted.

        git forgets them at the next commit.
        """
        return sorted({line.partition('\t')[2] for line in self.git(
            'ls-files', '--resolve-undo', '-z').stdout.split('\0') if line})

    def has_ancestor(self, ancestor, ref):
        return self.git('merge-base', '--is-ancestor', ancestor, ref,
                        check=False).returncode == 0

    def uncommitted(self, *paths):
        """`git status` in short form: a line per change, [] when clean."""
        return self.git('status', '--porcelain', '--untracked-files=all',
                        '--', *paths).stdout.splitlines()

    def tree(self, ref):
        """{path: (mode, sha)} of all files at `ref`."""
        found = {}
        for line in self.git('ls-tree', '-r', '-z', ref).stdout.split('\0'):
            if line:
                head, _, path = line.partition('\t')
                mode, _, sha = head.split(' ')
                found[path] = mode, sha
        return found

    def commits(self, base, tip):
        """The commits from `base` to `tip`, the oldest first.

        :raises ForkError: one of them is a merge
        """
        made = []
        said = self.git(
            'log', '--reverse', '--topo-order', '--no-renames', '--raw',
            '--no-abbrev', '-z', '--format=%x01%H%x02%P%x02%B%x02',
            '%s..%s' % (base, tip)).stdout
        for part in said.split('\1')[1:]:
            commit, parents, message, rest = part.split('\2')
            message = message.strip('\n') + '\n'
            if ' ' in parents:
                raise ForkError(
                    '%s: commit %s (%s) is a merge; the queue is a line of '
                    'commits. Rebase in place of it' % (
                        self.folder, commit[:10], message.split('\n')[0]))
            made.append(Commit(commit, message, tuple(_changes(rest))))
        return made

    def blobs(self, shas):
        """{sha: bytes} of the files' contents."""
        shas = sorted(set(shas))
        if not shas:
            return {}
        data = self.git('cat-file', '--batch', text=False,
                        input='\n'.join(shas).encode() + b'\n').stdout
        found, at = {}, 0
        for sha in shas:
            end = data.index(b'\n', at)
            size = int(data[at:end].split()[2])
            found[sha] = data[end + 1:end + 1 + size]
            at = end + size + 2
        return found


def _changes(raw):
    """The changes of one commit in what `git log --raw -z` says."""
    parts = raw.strip('\0\n').split('\0')
    for head, path in zip(parts[::2], parts[1::2]):
        old_mode, new_mode, old, new, status = head.strip()[1:].split(' ')
        yield Change(path, status, old_mode, new_mode, old, new)


class Stream:
    """Commits to be, for `git fast-import`.

    That way nothing of a work tree gets in, and the same data makes the same
    ids: see :meth:`commit`.
    """

    def __init__(self):
        self._parts = []
        self._marks = 0

    def commit(self, ref, message, *, author, committer, seconds, files,
               parent=None, anew=False):
        """Add a commit; its mark is returned, for a child's `parent`.

        :param seconds: its time, since 1970
        :param files: (path, mode, bytes) of each new or changed file
        :param anew: `files` are all it holds, not changes to the parent's
        """
        self._marks += 1
        mark = b':%d' % self._marks
        text = message.encode()
        self._parts += [
            b'commit %s\nmark %s\n' % (ref.encode(), mark),
            b'author %s\n' % _signature(author, seconds),
            b'committer %s\n' % _signature(committer, seconds),
            b'data %d\n%s\n' % (len(text), text)]
        if parent:
            self._parts.append(b'from %s\n' % parent)
        if anew or not parent:
            self._parts.append(b'deleteall\n')
        for path, mode, data in files:
            self._parts.append(b'M %s inline %s\ndata %d\n%s\n' % (
                mode.encode(), _quoted(path), len(data), data))
        self._parts.append(b'\n')
        return mark

    def reset(self, ref, mark):
        """Let `ref` name the commit `mark`."""
        self._parts.append(b'reset %s\nfrom %s\n\n' % (ref.encode(), mark))

    def write(self, repository):
        """Put all of it into `repository`; refs that exist are moved."""
        repository.git('fast-import', '--quiet', '--force', '--done',
                       input=b''.join(self._parts) + b'done\n', text=False)


def split_who(who):
    """("Name", "address") of "Name <address>"; None when it is not that."""
    found = _WHO.match(who or '')
    return found.groups() if found else None


def _signature(who, seconds):
    return ('%s <%s> %d +0000' % (*split_who(who), seconds)).encode()


def _quoted(path):
    if path.startswith('"') or '\n' in path:
        path = '"%s"' % path.replace('\\', '\\\\').replace(
            '"', '\\"').replace('\n', '\\n')
    return path.encode()
