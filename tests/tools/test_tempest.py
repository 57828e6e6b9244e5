"""The comparison of Tempest's results; a run itself takes minutes."""

import re

import pytest

from patchqueue import tempest
from patchqueue.errors import ForkError

CLASS = 'tempest.api.compute.test_x.XTest'
NAMES = [CLASS + '.test_one[id-1,smoke]', CLASS + '.test_two[id-2]']
WHOLE = 'setUpClass (%s)' % CLASS
PASSED = dict.fromkeys(NAMES, 'success')


def selected(*names):
    pattern = re.compile(tempest.alone(names))
    return [name for name in (*NAMES, CLASS + 'V2.test_one[id-3]',
                              CLASS + '.test_one[id-1,smoke]more')
            if pattern.search(name)]


def test_a_test_is_selected_by_its_name():
    assert selected(NAMES[0]) == NAMES[:1]
    assert selected(*NAMES) == NAMES


@pytest.mark.parametrize('name', [WHOLE, 'tearDownClass (%s)' % CLASS])
def test_with_its_class_a_test_is_selected(name):
    assert selected(name)[:2] == NAMES
    assert CLASS + 'V2.test_one[id-3]' not in selected(name)


@pytest.fixture
def runs(fake, monkeypatch):
    """The results of the next runs by side, and the runs that were made."""
    fake.write('constraints.txt', 'tempest==38.0.0\n')
    next_results, made = {'stock': [], 'fork': []}, []

    def run(fork, side, pattern, log, *how):
        made.append((side, pattern, how[0]))
        return dict(next_results[side].pop(0))

    monkeypatch.setattr(tempest, 'run', run)
    return next_results, made


def test_the_same_results_are_agreed_on(fork, runs, capsys):
    results, made = runs
    results.update(stock=[PASSED], fork=[PASSED])
    assert tempest.main(fork) == 0
    assert [side for side, _, _ in made] == ['stock', 'fork']
    assert capsys.readouterr().out.splitlines()[-1] == (
        '2 passed, 0 failed, 0 skipped')


def test_a_class_that_fails_as_a_whole_runs_alone_as_a_whole(
        fork, runs, capsys):
    results, made = runs
    results.update(stock=[PASSED, PASSED], fork=[{WHOLE: 'fail'}, PASSED])
    assert tempest.main(fork) == 0
    _, pattern, how = made[-1]
    assert how == '--serial'
    assert re.search(pattern, NAMES[1])
    said = capsys.readouterr().out
    assert '%s: stock success, fork success (differed in the full run only)' \
        % NAMES[0] in said
    assert said.splitlines()[-1] == '2 passed, 0 failed, 0 skipped'


def test_a_class_that_fails_again_fails_the_comparison(fork, runs, capsys):
    results, _ = runs
    results.update(stock=[PASSED, PASSED], fork=[{WHOLE: 'fail'}] * 2)
    assert tempest.main(fork) == 1
    assert '%s: stock success, fork has it not' % NAMES[0] in (
        capsys.readouterr().out)


def test_a_test_that_is_skipped_on_the_fork_only_fails_the_comparison(
        fork, runs):
    results, _ = runs
    ours = dict(PASSED, **{NAMES[0]: 'skip'})
    results.update(stock=[PASSED] * 2, fork=[ours] * 2)
    assert tempest.main(fork) == 1


def test_a_test_that_fails_on_both_sides_is_no_difference(fork, runs):
    results, _ = runs
    both = dict(PASSED, **{NAMES[0]: 'fail'})
    results.update(stock=[both], fork=[both])
    assert tempest.main(fork) == 0


@pytest.mark.parametrize('status', ['skip', 'fail'])
def test_without_a_test_that_passes_nothing_is_shown(fork, runs, status):
    results, _ = runs
    results.update(stock=[{WHOLE: status}], fork=[{WHOLE: status}])
    with pytest.raises(ForkError, match='none of .*compute.* passed'):
        tempest.main(fork)


def test_stocks_results_are_used_until_the_cloud_changes(fake, runs):
    results, made = runs
    results.update(stock=[PASSED] * 2, fork=[PASSED] * 3)
    tempest.main(fake.fork)
    tempest.main(fake.fork)
    fake.write('devcloud/real/settings.py', 'x = 1\n')
    tempest.main(fake.fork)
    assert [side for side, _, _ in made] == [
        'stock', 'fork', 'fork', 'stock', 'fork']
