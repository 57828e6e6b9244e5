"""The sum over the suites, and the comparison with stock."""

import re

import pytest

from patchqueue import compare
from patchqueue import suites
from patchqueue.errors import ForkError


def run(monkeypatch, fork, **counts):
    monkeypatch.setattr(suites, 'SUITES', {
        name: lambda fork, only, count=count: suites.Count(*count)
        for name, count in counts.items()})
    return suites.run_suites(fork, list(counts))


def test_the_last_line_is_the_sum(monkeypatch, fork, capsys):
    assert run(monkeypatch, fork, one=(3, 0, 1), two=(4, 0, 0)) == 0
    assert capsys.readouterr().out.splitlines()[-1] == (
        '7 passed, 0 failed, 1 skipped')


def test_one_failure_fails_all(monkeypatch, fork):
    assert run(monkeypatch, fork, one=(3, 1, 0), two=(4, 0, 0)) == 1


def test_a_suite_that_ran_nothing_has_failed(monkeypatch, fork, capsys):
    assert run(monkeypatch, fork, one=(3, 0, 0), two=(0, 0, 5)) == 1
    assert 'two: no test ran' in capsys.readouterr().out


def test_what_failed_is_told_again_at_the_end(monkeypatch, fork, capsys):
    monkeypatch.setattr(suites, 'SHOWN', 2)
    monkeypatch.setattr(suites, 'SUITES', {
        'one': lambda fork, only: suites.Count(5, 3, 0, ['a: x', 'b', 'c']),
        'two': lambda fork, only: suites.Count(1)
        + suites.Count(0, 1, 0, ['d: ' + 'y' * 1000])})
    suites.run_suites(fork, ['one', 'two'])
    shown = capsys.readouterr().out.splitlines()[-7:]
    assert shown[:3] == ['one: a: x', 'one: b', 'one: and 1 more']
    assert shown[3].startswith('two: d: yyy') and len(shown[3]) < 320
    assert shown[-1] == '6 passed, 4 failed, 0 skipped'


def test_an_unknown_suite_is_refused(fork):
    with pytest.raises(ForkError, match='no suite untit; there are tools'):
        suites.run_suites(fork, ['untit'])


def test_a_named_test_runs_in_its_suite():
    assert suites.suites_of(['nova.tests.unit.test_x']) == ['unit']
    assert suites.suites_of(['nova.tests.functional.test_x',
                             'nova.tests.unit.test_x']) == [
        'functional', 'unit']
    assert suites.suites_of([]) == list(suites.SUITES)


def test_a_name_of_no_test_is_refused():
    with pytest.raises(ForkError, match='nova.test.unit: expected a name'):
        suites.suites_of(['nova.test.unit'])


def test_our_tests_are_those_of_features_toml(fork):
    assert suites.ours(fork, 'unit') == [
        'nova.tests.unit.test_vendor_release',
        'nova.tests.unit.compute.test_hooks']
    assert suites.ours(fork, 'functional') == []


STOCK = {'a.t1': 'success', 'a.t2': 'fail', 'a.t3': 'skip'}


@pytest.mark.parametrize('ours, differing', [
    (STOCK, []),
    (dict(STOCK, **{'a.t1': 'fail'}), ['a.t1']),
    (dict(STOCK, **{'a.t2': 'success'}), ['a.t2']),
    ({'a.t1': 'success', 'a.t2': 'fail'}, ['a.t3']),
    (dict(STOCK, **{'a.new': 'success'}), ['a.new']),
    (dict(STOCK, **{'own.t1': 'success'}), []),
])
def test_every_difference_to_stock_is_named(ours, differing):
    assert compare.compare(STOCK, ours, ['own']) == differing


def fake_runs(monkeypatch, stock, ours, again):
    """Stand in for runs of an hour each; `again` are those of one test."""
    monkeypatch.setattr(compare, 'stock_results', lambda *args: dict(stock))
    monkeypatch.setattr(compare, 'fork_results', lambda *args: dict(ours))
    monkeypatch.setattr(
        compare, 'run_suite', lambda python, folder, kind, log, names: {
            name: again[folder.name] for name in names})


def test_a_test_that_we_broke_fails_the_comparison(monkeypatch, fork,
                                                   capsys):
    fake_runs(monkeypatch, STOCK, dict(STOCK, **{'a.t1': 'fail'}),
              {'stock': 'success', 'fork': 'fail'})
    assert compare.main(fork, ['unit']) == 1
    assert 'a.t1: stock success, fork fail' in capsys.readouterr().out


def test_a_test_that_only_suffered_from_the_load_is_named_and_forgiven(
        monkeypatch, fork, capsys):
    fake_runs(monkeypatch, STOCK, dict(STOCK, **{'a.t1': 'fail'}),
              {'stock': 'success', 'fork': 'success'})
    assert compare.main(fork, ['unit']) == 0
    assert '(differed in the full run only)' in capsys.readouterr().out


def test_a_failure_of_a_test_that_only_the_fork_has_counts(
        monkeypatch, fork):
    fake_runs(monkeypatch, STOCK,
              dict(STOCK, **{'nova.tests.unit.test_vendor_release.t': 'fail'}),
              {})
    assert compare.main(fork, ['unit']) == 1


@pytest.fixture
def python(tmp_path):
    """Stands in for the interpreter of a virtual environment with stestr."""
    def make(script):
        path = tmp_path / 'bin' / 'python'
        path.parent.mkdir(exist_ok=True)
        path.write_text('#!/bin/sh\n' + script)
        path.chmod(0o755)
        return str(path)
    return make


