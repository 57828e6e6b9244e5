"""Tests on the fork and on stock Nova, result by result; upstream's suites.

Stock's result is kept below ``build/upstream-tests`` and used again for as
long as the release and the pins of its dependencies stay the same. A test
whose result differs runs once more, alone, on both sides, so that one that
only suffered from the load of the machine is told from one that we broke.
"""

import hashlib
import json
import os
import shutil
import subprocess

from patchqueue import suites
from patchqueue import tree
from patchqueue import upstream
from patchqueue.errors import ForkError
from patchqueue.run import progress

KINDS = ('unit', 'functional')

# Read a subunit stream; print the last status of each test as JSON. It runs
# with the interpreter that ran the tests, which has subunit.
_READER = '''
import json, sys
import subunit, testtools
found = {}
def on_test(test):
    if test["status"] != "exists":
        found[test["id"]] = test["status"]
result = testtools.StreamToDict(on_test)
result.startTestRun()
subunit.ByteStreamToStreamResult(
    sys.stdin.buffer, non_subunit_name="stdout").run(result)
result.stopTestRun()
json.dump(found, sys.stdout)
'''


def read_results(python, stream):
    """:returns: status by the test's name: success, fail, skip, xfail..."""
    done = subprocess.run([python, '-W', 'ignore', '-c', _READER],
                          stdin=stream, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def run_stestr(python, folder, log, options, environment, args=()):
    """Run tests with stestr.

    :param folder: where it runs, and keeps what it found
    :param log: a file; what it says is added to it
    :param options: of stestr: where the tests are
    :param args: of its command `run`: which of them, all unless told
    :returns: status by the test's name
    :raises ForkError: none ran
    """
    # What an earlier run left must not be taken for this one's.
    shutil.rmtree(folder / '.stestr', ignore_errors=True)
    stestr = [python, '-m', 'stestr.cli', *options]
    with open(log, 'a') as out:
        subprocess.run([*stestr, 'run', *args], cwd=folder, env=environment,
                       stdin=subprocess.DEVNULL, stdout=out,
                       stderr=subprocess.STDOUT)
    with subprocess.Popen([*stestr, 'last', '--subunit'], cwd=folder,
                          env=environment, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL) as stream:
        found = read_results(python, stream.stdout)
    if not found:
        raise ForkError('no test ran; see %s' % log)
    return found


def run_suite(python, folder, kind, log, names=None):
    """Run upstream's suite of a kind in a tree.

    :param names: only these tests; all unless told
    :returns: status by the test's name
    """
    args = ['--concurrency', str(os.cpu_count())]
    if names is not None:
        listed = folder / 'again.txt'
        listed.write_text('\n'.join(names) + '\n')
        args = ['--serial', '--load-list', str(listed)]
    return run_stestr(
        python, folder, log, ['--test-path', './nova/tests/%s' % kind],
        suites.stestr_environment(python), args)


def kept_results(prefix, inputs, run):
    """What `run` returned last time, if all inputs are the same; else anew.

    :param prefix: of the path of the file that keeps it
    :param inputs: what the results depend on, as bytes
    """
    key = hashlib.sha256(b''.join(inputs)).hexdigest()[:16]
    path = prefix.with_name('%s-%s.json' % (prefix.name, key))
    if not path.exists():
        path.write_text(json.dumps(run()))
    return json.loads(path.read_text())


def stock_results(fork, kind, keep):
    """The results of stock Nova, from an earlier run if nothing changed."""
    folder = keep / 'stock'
    pinned = fork.upstream.pinned
    # Anew: the pin may have moved, and an unpacking may have been cut off.
    shutil.rmtree(folder, ignore_errors=True)
    upstream.unpack(pinned, folder)

    def run():
        progress('upstream\'s %s tests on stock %s' % (kind, pinned))
        return run_suite(fork.python, folder, kind,
                         keep / ('stock-%s.log' % kind))

    return kept_results(
        keep / ('stock-%s' % kind),
        [pinned.sha256.encode(), (fork.root / 'constraints.txt').read_bytes()],
        run)


def fork_results(fork, kind, keep):
    folder = keep / 'fork'
    progress('upstream\'s %s tests on the fork' % kind)
    shutil.rmtree(folder, ignore_errors=True)
    tree.materialise(fork, folder)
    tree.write_metadata(folder, fork.upstream.pinned.version)
    found = run_suite(fork.python, folder, kind,
                      keep / ('fork-%s.log' % kind))
    (keep / ('fork-%s.json' % kind)).write_text(json.dumps(found))
    return found


def compare(stock, ours, own):
    """:param own: prefixes of the tests that only the fork has

    :returns: the names whose result differs or that one side lacks, sorted
    """
    return sorted(
        name for name in stock.keys() | ours.keys()
        if stock.get(name) != ours.get(name)
        and not (name not in stock and any(
            name.startswith(prefix + '.') for prefix in own)))


def report(title, stock, ours, own, run_again):
    """Print every difference, after another try, and the counts.

    :param own: as in compare()
    :param run_again: called with a side, stock or fork, and names: runs these
        tests alone
    :returns: how many tests that pass on stock do not on the fork, or fail
        that only the fork has; and the Count of the fork
    """
    differing = compare(stock, ours, own)
    if differing:
        progress('%d tests differ: once more, alone, on both sides'
                 % len(differing))
        for found, side in ((stock, 'stock'), (ours, 'fork')):
            again = [name for name in differing if name in found]
            if again:
                results = run_again(side, again)
                for name in again:
                    del found[name]
                found.update(results)
    still = compare(stock, ours, own)
    for name in sorted({*differing, *still}):
        print('%s: stock %s, fork %s%s' % (
            name, stock.get(name, 'has it not'),
            ours.get(name, 'has it not'),
            '' if name in still else ' (differed in the full run only)'))
    failed = [name for name, status in ours.items() if status == 'fail']
    broken = sum(1 for name in still if stock.get(name) == 'success')
    broken += sum(1 for name in failed if name not in stock)
    print('%s: stock %s' % (title, _count(stock)))
    print('%s: fork  %s, %d of them only the fork has' % (
        title, _count(ours), len(ours.keys() - stock.keys())))
    return broken, _count(ours)


def main(fork, kinds):
    """Compare; print every difference.

    :returns: 0 when no test that passes on stock fails on the fork
    """
    keep = fork.build / 'upstream-tests'
    keep.mkdir(parents=True, exist_ok=True)
    broken = 0
    total = suites.Count()
    for kind in kinds:
        def run_again(side, names):
            return run_suite(fork.python, keep / side, kind,
                             keep / ('%s-%s-again.log' % (side, kind)), names)

        worse, count = report(
            kind, stock_results(fork, kind, keep),
            fork_results(fork, kind, keep), suites.ours(fork, kind),
            run_again)
        broken += worse
        total += count
    print(total)
    return 1 if broken else 0


def _count(found):
    statuses = list(found.values())
    return suites.Count(
        statuses.count('success') + statuses.count('xfail'),
        statuses.count('fail') + statuses.count('uxsuccess'),
        statuses.count('skip'))
