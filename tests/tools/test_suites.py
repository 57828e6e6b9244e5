"""The sum over the suites, and the comparison with stock."""

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


def fake_runs(monkeypatch, tmp_path, stock, ours, again):
    """Stand in for runs of an hour each; `again` are those of one test."""
    monkeypatch.setattr(compare, 'stock_results', lambda *args: dict(stock))
    monkeypatch.setattr(compare, 'fork_results', lambda *args: dict(ours))
    monkeypatch.setattr(
        compare, 'run_suite', lambda python, folder, kind, log, names: {
            name: again[folder.name] for name in names})


def test_a_test_that_we_broke_fails_the_comparison(monkeypatch, fork, tmp_path,
                                                   capsys):
    fake_runs(monkeypatch, tmp_path, STOCK, dict(STOCK, **{'a.t1': 'fail'}),
              {'stock': 'success', 'fork': 'fail'})
    assert compare.main(fork, ['unit']) == 1
    assert 'a.t1: stock success, fork fail' in capsys.readouterr().out


def test_a_test_that_only_suffered_from_the_load_is_named_and_forgiven(
        monkeypatch, fork, tmp_path, capsys):
    fake_runs(monkeypatch, tmp_path, STOCK, dict(STOCK, **{'a.t1': 'fail'}),
              {'stock': 'success', 'fork': 'success'})
    assert compare.main(fork, ['unit']) == 0
    assert '(differed in the full run only)' in capsys.readouterr().out


def test_a_failure_of_a_test_that_only_the_fork_has_counts(
        monkeypatch, fork, tmp_path):
    fake_runs(monkeypatch, tmp_path, STOCK,
              dict(STOCK, **{'nova.tests.unit.test_vendor_release.t': 'fail'}),
              {})
    assert compare.main(fork, ['unit']) == 1
