"""The Novas that a cloud of real services gets beside that of the tree."""

import pathlib
import sys
import tarfile

import pytest

ROOT = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / 'devcloud/real'))

import provide  # noqa: E402


@pytest.fixture(autouse=True)
def _of_the_small_fork(fake, monkeypatch):
    monkeypatch.setattr(provide, 'FORK', fake.fork)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / 'build/stock'


def _version(folder):
    return (folder / 'nova/version.py').read_text()


def test_stock_is_the_pinned_release_without_our_changes(fake, folder):
    assert provide.main('stock', str(folder)) is None
    assert _version(folder) == fake.upstream.files['29.4.0'][
        'nova/version.py']
    assert not (folder.with_suffix('.new')).exists()


def test_stock_that_is_there_is_left_as_it_is(folder):
    provide.main('stock', str(folder))
    (folder / 'byte-code').touch()
    provide.main('stock', str(folder))
    assert (folder / 'byte-code').exists()


def test_another_pin_replaces_stock(fake, folder):
    provide.main('stock', str(folder))
    (folder / 'of-the-old-one').touch()
    fake.edit('upstream.toml', 'pinned = "29.4.0"', 'pinned = "29.5.0"')
    provide.FORK = fake.fork
    assert provide.main('stock', str(folder)) is None
    assert 'wherever it fits' in (
        folder / 'nova/compute/manager.py').read_text()
    assert not (folder / 'of-the-old-one').exists()


def test_stock_that_was_half_unpacked_is_unpacked_again(folder):
    half = folder.with_suffix('.new')
    half.mkdir(parents=True)
    (half / 'left-over').touch()
    assert provide.main('stock', str(folder)) is None
    assert 'OpenStack Nova' in _version(folder)
    assert not (folder / 'left-over').exists()


def test_a_release_that_cannot_be_had_is_named(folder, monkeypatch, tmp_path):
    monkeypatch.setenv('FORK_CACHE', str(tmp_path / 'empty'))
    monkeypatch.setenv('PIP_FIND_LINKS', str(tmp_path / 'nothing'))
    said = provide.main('stock', str(folder))
    assert said.startswith('error: ')
    assert '29.4.0' in said
    assert not folder.exists()


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Debs of which a system is made, in place of the real one's minutes.

    Each system has a file with their names; the list grows with each.
    """
    made, debs = [], [tmp_path / 'nova-api_1_all.deb']
    debs[0].write_bytes(b'one')

    def install(debs, cache, path):
        made.append([deb.read_bytes() for deb in debs])
        content = path.with_suffix('.content')
        content.write_bytes(b' '.join(made[-1]))
        with tarfile.open(path, 'w') as archive:
            archive.add(content, './debs')
        content.unlink()

    monkeypatch.setattr(provide, '_install', install)
    monkeypatch.setattr(provide.built_debs, 'all_debs', lambda fork: debs)
    monkeypatch.setattr(provide.deb_root, 'base',
                        lambda cache: cache / 'base.tar')
    return debs, made


def test_one_system_with_the_packages_serves_each_cloud(tmp_path, installed):
    _debs, made = installed
    for name in ('one', 'two'):
        assert provide.main('packages', str(tmp_path),
                            str(tmp_path / name)) is None
        assert (tmp_path / name / 'debs').read_bytes() == b'one'
    assert len(made) == 1


def test_other_packages_make_another_system(tmp_path, installed):
    debs, made = installed
    provide.main('packages', str(tmp_path), str(tmp_path / 'one'))
    debs[0].write_bytes(b'other')
    provide.main('packages', str(tmp_path), str(tmp_path / 'two'))
    assert (tmp_path / 'two/debs').read_bytes() == b'other'
    assert len(made) == 2
    # The old one, of hundreds of megabytes, is not kept.
    assert len(list(tmp_path.glob('nova-root-*.tar'))) == 1


def test_a_system_that_is_cut_off_is_not_taken_for_a_whole_one(
        tmp_path, installed):
    provide.main('packages', str(tmp_path), str(tmp_path / 'one'))
    archive, = tmp_path.glob('nova-root-*.tar')
    whole = archive.read_bytes()
    archive.write_bytes(whole[:700])
    assert provide.main('packages', str(tmp_path),
                        str(tmp_path / 'two')).startswith('error: ')
    assert not (tmp_path / 'two').exists()
    archive.write_bytes(whole)
    assert provide.main('packages', str(tmp_path),
                        str(tmp_path / 'two')) is None


def test_what_this_machine_lacks_is_said(tmp_path, installed, monkeypatch):
    def missing(cache):
        raise provide.deb_root.Missing('mmdebstrap is not installed')

    monkeypatch.setattr(provide.deb_root, 'base', missing)
    assert provide.main('packages', str(tmp_path), str(tmp_path / 'one')) == (
        'error: mmdebstrap is not installed')
