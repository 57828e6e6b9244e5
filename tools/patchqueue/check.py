"""Everything that must hold for the queue before a change lands.

Each check is a function that takes the fork and returns findings: a line of
text each, saying what is wrong, where, and what is expected. None means that
it holds. What takes long says so as it goes.
"""

import ast
import concurrent.futures
import contextlib
import datetime
import json
import os
import pathlib
import queue
import re
import shutil
import stat
import subprocess
import tempfile
import time

from patchqueue import client
from patchqueue import history
from patchqueue import patches
from patchqueue import series
from patchqueue import tree
from patchqueue import upstream
from patchqueue.errors import ForkError
from patchqueue.fork import in_overlay
from patchqueue.fork import OVERLAY
from patchqueue.fork import RELEASE_FILE
from patchqueue.git import Repository
from patchqueue.run import progress
from patchqueue.run import require
from patchqueue.run import run
from patchqueue.run import words

# Over this many added lines a patch probably holds logic of its own.
MANY_LINES = 10

# Patches whose necessity is looked at, each on a processor of its own.
_AT_ONCE = min(os.cpu_count(), 4)
# For a run with a test that hangs, if its own time-out does not end it.
_SECONDS = 1200

_NAME = re.compile(r'[a-z][a-z0-9]*(-[a-z0-9]+)*\.patch')
_URL = re.compile(r'https?://\S+')
_AUTHOR = re.compile(r'[^<>]+ <[^<>@\s]+@[^<>@\s]+>')
_ORIGIN = re.compile(r'(upstream|backport|vendor|other)(, \S.*)?|https?://\S+')
_FORWARDED = re.compile(r'no \(.+\)|not-needed|https?://\S+')
_PATH = re.compile(r'[A-Za-z0-9_.+/-]+')
_VENDOR = re.compile(r'mycompany\.?(\d{4}\.\d\.\d+)')
_TEST = re.compile(r'nova\.tests(\.\w+)+')

# What stops a program for a debugger: Python's own, and the name that pdb,
# ipdb, pudb and remote_pdb have for it, and debugpy's.
_BREAKPOINTS = frozenset({'breakpoint', 'set_trace'})
_BREAKPOINT_CALL = re.compile(
    r'\b(%s)\s*\(|import .*\bset_trace\b' % '|'.join(sorted(_BREAKPOINTS)))

# DEP-3's fields and our own two. A field that is none of them is a typing
# error more often than an extension.
_REQUIRED = ('Description', 'Author', 'Origin', 'Forwarded', 'Last-Update',
             'Feature', 'Test')
_OPTIONAL = ('Bug', 'Reviewed-By', 'Applied-Upstream')

# Runs the tests named on its command line in the tree it is started in, and
# prints for each name how many there were and how many did not pass.
_TEST_RUNNER = '''
import json, sys, unittest
found = {}
for name in sys.argv[1:]:
    suite = unittest.defaultTestLoader.loadTestsFromName(name)
    result = unittest.TestResult()
    found[name] = [suite.countTestCases(), 0, '']
    suite.run(result)
    bad = result.failures + result.errors
    found[name][1] = len(bad) + len(result.unexpectedSuccesses)
    found[name][2] = bad[0][1][-2000:] if bad else ''
print()
print('RESULT ' + json.dumps(found))
'''

_IMPORTER = '''
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
'''


@contextlib.contextmanager
def _scratch(fork):
    """A folder for a tree, gone afterwards."""
    fork.build.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=fork.build, prefix='check-') as name:
        yield pathlib.Path(name)


def check_headers(fork):
    """Every patch has a complete and sane DEP-3 header."""
    found = []
    for patch in fork.series:
        found += ['patches/%s: %s' % (patch.name, what)
                  for what in _header_findings(fork, patch)]
    return found


