"""Fixtures of the tools' tests: the small fork of fake_fork.py."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / 'tools'))

import fake_fork  # noqa: E402


@pytest.fixture(scope='session', autouse=True)
def _no_git_configuration():
    """Nobody's own git configuration, as hooks, gets into the tests' git."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv('GIT_CONFIG_GLOBAL', '/dev/null')
        patched.setenv('GIT_CONFIG_NOSYSTEM', '1')
        yield


@pytest.fixture(scope='session')
def _template(tmp_path_factory):
    folder = tmp_path_factory.mktemp('fake')
    releases = fake_fork.FakeUpstream(folder / 'releases')
    return fake_fork.create(folder / 'fork', releases)


@pytest.fixture
def fake(_template, tmp_path, tmp_path_factory, monkeypatch):
    """A small fork of its own for each test: a FakeFork.

    pip finds the small Nova's releases only, and what it fetched is kept for
    the other tests of the run. `patchqueue.fork.Fork()` is this fork.
    """
    made = _template.copy(tmp_path / 'fork')
    for name, value in made.upstream.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv('FORK_CACHE',
                       str(tmp_path_factory.getbasetemp() / 'cache'))
    monkeypatch.setenv('FORK_ROOT', str(made.root))
    return made


@pytest.fixture
def fork(fake):
    """The small fork as it is, for tests that only read it."""
    return fake.fork
