"""Fetching releases through pip, and reading upstream.toml."""

import os
import pathlib

import pytest

from patchqueue import upstream
from patchqueue.errors import ForkError


def test_a_release_is_fetched_and_kept_under_its_sha256(fork, monkeypatch,
                                                        tmp_path):
    monkeypatch.setenv('FORK_CACHE', str(tmp_path / 'cache'))
    kept = upstream.fetch(fork.upstream.pinned)
    assert upstream.sha256(kept) == fork.upstream.pinned.sha256
    assert kept.parent.name == fork.upstream.pinned.sha256


def test_a_kept_release_needs_no_index(fork, monkeypatch, tmp_path):
    kept = upstream.fetch(fork.upstream.pinned)
    monkeypatch.setenv('PIP_FIND_LINKS', str(tmp_path / 'nothing'))
    assert upstream.fetch(fork.upstream.pinned) == kept


def test_a_damaged_file_in_the_cache_is_fetched_again(fork, monkeypatch,
                                                      tmp_path):
    monkeypatch.setenv('FORK_CACHE', str(tmp_path / 'cache'))
    kept = upstream.fetch(fork.upstream.pinned)
    kept.write_bytes(kept.read_bytes()[:100])
    kept = upstream.fetch(fork.upstream.pinned)
    assert upstream.sha256(kept) == fork.upstream.pinned.sha256


def test_a_wheel_is_fetched_where_there_is_no_sdist(fork):
    assert upstream.fetch(fork.upstream.get('29.0.0')).suffix == '.whl'


def test_a_wrong_sha256_is_refused_and_not_kept(fake, monkeypatch, tmp_path):
    monkeypatch.setenv('FORK_CACHE', str(tmp_path / 'cache'))
    right = fake.fork.upstream.pinned.sha256
    fake.edit('upstream.toml', right, 'f' * 64)
    with pytest.raises(ForkError,
                       match='wrong sha256.*the index has ' + right):
        upstream.fetch(fake.fork.upstream.pinned)
    assert not list(pathlib.Path(tmp_path / 'cache').rglob('*.tar.gz'))


def test_a_missing_release_is_named_with_those_there_are(fake):
    fake.write('upstream.toml', fake.read('upstream.toml')
               + '[[release]]\nversion = "29.9.9"\nsha256 = "%s"\n'
               % ('e' * 64))
    with pytest.raises(ForkError, match='no sdist of this release.*29.4.0'):
        upstream.fetch(fake.fork.upstream.get('29.9.9'))


def test_an_index_that_cannot_be_reached_is_said_so(fork, monkeypatch,
                                                    tmp_path):
    monkeypatch.setenv('FORK_CACHE', str(tmp_path / 'cache'))
    monkeypatch.delenv('PIP_NO_INDEX')
    monkeypatch.delenv('PIP_FIND_LINKS')
    # Nothing listens on this port of the loopback.
    monkeypatch.setenv('PIP_INDEX_URL', 'http://127.0.0.1:9/simple')
    monkeypatch.setenv('PIP_RETRIES', '0')
    with pytest.raises(ForkError, match='index cannot be reached'):
        upstream.fetch(fork.upstream.pinned)


def test_a_download_that_breaks_off_leaves_nothing_in_the_cache(
        fake, monkeypatch, tmp_path):
    monkeypatch.setenv('FORK_CACHE', str(tmp_path / 'cache'))
    cut = tmp_path / 'cut'
    cut.mkdir()
    whole = fake.upstream.folder / 'nova-29.4.0.tar.gz'
    (cut / whole.name).write_bytes(whole.read_bytes()[:-200])
    monkeypatch.setenv('PIP_FIND_LINKS', str(cut))
    with pytest.raises(ForkError):
        upstream.fetch(fake.fork.upstream.pinned)
    assert not [p for p in (tmp_path / 'cache').rglob('*') if p.is_file()]


def test_unpack_gives_the_files_without_the_leading_folder(fork, tmp_path):
    found = upstream.unpack(fork.upstream.pinned, tmp_path / 'tree')
    assert 'nova/version.py' in found
    assert (tmp_path / 'tree' / 'nova' / 'version.py').exists()
    assert os.access(tmp_path / 'tree' / 'setup.py', os.X_OK)


@pytest.mark.parametrize('old, new, message', [
    ('pinned = "29.4.0"', 'pinned = "1.2.3"', '1.2.3 has no'),
    ('pinned = "29.4.0"', '', 'needs pinned'),
    ('name = "nova"', 'name = nova', 'upstream.toml: '),
    ('version = "29.3.0"', 'version = "29.4.0"', '29.4.0 is listed twice'),
    ('version = "29.3.0"', 'version = "29.3"', "'29.3' is not of the form"),
    ('version = "29.3.0"', 'version = "29.3.0"\ncolour = "red"',
     'unknown keys colour'),
    ('artifact = "wheel"', 'artifact = "egg"', "'egg' is none of"),
])
def test_a_mistake_in_upstream_toml_is_named(fake, old, new, message):
    fake.edit('upstream.toml', old, new)
    with pytest.raises(ForkError, match=message):
        fake.fork.upstream


def test_a_short_sha256_is_named(fake):
    fake.edit('upstream.toml', fake.fork.upstream.pinned.sha256, 'abc')
    with pytest.raises(ForkError, match="29.4.0.*'abc' is not 64"):
        fake.fork.upstream


def test_a_release_that_is_not_listed_says_what_to_do(fork):
    with pytest.raises(ForkError, match=r'29.9.0 is not listed.*\[\[release'):
        fork.upstream.get('29.9.0')


def test_pin_changes_the_version_and_nothing_else(fake):
    before = fake.read('upstream.toml')
    upstream.pin(fake.path('upstream.toml'), '29.5.0')
    assert fake.fork.upstream.pinned.version == '29.5.0'
    assert fake.read('upstream.toml') == before.replace(
        'pinned = "29.4.0"', 'pinned = "29.5.0"')