def _header_findings(fork, patch):
    if not _NAME.fullmatch(patch.name):
        yield ('the name must be words of a-z and 0-9 joined by "-", say '
               'what the patch makes possible, and end in .patch')
    header = patch.header
    seen = re.findall(r'(?m)^([A-Za-z][A-Za-z0-9-]*):', patch.header_text)
    for field in sorted({f for f in seen if seen.count(f) > 1}):
        yield '%s is there %d times' % (field, seen.count(field))
    for field in _REQUIRED:
        if not header.get(field, '').strip():
            yield 'the header has no %s' % field
    for field in header:
        known = {f.lower() for f in _REQUIRED + _OPTIONAL}
        if field.lower() not in known and not field.lower().startswith('bug-'):
            yield 'the header has an unknown field %s' % field

    def wrong(field, pattern, expected):
        value = header.get(field, '').strip()
        if value and not pattern.fullmatch(value):
            yield '%s: expected %s, found %r' % (field, expected, value)

    if header.get('Description') and '\n' not in header['Description'].strip():
        yield 'Description: below its first line it must say why'
    yield from wrong('Author', _AUTHOR, 'Name <address>')
    yield from wrong('Origin', _ORIGIN,
                     'upstream, backport, vendor or other, or a URL')
    yield from wrong('Forwarded', _FORWARDED,
                     'a URL, not-needed, or "no (the reason)"')
    for field in header:
        if field.lower() == 'bug' or field.lower().startswith('bug-'):
            yield from wrong(field, _URL, 'a URL')
    day = header.get('Last-Update', '').strip()
    if day:
        try:
            if datetime.date.fromisoformat(day) > datetime.date.today():
                yield 'Last-Update: %s is in the future' % day
        except ValueError:
            yield 'Last-Update: expected YYYY-MM-DD, found %r' % day
    if patch.feature and patch.feature not in (
            f.name for f in fork.features):
        yield 'Feature: features.toml has no feature %r' % patch.feature
    for name in patch.tests:
        if not _TEST.fullmatch(name):
            yield ('Test: expected dotted names below nova.tests, found %r'
                   % name)
    if not patch.paths:
        yield 'it has no diff'


def check_map(fork):
    """series, files and features.toml say the same."""
    found = []
    order = [p.name for p in fork.series]
    present = {str(p.relative_to(fork.patches_dir))
               for p in fork.patches_dir.rglob('*')
               if p.is_file() and p.name != 'series'}
    for name in sorted(present - set(order)):
        found.append('patches/%s is not in patches/series' % name)
    mapped = []
    for feature in fork.features:
        mapped += feature.patches
        for name in feature.patches:
            if name not in order:
                found.append('features.toml: %s lists the patch %s, which '
                             'patches/series does not' % (feature.name, name))
        for path in feature.files + feature.tests + feature.docs:
            if not (fork.root / path).is_file():
                found.append('features.toml: %s lists %s, which does not '
                             'exist' % (feature.name, path))
        for path in feature.files:
            if not in_overlay(path):
                found.append('features.toml: %s: files are those in %s, '
                             'not %s' % (
                                 feature.name, ', '.join(OVERLAY), path))
            elif path.startswith('nova/tests/'):
                found.append('features.toml: %s: %s belongs under tests' % (
                    feature.name, path))
    theirs = upstream.paths(fork.upstream.pinned)
    for feature in fork.features:
        for name in feature.upstream_tests:
            path = name.replace('.', '/')
            if not {path + '.py', path + '/__init__.py'} & theirs:
                found.append('features.toml: %s: upstream has no tests %s' % (
                    feature.name, name))
        if not feature.upstream_tests and any(
                path.endswith('.py') for patch in fork.patches_of(feature)
                for path in patch.paths):
            found.append('features.toml: %s edits upstream\'s code: '
                         'upstream_tests must name upstream\'s tests of it'
                         % feature.name)
    for name in order:
        if name not in mapped:
            found.append('features.toml lists the patch %s nowhere' % name)
    for patch in fork.series:
        owner = next((f.name for f in fork.features
                      if patch.name in f.patches), None)
        if owner and patch.feature and patch.feature != owner:
            found.append('patches/%s says Feature: %s, features.toml has it '
                         'under %s' % (patch.name, patch.feature, owner))
    if not found and mapped != order:
        found.append(
            'patches/series is not in the order of features.toml, which is '
            + ', '.join(mapped))
    ours = {path for f in fork.features for path in fork.files_of(f)}
    for path in fork.overlay:
        if path not in ours:
            found.append('features.toml lists %s nowhere' % path)
    for path in fork.features.guides:
        if not (fork.root / path).is_file():
            found.append('features.toml: guides lists %s, which does not '
                         'exist' % path)
    pages = {path for f in fork.features for path in f.docs}
    pages.update(fork.features.guides)
    doc = fork.root / 'doc'
    for page in sorted(doc.rglob('*.md')) if doc.is_dir() else ():
        if str(page.relative_to(fork.root)) not in pages:
            found.append('features.toml lists %s nowhere: in the docs of a '
                         'feature, or in guides' % page.relative_to(fork.root))
    return found


