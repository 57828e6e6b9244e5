"""Tempest on the cloud of real services: with stock Nova, then with the fork.

Each side has a new cloud. Stock's results are kept below ``build/tempest`` and
used again for as long as nothing that they depend on changes.
"""

import os
import re
import subprocess

from patchqueue import compare
from patchqueue import suites
from patchqueue.errors import ForkError
from patchqueue.run import progress

#: The compute API's tests. Those of aggregates are elsewhere, as they must
#: not run beside others.
COMPUTE = (r'^tempest\.(api\.compute'
           r'|serial_tests\.api\.admin\.test_aggregates)\.')

# Where the Nova of a side is from, as the cloud calls it.
_NOVA = {'stock': 'stock', 'fork': 'tree'}

# What a failure or a skip of a whole class is called.
_CLASS = re.compile(r'(?:setUpClass|tearDownClass) \((.+)\)$')


def alone(names):
    """A pattern of these tests only; of a class, all its tests."""
    parts = []
    for name in names:
        found = _CLASS.match(name)
        parts.append(re.escape(found[1]) + r'\.' if found
                     else re.escape(name) + '$')
    return '^(%s)' % '|'.join(parts)


class _Cloud:
    """A cloud of real services of its own, made ready for Tempest."""

    def __init__(self, fork, side, folder):
        self._side, self.folder = side, folder
        self._python = fork.build / 'venv/cloud/bin/python'
        self._real = fork.root / 'devcloud' / 'real'
        self._where = ['--folder', self.folder, '--build', fork.build]

    def _run(self, program, *words):
        done = subprocess.run(
            [self._python, '-W', 'ignore', self._real / program,
             *self._where, *words], text=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode:
            raise ForkError('the cloud with Nova of %s:\n%s' % (
                self._side, done.stdout))

    def __enter__(self):
        progress('starting a cloud with Nova of %s' % self._side)
        # What a run that was cut off has left.
        self._run('control.py', 'stop')
        try:
            self._run('control.py', 'start', '--from', _NOVA[self._side])
            self._run('for_tempest.py')
        except BaseException:
            self._run('control.py', 'stop')
            raise
        return self

    def __exit__(self, *exc_info):
        self._run('control.py', 'stop')


def _site_packages(python):
    return subprocess.run(
        [python, '-c', 'import sysconfig; '
         'print(sysconfig.get_paths()["purelib"])'],
        text=True, stdout=subprocess.PIPE, check=True).stdout.strip()


def run(fork, side, pattern, log, *how):
    """Run tests on a cloud with stock Nova or the fork.

    :param pattern: of their names
    :param how: options of stestr's command `run`
    :returns: status by the test's name
    """
    folder = fork.build / 'tempest' / side
    folder.mkdir(parents=True, exist_ok=True)
    python = fork.build / 'venv/tempest/bin/python'
    packages = _site_packages(python)
    with _Cloud(fork, side, folder / 'cloud') as cloud:
        progress('Tempest with Nova of %s: see %s' % (side, log))
        return compare.run_stestr(
            python, folder, log,
            # The tests of a class share what it has made.
            ['--parallel-class', '--top-dir', packages, '--test-path',
             os.path.join(packages, 'tempest/test_discover')],
            dict(suites.stestr_environment(python), OS_TEST_TIMEOUT='1200',
                 TEMPEST_CONFIG_DIR=str(cloud.folder)), [*how, pattern])


def _inputs(fork, pattern):
    """What the results of stock Nova depend on, as bytes."""
    yield fork.upstream.pinned.sha256.encode() + pattern.encode()
    paths = [fork.root / 'constraints.txt',
             *(fork.root / 'tools').glob('*-requirements.txt'),
             *(fork.root / 'devcloud').rglob('*.py')]
    for path in sorted(paths):
        yield path.read_bytes()


def main(fork, pattern=None):
    """Compare; print every difference.

    :param pattern: of the tests' names; those of the compute API unless told
    :returns: 0 when no test that passes on stock fails on the fork
    :raises ForkError: none passes
    """
    pattern = pattern or COMPUTE
    keep = fork.build / 'tempest'
    keep.mkdir(parents=True, exist_ok=True)

    def side(name):
        return run(fork, name, pattern, keep / (name + '.log'),
                   '--concurrency', '2')

    def run_again(name, tests):
        return run(fork, name, alone(tests), keep / (name + '-again.log'),
                   '--serial')

    broken, count = compare.report(
        'tempest', compare.kept_results(
            keep / 'stock', _inputs(fork, pattern), lambda: side('stock')),
        side('fork'), (), run_again)
    print(count)
    if not broken and not count.passed:
        # As on a cloud that does not work.
        raise ForkError('none of %s passed; see %s' % (pattern, keep))
    return 1 if broken else 0