@pytest.mark.parametrize('said, status, count', [
    (' - Passed: 5\n - Skipped: 1\n - Failed: 0', 0, (5, 0, 1)),
    (' - Passed: 5\n - Expected Fail: 2\n - Failed: 3', 1, (7, 3, 0)),
    (' - Passed: 5\n - Unexpected Success: 1', 1, (5, 1, 0)),
    # A module that cannot be imported.
    ('ImportError: nova.tests.unit.test_x', 3, (0, 1, 0)),
    (' - Passed: 5\n - Failed: 0', 3, (5, 1, 0)),
])
def test_what_stestr_says_is_counted(python, tmp_path, said, status, count):
    program = python('cat <<END\n%s\nEND\nexit %d\n' % (said, status))
    assert suites.run_stestr(
        program, tmp_path, './nova/tests/unit', ['nova.tests.unit.test_x']
    ) == suites.Count(*count)


STESTR_SAID = """\
{0} nova.tests.unit.test_x.A.test_one(v2) [3.843266s] ... FAILED

Captured traceback:
~~~~~~~~~~~~~~~~~~~
    Traceback (most recent call last):

      File "/x/nova/tests/unit/test_x.py", line 3, in test_one
    self.assertEqual(1, 2)
    ^^^^^^
    testtools.matchers._impl.MismatchError: 1 != 2


Captured pythonlogging:
~~~~~~~~~~~~~~~~~~~~~~~
    2026-11-27 03:53:23 ERROR [nova] nothing to do with it

{1} nova.tests.unit.test_x.A.test_two [0.1s] ... ok
{1} setUpClass (nova.tests.unit.test_x.B) ... FAILED
{1} nova.tests.unit.test_x.A.test_three [0.1s] ... FAILED

Captured traceback:
~~~~~~~~~~~~~~~~~~~
    fixtures._fixtures.timeout.TimeoutException

Captured traceback-1:
~~~~~~~~~~~~~~~~~~~~~
    ValueError: of a clean-up

==============================
Failed 3 tests - output below:
==============================

nova.tests.unit.test_x.A.test_one(v2)
-------------------------------------

Captured traceback:
~~~~~~~~~~~~~~~~~~~
    testtools.matchers._impl.MismatchError: 1 != 2

 - Passed: 1
 - Failed: 3
"""


def test_what_stestr_says_of_a_failure_is_kept(python, tmp_path):
    program = python("cat <<'END'\n%sEND\nexit 1\n" % STESTR_SAID)
    assert suites.run_stestr(
        program, tmp_path, './nova/tests/unit', ['nova.tests.unit.test_x']
    ).failures == [
        'nova.tests.unit.test_x.A.test_one(v2): '
        'testtools.matchers._impl.MismatchError: 1 != 2',
        'setUpClass (nova.tests.unit.test_x.B)',
        'nova.tests.unit.test_x.A.test_three: '
        'fixtures._fixtures.timeout.TimeoutException']


def test_a_name_selects_its_own_tests_only(python, tmp_path):
    program = python('for last; do :; done; echo "$last" > %s/pattern\n'
                     % tmp_path)
    suites.run_stestr(program, tmp_path, './nova/tests/unit',
                      ['nova.tests.unit.test_policy'])
    pattern = (tmp_path / 'pattern').read_text().strip()
    assert re.search(pattern, 'nova.tests.unit.test_policy.Case.test')
    assert not re.search(pattern, 'nova.tests.unit.test_policy_new.Case.test')


@pytest.mark.parametrize('text, count', [
    ('def test_a(): pass\ndef test_b(): assert 0\n', (1, 1, 0)),
    ('import pytest\n@pytest.fixture\ndef broken(): assert 0\n'
     'def test_a(broken): pass\n', (0, 1, 0)),
    ('import pytest\ndef test_a(): pytest.skip("no")\n'
     'def test_b(): pass\n', (1, 0, 1)),
    ('import nothing_of_the_kind\n', (0, 1, 0)),
])
def test_what_pytest_finds_is_counted(fork, text, count):
    fork.build.mkdir(exist_ok=True)
    (fork.root / 'test_made_up.py').write_text(text)
    ran = suites.run_pytest(fork, 'test_made_up.py')
    assert ran == suites.Count(*count)
    assert len(ran.failures) == ran.failed
    assert all('test_made_up' in line for line in ran.failures)


@pytest.fixture
def runs(fake, monkeypatch):
    """Notes which tree a suite is run in; the run itself takes an hour."""
    fake.write('constraints.txt', 'pbr==6.0.0\n')
    made = []

    def run_suite(python, folder, kind, log, names=None):
        made.append((folder.name, {
            path: (folder / path).read_text()
            for path in ('nova/compute/manager.py', 'nova/version.py')}))
        return {'nova.tests.unit.test_version.t': 'success'}

    monkeypatch.setattr(compare, 'run_suite', run_suite)
    return made


def test_stock_is_pristine_and_the_fork_is_whole(fork, runs):
    assert compare.main(fork, ['unit']) == 0
    (stock, old), (ours, new) = runs
    assert (stock, ours) == ('stock', 'fork')
    assert 'vendor_release' not in old['nova/version.py']
    assert 'vendor_release' in new['nova/version.py']


def test_stocks_results_are_used_again(fork, runs):
    compare.main(fork, ['unit'])
    compare.main(fork, ['unit'])
    assert [side for side, _ in runs] == ['stock', 'fork', 'fork']


def test_after_the_pin_has_moved_stock_is_the_new_release(fake, runs):
    compare.main(fake.fork, ['unit'])
    fake.edit('upstream.toml', 'pinned = "29.4.0"', 'pinned = "29.5.0"')
    compare.stock_results(fake.fork, 'unit',
                          fake.fork.build / 'upstream-tests')
    assert 'import threading' in runs[-1][1]['nova/compute/manager.py']
