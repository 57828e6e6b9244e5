"""The suites that ``make test`` runs, and their counts.

Every suite shows its output as it runs and returns how many tests passed,
failed and were skipped. A suite that ran nothing has failed.
"""

import dataclasses
import os
import pathlib
import re
import subprocess
import sys
import time
import xml.etree.ElementTree

from patchqueue import check
from patchqueue.errors import ForkError
from patchqueue.run import progress

# What upstream's tox.ini sets for its tests.
UPSTREAM_ENVIRONMENT = {
    'LANGUAGE': 'en_US', 'LC_ALL': 'C.UTF-8',
    'OS_STDOUT_CAPTURE': '1', 'OS_STDERR_CAPTURE': '1',
    'OS_TEST_TIMEOUT': '320', 'SQLALCHEMY_WARN_20': '1',
    'NOVA_RAISE_ON_GREENLET_LEAK': 'True', 'PYTHONDONTWRITEBYTECODE': '1',
    # Hundreds of deprecations of the libraries, the same as on stock Nova.
    'PYTHONWARNINGS': 'ignore',
}


#: Failures of a suite that are told again at the end.
SHOWN = 10


@dataclasses.dataclass
class Count:
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    # What failed and why, a line each.
    failures: list = dataclasses.field(default_factory=list, compare=False)

    def __add__(self, other):
        return Count(self.passed + other.passed, self.failed + other.failed,
                     self.skipped + other.skipped,
                     self.failures + other.failures)

    def __str__(self):
        return '%d passed, %d failed, %d skipped' % (
            self.passed, self.failed, self.skipped)


def stestr_command(python, test_path, *args):
    return [python, '-m', 'stestr.cli', '--test-path', test_path, *args]


def stestr_environment(python):
    """:param python: of a virtual environment, whose programs stestr calls"""
    return dict(os.environ, **UPSTREAM_ENVIRONMENT, PATH='%s:%s' % (
        pathlib.Path(python).parent, os.environ.get('PATH', '')))


def _stestr_failures(lines):
    """The failures that stestr tells of, a line each.

    What it captured of a test follows the test's line. The error is the last
    line of the traceback that has only the block's own indent.
    """
    failures, in_traceback = [], False
    for line in lines:
        if re.match(r'Failed \d+ tests', line):
            break  # All of them once more.
        found = re.match(
            r'\{\d+\} (.+?)(?: \[[\d.]+s\])? \.\.\. FAILED$', line)
        if found:
            failures.append([found[1]])
        elif line.startswith('Captured '):
            in_traceback = line.startswith('Captured traceback:')
        elif in_traceback and failures and re.match(r' {4}\S', line):
            failures[-1][1:] = [line.strip()]
    return [': '.join(failure) for failure in failures]


