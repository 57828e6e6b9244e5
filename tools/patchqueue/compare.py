"""Upstream's whole suites on the fork and on stock Nova, test by test.

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


def run_suite(python, folder, kind, log, names=None):
    """Run upstream's suite of a kind in a tree.

    :param names: only these tests; all unless told
    :returns: status by the test's name
    """
    path = './nova/tests/%s' % kind
    # What an earlier run left must not be taken for this one's.
    shutil.rmtree(folder / '.stestr', ignore_errors=True)
    args = ['run', '--concurrency', str(os.cpu_count())]
    if names is not None:
        listed = folder / 'again.txt'
        listed.write_text('\n'.join(names) + '\n')
        args = ['run', '--serial', '--load-list', str(listed)]
    with open(log, 'a') as out:
        subprocess.run(
            suites.stestr_command(python, path, *args), cwd=folder,
            env=suites.stestr_environment(python), stdin=subprocess.DEVNULL,
            stdout=out, stderr=subprocess.STDOUT)
        stream = subprocess.Popen(
            suites.stestr_command(python, path, 'last', '--subunit'),
            cwd=folder, env=suites.stestr_environment(python),
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    found = read_results(python, stream.stdout)
    stream.wait()
    if not found:
        raise ForkError('no test ran; see %s' % log)
    return found


def stock_results(fork, kind, keep):
    """The results of stock Nova, from an earlier run if nothing changed."""
    folder = keep / 'stock'
    pinned = fork.upstream.pinned
    # Anew: the pin may have moved, and an unpacking may have been cut off.
    shutil.rmtree(folder, ignore_errors=True)
    upstream.unpack(pinned, folder)
    key = hashlib.sha256(
        pinned.sha256.encode() + (fork.root / 'constraints.txt').read_bytes()
    ).hexdigest()[:16]
    kept = keep / ('stock-%s-%s.json' % (kind, key))
    if not kept.exists():
        progress('upstream\'s %s tests on stock %s' % (kind, pinned))
        found = run_suite(fork.python, folder, kind,
                          keep / ('stock-%s.log' % kind))
        kept.write_text(json.dumps(found))
    return json.loads(kept.read_text())


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


def main(fork, kinds):
    """Compare; print every difference.

    :returns: 0 when no test that passes on stock fails on the fork
    """
    keep = fork.build / 'upstream-tests'
    keep.mkdir(parents=True, exist_ok=True)
    broken = 0
    total = suites.Count()
    for kind in kinds:
        stock = stock_results(fork, kind, keep)
        ours = fork_results(fork, kind, keep)
        own = suites.ours(fork, kind)
        differing = compare(stock, ours, own)
        if differing:
            progress('%d tests differ: once more, alone, on both sides'
                     % len(differing))
            for found, side in ((stock, 'stock'), (ours, 'fork')):
                again = [name for name in differing if name in found]
                if again:
                    found.update(run_suite(
                        fork.python, keep / side, kind,
                        keep / ('%s-%s-again.log' % (side, kind)), again))
        still = compare(stock, ours, own)
        for name in differing:
            print('%s: stock %s, fork %s%s' % (
                name, stock.get(name, 'has it not'),
                ours.get(name, 'has it not'),
                '' if name in still else ' (differed in the full run only)'))
        failed = [name for name, status in ours.items() if status == 'fail']
        broken += sum(1 for name in still if stock.get(name) == 'success')
        broken += sum(1 for name in failed if name not in stock)
        print('%s: stock %s' % (kind, _count(stock)))
        print('%s: fork  %s, %d of them only the fork has' % (
            kind, _count(ours), len(ours.keys() - stock.keys())))
        total += _count(ours)
    print(total)
    return 1 if broken else 0


def _count(found):
    statuses = list(found.values())
    return suites.Count(
        statuses.count('success') + statuses.count('xfail'),
        statuses.count('fail') + statuses.count('uxsuccess'),
        statuses.count('skip'))