def check_overlay(fork):
    """The overlay's files can be carried by a patch and hide none."""
    found = []
    for path in fork.overlay:
        file = fork.root / path
        if file.is_symlink() or not file.is_file():
            found.append('%s: not a plain file' % path)
            continue
        if not _PATH.fullmatch(path):
            found.append('%s: only letters, digits and _.+- are safe in the '
                         'name of a file that a patch carries' % path)
        data = file.read_bytes()
        if stat.S_IMODE(file.stat().st_mode) & 0o111:
            found.append('%s: executable; a patch cannot carry that' % path)
        if not data:
            found.append('%s: empty; a patch cannot create an empty file, '
                         'put a comment in' % path)
        try:
            data.decode('utf-8')
        except UnicodeDecodeError:
            found.append('%s: not UTF-8 text' % path)
        if b'\r' in data or b'\0' in data:
            found.append('%s: has carriage returns or NUL bytes' % path)
    for one in fork.upstream.same_series:
        for path in sorted(set(fork.overlay) & upstream.paths(one)):
            found.append('%s: %s has a file at that place, which ours would '
                         'hide' % (path, one))
    return found


def check_no_new_files(fork):
    """No patch in patches/ creates, deletes or renames a file."""
    found = []
    there = upstream.paths(fork.upstream.pinned)
    for patch in fork.series:
        for part in patch.diff:
            what = ('creates' if part.is_added_file else
                    'deletes' if part.is_removed_file else
                    'renames' if part.is_rename else
                    'edits a file that upstream does not have:'
                    if part.path not in there else None)
            if what:
                found.append('patches/%s: %s %s; new files belong in %s, '
                             'and the rest is upstream\'s' % (
                                 patch.name, what, part.path,
                                 ' or '.join(OVERLAY)))
    return found


def check_no_breakpoints(fork):
    """No call of a debugger is left, in files or in what patches add."""
    found = []
    for path in _programs(fork.root):
        try:
            lines = list(_breakpoint_lines(path.read_bytes()))
        except SyntaxError as error:
            found.append('%s:%s: not Python: %s' % (
                path.relative_to(fork.root), error.lineno, error.msg))
        else:
            found += ['%s:%d: a breakpoint is left here' % (
                path.relative_to(fork.root), line) for line in lines]
    for patch in fork.series:
        found += ['patches/%s: a breakpoint is left in %s:%d' % (
            patch.name, part.path, line.target_line_no)
            for part in patch.diff for hunk in part for line in hunk
            if line.is_added and _BREAKPOINT_CALL.search(line.value)]
    return found


def _programs(root):
    """The Python files that are ours, not what is built or installed."""
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(
            name for name in folders if not name.startswith('.') and not (
                folder == str(root) and name in ('build', 'dist')))
        yield from (pathlib.Path(folder, name) for name in sorted(names)
                    if name.endswith('.py'))


def _breakpoint_lines(text):
    """Where Python code calls a debugger, or imports what does."""
    for node in ast.walk(ast.parse(text)):
        names = ()
        if isinstance(node, ast.Call):
            names = (getattr(node.func, 'id', None),
                     getattr(node.func, 'attr', None))
        elif isinstance(node, ast.ImportFrom):
            names = [alias.name for alias in node.names]
        if _BREAKPOINTS.intersection(names):
            yield node.lineno


def check_pinned(fork):
    """The queue applies to the pinned release without fuzz or offset."""
    return _apply_findings(fork, fork.upstream.pinned, offsets=True)


def check_series(fork):
    """The queue applies to every release of the series without fuzz."""
    found = []
    for one in fork.upstream.same_series:
        found += _apply_findings(fork, one, offsets=False)
    return found


def _apply_findings(fork, one, offsets):
    found = []
    with _scratch(fork) as folder:
        wanted = {path for patch in fork.series for path in patch.paths}
        there = upstream.unpack(one, folder, only=wanted)
        for patch in fork.series:
            diff = patch.diff_text
            if one.artifact == 'wheel':
                # It holds the package only, not setup.cfg.
                diff = patch.only(lambda path: path in there)
                if not diff:
                    continue
            done = run(
                [require('patch'), '-p1', '--fuzz=0', '--batch', '--forward',
                 '--no-backup-if-mismatch', '--reject-file=-'],
                cwd=folder, input=diff, check=False, env={'LC_ALL': 'C'})
            said = words(done)
            if done.returncode != 0:
                found.append('patches/%s does not apply to %s without fuzz:'
                             '\n    %s' % (patch.name, one,
                                           said.strip().replace(
                                               '\n', '\n    ')))
                # What stands on it can only fail for the same reason.
                break
            for line in said.splitlines():
                if offsets and patches.OFFSET.search(line):
                    found.append('patches/%s on %s: %s; refresh it '
                                 '(tools/quilt.sh refresh)' % (
                                     patch.name, one, line))
    return found


