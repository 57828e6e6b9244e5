"""The queue as one plain quilt series."""

import subprocess

import pytest

from patchqueue import patches
from patchqueue import series
from patchqueue import tree
from patchqueue import upstream
from patchqueue.errors import ForkError


def test_there_is_one_patch_per_feature(fork):
    assert series.write(fork, fork.dist / 'patches') == [
        'vendor-version.patch', 'hooks.patch']


def test_plain_patch_makes_the_tree_of_it(fork, tmp_path):
    series.write(fork, tmp_path / 'patches')
    upstream.unpack(fork.upstream.pinned, tmp_path / 'plain')
    for name in patches.series_names(tmp_path / 'patches'):
        subprocess.run(['patch', '-p1', '--fuzz=0', '--quiet', '-i',
                        tmp_path / 'patches' / name],
                       cwd=tmp_path / 'plain', check=True)
    tree.materialise(fork, tmp_path / 'tree')
    assert tree.differences(tmp_path / 'plain', tmp_path / 'tree') == []


def test_the_same_queue_gives_the_same_bytes(fork, tmp_path):
    for name in ('one', 'two'):
        series.write(fork, tmp_path / name)
    assert tree.differences(tmp_path / 'one', tmp_path / 'two') == []


def test_an_old_series_does_not_linger(fork):
    series.write(fork, fork.dist / 'patches')
    old = fork.dist / 'patches' / 'old.patch'
    old.write_text('')
    with open(fork.dist / 'patches' / 'series', 'a') as stream:
        stream.write('old.patch\n')
    series.write(fork, fork.dist / 'patches')
    assert not old.exists()


def test_a_folder_with_other_things_is_left_alone(fork, tmp_path):
    (tmp_path / 'series').write_text('theirs.patch\n')
    (tmp_path / 'theirs.patch').write_text('')
    with pytest.raises(ForkError, match='would be deleted: .*theirs.patch'):
        series.write(fork, tmp_path)
    assert (tmp_path / 'theirs.patch').exists()


@pytest.mark.parametrize('name', ['patches', 'nova', '.', 'doc/new'])
def test_the_sources_of_the_fork_are_left_alone(fake, name):
    with pytest.raises(ForkError, match='place for sources'):
        series.write(fake.fork, fake.path(name))
    assert fake.status == ''


def test_the_header_names_the_seams(fork, tmp_path):
    series.write(fork, tmp_path / 'patches')
    text = (tmp_path / 'patches' / 'hooks.patch').read_text()
    assert ' * compute-post-create-hook: Call the hooks after' in text
    assert 'Feature: hooks\n' in text