def run_stestr(python, folder, test_path, names):
    """Run tests by dotted name (a module, a package, or longer)."""
    pattern = '^(%s)' % '|'.join(
        re.escape(name) + r'(\.|$)' for name in sorted(names))
    done = subprocess.Popen(
        stestr_command(python, test_path, 'run', '--concurrency',
                       str(os.cpu_count()), pattern),
        cwd=folder, env=stestr_environment(python), text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    counts, said = {}, []
    for line in done.stdout:
        # One line per passed test would be thousands.
        if not re.search(r'\.\.\. ok$', line):
            sys.stdout.write(line)
            said.append(line)
        found = re.match(r' - (Passed|Failed|Skipped|Expected Fail|'
                         r'Unexpected Success): (\d+)', line)
        if found:
            counts[found[1]] = int(found[2])
    done.wait()
    count = Count(counts.get('Passed', 0) + counts.get('Expected Fail', 0),
                  counts.get('Failed', 0) + counts.get(
                      'Unexpected Success', 0),
                  counts.get('Skipped', 0), _stestr_failures(said))
    if done.returncode != 0 and not count.failed:
        # Among others, a test module that cannot be imported.
        count.failed = 1
    return count


#: Options of pytest: a process for each core, and a file's tests in one.
SIDE_BY_SIDE = ('--numprocesses', str(os.cpu_count()), '--dist', 'loadfile')


def _failures(suite):
    """The failures of a suite in JUnit's XML, a line each."""
    return ['%s.%s: %s' % (
        case.get('classname'), case.get('name'),
        (fault.get('message') or '').partition('\n')[0])
        for case in suite.iter('testcase')
        for fault in (*case.iter('failure'), *case.iter('error'))]


def run_pytest(fork, *paths, python=sys.executable):
    report = fork.build / 'junit.xml'
    report.unlink(missing_ok=True)
    done = subprocess.run(
        [python, '-m', 'pytest', '-ra', '--junit-xml', report,
         '-o', 'cache_dir=%s' % (fork.build / 'pytest_cache'), *paths],
        cwd=fork.root, stdin=subprocess.DEVNULL)
    count = Count()
    if report.exists():
        for suite in xml.etree.ElementTree.parse(report).iter('testsuite'):
            failed = int(suite.get('failures')) + int(suite.get('errors'))
            skipped = int(suite.get('skipped'))
            count += Count(int(suite.get('tests')) - failed - skipped,
                           failed, skipped, _failures(suite))
    if done.returncode != 0 and not count.failed:
        count.failed = 1
    return count


def ours(fork, kind):
    """The dotted names of our tests of a kind, unit or functional."""
    folder = 'nova/tests/%s/' % kind
    return [path[:-len('.py')].replace('/', '.')
            for feature in fork.features for path in feature.tests
            if path.startswith(folder)
            and pathlib.PurePath(path).name.startswith('test_')]


def suite_tools(fork, only=None):
    """the tests of the queue's tools"""
    return run_pytest(fork, *SIDE_BY_SIDE, 'tests/tools')


def suite_unit(fork, only=None):
    """our unit tests, and upstream's of what the queue edits"""
    names = only or ours(fork, 'unit') + [
        name for feature in fork.features for name in feature.upstream_tests]
    return run_stestr(fork.python, fork.tree, './nova/tests/unit', names)


def suite_functional(fork, only=None):
    """our functional tests"""
    return run_stestr(fork.python, fork.tree, './nova/tests/functional',
                      only or ours(fork, 'functional'))


def suite_api_ref(fork, only=None):
    """upstream's API reference with our pages, without a warning"""
    done = subprocess.run(
        [fork.build / 'venv' / 'api-ref' / 'bin' / 'python', '-m', 'sphinx',
         '-W', '--keep-going', '-E', '-q', 'api-ref/source',
         fork.build / 'api-ref'], cwd=fork.tree)
    return Count(failed=1) if done.returncode else Count(passed=1)


def suite_services(fork, only=None):
    """real services of the tree on a real MariaDB"""
    return run_pytest(fork, 'tests/services')


def suite_cloud(fork, only=None):
    """stories on the embedded cloud, with the openstack client"""
    return run_pytest(fork, 'tests/cloud')


def suite_cloud_real(fork, only=None):
    """stories on the cloud of real services, with the openstack client"""
    return run_pytest(fork, 'tests/cloud_real')


def suite_netbox(fork, only=None):
    """the CMDB driver for NetBox, against a real one"""
    return run_pytest(fork, 'tests/netbox')


def _python39(variable):
    """The interpreter that tools/test.sh has had made by tools/python39.sh."""
    python = os.environ.get(variable)
    if not python:
        raise ForkError('%s names no interpreter: run tools/test.sh'
                        % variable)
    return python


def suite_client(fork, only=None):
    """the openstack plug-in, with openstack of 2024.1 and a current one"""
    pythons = [fork.build / 'venv' / name / 'bin' / 'python'
               for name in ('client-2024.1', 'client-current')]
    pythons.append(_python39('PYTHON39_CLIENT'))
    return sum((run_pytest(fork, '-o', 'pythonpath=client', 'client/tests',
                           python=python)
                for python in pythons), run_pytest(fork, 'tests/client'))


def suite_py39(fork, only=None):
    """our unit tests on Python 3.9, that of EL9"""
    return run_stestr(_python39('PYTHON39'), fork.tree, './nova/tests/unit',
                      only or ours(fork, 'unit'))


def suite_pep8(fork, only=None):
    """upstream's style checks on our files, flake8 on the tools"""
    runs = (
        # hacking, and Nova's own checks in nova/hacking.
        ([fork.python, '-m', 'flake8', '--config', 'tox.ini',
          *[path for path in fork.overlay if path.endswith('.py')]],
         fork.tree),
        ([sys.executable, '-m', 'flake8', 'tools', 'tests', 'benchmarks',
          'devcloud', 'client'],
         fork.root),
    )
    failed = sum(subprocess.run(command, cwd=folder).returncode != 0
                 for command, folder in runs)
    return Count(len(runs) - failed, failed)


def suite_queue(fork, only=None):
    """the checks of the queue"""
    rows = check.run_checks(fork, check.CHECKS)
    findings = ['%s: %s' % (row['check'], line)
                for row in rows for line in row['findings']]
    for line in findings:
        print(line)
    print(check.table(check.figures(fork)))
    return Count(sum(row['ok'] for row in rows),
                 sum(not row['ok'] for row in rows), failures=findings)


def suite_packages(fork, only=None):
    """install the packages of dist/ and run them"""
    return run_pytest(fork, *SIDE_BY_SIDE, 'tests/packages')


def suite_libvirt(fork, only=None):
    """Nova's libvirt driver with real guests, in a libvirtd of their own"""
    return run_pytest(fork, 'tests/libvirt')


SUITES = {
    'tools': suite_tools,
    'pep8': suite_pep8,
    'unit': suite_unit,
    'functional': suite_functional,
    'api-ref': suite_api_ref,
    'services': suite_services,
    'cloud': suite_cloud,
    'cloud-real': suite_cloud_real,
    'netbox': suite_netbox,
    'client': suite_client,
    'py39': suite_py39,
    'queue': suite_queue,
    'packages': suite_packages,
    'libvirt': suite_libvirt,
}


def suites_of(tests):
    """The suites in which the tests of these dotted names are; all for none.

    :raises ForkError: a name is of no test in Nova's tree
    """
    if not tests:
        return list(SUITES)
    found = set()
    for name in tests:
        kind = re.match(r'nova\.tests\.(unit|functional)\b', name)
        if not kind:
            raise ForkError('%s: expected a name below nova.tests.unit or '
                            'nova.tests.functional' % name)
        found.add(kind[1])
    return sorted(found)


def run_suites(fork, names, only=None):
    """Run suites one after the other; print what failed, counts and the sum.

    :param only: dotted names of the tests to run; for the suites in Nova's
        tree
    :returns: 0 when all ran and nothing failed
    """
    unknown = [name for name in names if name not in SUITES]
    if unknown:
        raise ForkError('there is no suite %s; there are %s' % (
            ', '.join(unknown), ', '.join(SUITES)))
    counts, seconds = {}, {}
    for name in names:
        progress('%s: %s' % (name, SUITES[name].__doc__))
        started = time.monotonic()
        counts[name] = SUITES[name](fork, only)
        if not counts[name].passed and not counts[name].failed:
            print('%s: no test ran' % name)
            counts[name].failed = 1
        seconds[name] = time.monotonic() - started
    print()
    # Again, as it may have gone by hours ago: the end is what CI shows.
    for name, count in counts.items():
        for line in count.failures[:SHOWN]:
            print('%s: %s' % (name, line[:300]))
        if len(count.failures) > SHOWN:
            print('%s: and %d more' % (name, len(count.failures) - SHOWN))
    for name, count in counts.items():
        print('%-12s %s in %.0f s' % (name, count, seconds[name]))
    total = sum(counts.values(), Count())
    print(total, flush=True)
    return 1 if total.failed or not total.passed else 0