def check_plain_series(fork):
    """The plain series turns the pristine release into exactly the tree."""
    with _scratch(fork) as folder:
        plain = folder / 'plain'
        series.write(fork, folder / 'patches')
        upstream.unpack(fork.upstream.pinned, plain)
        tree.push_all(plain, folder / 'patches')
        tree.materialise(fork, folder / 'tree')
        return ['the plain series does not make the tree: %s (first: the '
                'series, second: the tree)' % line
                for line in tree.differences(plain, folder / 'tree')]


def check_round_trip(fork):
    """quilt and git give back every patch as it is, to the byte."""
    found = ['%s is not as tools/branch.sh would bring it back from git: '
             'export and import it' % path
             for path in history.round_trip(fork)]
    with _scratch(fork) as folder:
        copy = folder / 'patches'
        shutil.copytree(fork.patches_dir, copy)
        wanted = {path for patch in fork.series for path in patch.paths}
        work = folder / 'work'
        upstream.unpack(fork.upstream.pinned, work, only=wanted)
        tree.quilt(work, copy, 'init')
        for patch in fork.series:
            tree.quilt(work, copy, 'push')
            tree.quilt(work, copy, 'refresh', check=False)
        for patch in fork.series:
            if (copy / patch.name).read_bytes() != patch.text.encode():
                found.append(
                    'patches/%s is not as "tools/quilt.sh refresh" writes '
                    'it: refresh it' % patch.name)
    return found


def check_prefixes(fork):
    """The tree compiles and imports after each step of the queue."""
    found = []
    with _scratch(fork) as scratch:
        folder = scratch / 'tree'
        upstream.unpack(fork.upstream.pinned, folder)
        for feature in fork.features:
            files = fork.files_of(feature)
            tree.add_overlay(fork, folder, only=files)
            steps = [('the new files of %s' % feature.name, files, None)]
            steps += [(patch.name, patch.paths, patch)
                      for patch in fork.patches_of(feature)]
            for what, paths, patch in steps:
                if patch:
                    run([require('patch'), '-p1', '--fuzz=0', '--batch',
                         '--no-backup-if-mismatch'], cwd=folder,
                        input=patch.diff_text)
                found += ['after %s: %s' % (what, line)
                          for line in _import_findings(fork, folder, paths)]
    return found


def _import_findings(fork, folder, paths):
    code = [path for path in paths if path.endswith('.py')]
    for path in code:
        try:
            compile((folder / path).read_bytes(), path, 'exec',
                    dont_inherit=True)
        except SyntaxError as error:
            yield '%s does not compile: %s' % (path, error)
            return
    modules = [_module(path) for path in code
               if not path.startswith('nova/tests/')]
    if not modules:
        return
    done = subprocess.run(
        [fork.python, '-W', 'ignore', '-c', _IMPORTER, *modules], cwd=folder,
        env=_test_environment(folder), text=True, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        yield '%s cannot be imported:\n    %s' % (
            ', '.join(modules),
            '\n    '.join(done.stdout.strip().splitlines()[-6:]))


def _module(path):
    name = path[:-len('.py')].replace('/', '.')
    return name[:-len('.__init__')] if name.endswith('.__init__') else name


def _test_environment(folder):
    cache = pathlib.Path(folder).parent / 'cache'
    # stevedore keeps what it found by the time stamps of folders, which
    # change too seldom for what is done here: tell it to keep nothing.
    (cache / 'python-entrypoints').mkdir(parents=True, exist_ok=True)
    (cache / 'python-entrypoints' / '.disable').touch()
    return dict(
        os.environ, PYTHONDONTWRITEBYTECODE='1', OS_STDOUT_CAPTURE='1',
        OS_STDERR_CAPTURE='1', XDG_CACHE_HOME=str(cache),
        # A functional test that fails while a server is being built may wait
        # for ever: the scheduler is stopped first, and the conductor waits
        # for its answer without a limit.
        OS_TEST_TIMEOUT='120')


def check_necessity(fork):
    """Without one patch, the test that its header names fails."""
    found = []
    names = sorted({name for patch in fork.series for name in patch.tests})
    with _scratch(fork) as scratch:
        # One for each patch that is looked at, at the same time.
        trees = queue.SimpleQueue()
        for number in range(_AT_ONCE):
            folder = scratch / str(number) / 'tree'
            tree.materialise(fork, folder)
            tree.write_metadata(folder, fork.upstream.pinned.version)
            trees.put(folder)
        whole = _run_tests(fork, folder, names)
        for patch in fork.series:
            for name in patch.tests:
                count, failed, why = whole.get(name, (0, 0, ''))
                if not count:
                    found.append('patches/%s: Test: %s holds no test' % (
                        patch.name, name))
                elif failed:
                    found.append('patches/%s: Test: %s fails with the patch:'
                                 '\n    %s' % (patch.name, name,
                                               why.replace('\n', '\n    ')))
        if found:
            return found

        def look_at(patch):
            folder = trees.get()
            progress('without %s' % patch.name)
            try:
                return _is_needed(fork, folder, patch)
            finally:
                trees.put(folder)

        with concurrent.futures.ThreadPoolExecutor(_AT_ONCE) as pool:
            return sum(pool.map(look_at, fork.series), [])


def _is_needed(fork, folder, patch):
    if not patch.tests:
        return ['patches/%s names no Test:' % patch.name]
    with _without(fork, folder, patch):
        without = _run_tests(fork, folder, patch.tests)
    return ['patches/%s: its Test: %s passes without it. Either the patch '
            'does nothing, or the test does not look' % (patch.name, name)
            for name in patch.tests if not without[name][1]]


@contextlib.contextmanager
def _without(fork, folder, patch):
    """Take one patch out of the tree, and put it back."""
    later = fork.series[fork.series.index(patch) + 1:]
    # Later edits of the same files may stand on it, and others on those: off
    # first, and on again as far as they can go without it.
    above, touched = [], set(patch.paths)
    for one in later:
        if touched & set(one.paths):
            above.append(one)
            touched.update(one.paths)
    kept = {path: (folder / path).read_bytes() for path in touched}
    apply = [require('patch'), '-p1', '--batch', '--no-backup-if-mismatch',
             '--reject-file=-']
    for one in reversed([patch, *above]):
        run([*apply, '--fuzz=0', '-R'], cwd=folder, input=one.diff_text)
    for one in above:
        run([*apply, '--forward'], cwd=folder, input=one.diff_text,
            check=False)
    if 'setup.cfg' in touched:
        tree.write_metadata(folder, fork.upstream.pinned.version)
    yield
    for path, data in kept.items():
        (folder / path).write_bytes(data)
    if 'setup.cfg' in touched:
        tree.write_metadata(folder, fork.upstream.pinned.version)


def _run_tests(fork, folder, names):
    """Run tests in a tree.

    :returns: by name: how many there are, how many failed, the first failure
    """
    if not names:
        return {}
    try:
        done = subprocess.run(
            [fork.python, '-W', 'ignore', '-c', _TEST_RUNNER, *names],
            cwd=folder, env=_test_environment(folder), text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, timeout=_SECONDS)
    except subprocess.TimeoutExpired as error:
        return {name: (1, 1, str(error)[-2000:]) for name in names}
    for line in reversed(done.stdout.splitlines()):
        if line.startswith('RESULT '):
            return {name: tuple(row) for name, row in json.loads(
                line[len('RESULT '):]).items()}
    # The run itself broke: every test in it failed.
    return {name: (1, 1, done.stdout[-2000:]) for name in names}


def check_version(fork):
    """Everything that states the release agrees with CHANGES.mycompany."""
    found = []
    top = fork.release
    if top.upstream != fork.upstream.pinned.version:
        found.append(
            'CHANGES.mycompany: %s is for nova %s, but upstream.toml pins %s: '
            'write an entry for it' % (
                top.tag, top.upstream, fork.upstream.pinned.version))
    built = fork.tree / RELEASE_FILE
    if built.exists() and built.read_text() != top.release_file:
        found.append('build/tree/%s is not of %s: make tree' % (
            RELEASE_FILE, top.tag))
    if not (fork.root / '.git').exists():
        return found

    repository = Repository(fork.root)
    if not repository.id('HEAD'):
        return found
    for tag in repository.out('tag', '--points-at', 'HEAD', '--list',
                              'mycompany-*').split():
        if tag != top.tag:
            found.append('the tag %s is on this commit, whose '
                         'CHANGES.mycompany says %s' % (tag, top.tag))
    if repository.id('refs/tags/' + top.tag):
        changed = repository.out(
            'diff', '--name-only', top.tag, '--', *OVERLAY, 'patches',
            'upstream.toml', 'packaging', 'CHANGES.mycompany')
        if changed:
            found.append(
                '%s is tagged already, and these have changed since: %s. '
                'Write the next entry in CHANGES.mycompany' % (
                    top.tag, ', '.join(changed.splitlines())))
    return found


def packages_findings(fork):
    """Packages in dist/ that are not of the present release."""
    top = fork.release
    found = []
    names = [path.name for path in sorted(fork.dist.glob('*'))]
    for name in names:
        # The libraries' versions are their own.
        stated = _VENDOR.search(name)
        if stated and not top.tag.endswith('-' + stated[1]):
            found.append('dist/%s is not of %s' % (name, top.tag))
    for pattern in _expected(fork):
        if not any(pathlib.PurePath(name).match(pattern) for name in names):
            found.append('dist/ has no %s' % pattern)
    return found


def _expected(fork):
    """Patterns of the packages that packaging/ describes, and the wheel."""
    top, packaging = fork.release, fork.root / 'packaging'
    control = (packaging / 'deb' / 'nova' / 'control').read_text()
    for name in re.findall(r'(?m)^Package: (\S+)', control):
        yield '%s_%s-*.deb' % (name, top.deb_upstream_version)
    spec = (packaging / 'rpm' / 'openstack-nova.spec.in').read_text()
    main, = re.findall(r'(?m)^Name: +(\S+)', spec)
    yield '%s-%s-%s*.src.rpm' % (main, top.upstream, top.rpm_release)
    for flag, name in re.findall(r'(?m)^%package (-n )?(\S+)', spec):
        yield '%s-%s-%s*.noarch.rpm' % (
            name if flag else '%s-%s' % (main, name), top.upstream,
            top.rpm_release)
    yield 'nova-%s-*.whl' % top.upstream
    ours = client.version(fork)
    yield 'python3-%s_%s-*.deb' % (client.NAME, ours)
    yield 'python-%s-%s-*.src.rpm' % (client.NAME, ours)
    yield 'python3-%s-%s-*.noarch.rpm' % (client.NAME, ours)
    yield '%s-%s-*.whl' % (client.NAME.replace('-', '_'), ours)


def figures(fork):
    """How much each patch touches upstream.

    :returns: a dict per patch: feature, files, hunks, added and removed
        lines, and hot: its hunks in files that upstream changes often
    """
    rows = []
    for patch in fork.series:
        rows.append({
            'patch': patch.name,
            'feature': patch.feature,
            'files': len(patch.diff),
            'hunks': sum(len(part) for part in patch.diff),
            'added': patch.diff.added,
            'removed': patch.diff.removed,
            'hot': sum(len(part) for part in patch.diff
                       if part.path in fork.upstream.hot),
        })
    return rows


CHECKS = {
    'headers': check_headers,
    'map': check_map,
    'overlay': check_overlay,
    'no-new-files': check_no_new_files,
    'no-breakpoints': check_no_breakpoints,
    'version': check_version,
    'pinned': check_pinned,
    'series': check_series,
    'plain-series': check_plain_series,
    'round-trip': check_round_trip,
    'prefixes': check_prefixes,
    'necessity': check_necessity,
}


def run_checks(fork, names):
    """Run checks and say what they find.

    :returns: a dict per check: name, what, ok, seconds, findings
    """
    rows = []
    for name in names:
        started = time.monotonic()
        try:
            findings = CHECKS[name](fork)
        except ForkError as error:
            findings = [str(error)]
        rows.append({
            'check': name,
            'what': CHECKS[name].__doc__.splitlines()[0],
            'ok': not findings,
            'seconds': round(time.monotonic() - started, 1),
            'findings': findings,
        })
        row = rows[-1]
        progress('%-4s %-12s %5.1f s  %s' % (
            'ok' if row['ok'] else 'FAIL', name, row['seconds'], row['what']))
    return rows


def table(rows):
    """The figures as text."""
    lines = ['%-40s %5s %5s %5s %7s %4s' % (
        'patch', 'files', 'hunks', 'added', 'removed', 'hot')]
    for row in rows:
        lines.append('%-40s %5d %5d %5d %7d %4d%s' % (
            row['patch'], row['files'], row['hunks'], row['added'],
            row['removed'], row['hot'],
            '  over %d added lines: does it hold logic?' % MANY_LINES
            if row['added'] > MANY_LINES else ''))
    return '\n'.join(lines)
