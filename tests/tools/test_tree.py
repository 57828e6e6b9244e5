"""build/tree: put together, worked in, and never thrown away with work."""

import concurrent.futures
import os
import subprocess
import sys

import pytest

from patchqueue import tree
from patchqueue.errors import ForkError

MANAGER = 'nova/compute/manager.py'


def quilt(fake, *args):
    return tree.quilt(fake.fork.tree, fake.path('patches'), *args)


def test_the_tree_is_upstream_with_overlay_and_seams(fork):
    tree.make(fork)
    assert (fork.tree / 'README.rst').exists()
    assert 'post_create' in (fork.tree / MANAGER).read_text()
    assert (fork.tree / 'nova/compute/hooks.py').read_text() == (
        fork.root / 'nova/compute/hooks.py').read_text()
    assert (fork.tree / 'etc/nova/release').read_text() == (
        fork.release.release_file)


def test_the_tree_passes_the_tests_of_the_overlay(fork):
    tree.make(fork)
    subprocess.run([sys.executable, '-m', 'unittest', 'discover', '-q',
                    '-t', '.', 'nova/tests'], cwd=fork.tree, check=True)


def test_an_edit_of_an_overlay_file_is_live(fake):
    tree.make(fake.fork)
    fake.edit('nova/compute/hooks.py', 'called = []', 'called = [1]')
    assert 'called = [1]' in (
        fake.fork.tree / 'nova/compute/hooks.py').read_text()


@pytest.mark.parametrize('path', [
    'nova/compute/more.py', 'api-ref/source/more.inc',
    'doc/api_samples/more/get.json'])
def test_new_and_vanished_overlay_files_are_followed(fake, path):
    tree.make(fake.fork)
    fake.write(path, '# More.\n')
    tree.make(fake.fork)
    assert (fake.fork.tree / path).read_text() == '# More.\n'
    fake.remove(path)
    tree.make(fake.fork)
    assert not os.path.lexists(fake.fork.tree / path)


def test_our_own_pages_are_no_part_of_the_tree(fake):
    fake.write('doc/operator/more.md', '# More\n')
    tree.make(fake.fork)
    assert not (fake.fork.tree / 'doc/operator').exists()


def test_a_seam_is_edited_with_quilt(fake):
    tree.make(fake.fork)
    file = fake.fork.tree / MANAGER
    file.write_text(file.read_text().replace(
        "hooks.call('post_delete', server)",
        "hooks.call('after_delete', server)"))
    quilt(fake, 'refresh')
    assert '+        hooks.call(\'after_delete\', server)' in fake.read(
        'patches/compute-post-delete-hook.patch')
    tree.make(fake.fork)
    assert 'after_delete' in file.read_text()


def test_a_refresh_without_an_edit_changes_no_byte(fake):
    tree.make(fake.fork)
    before = fake.read('patches/compute-post-delete-hook.patch')
    tree.quilt(fake.fork.tree, fake.path('patches'), 'refresh', check=False)
    assert fake.read('patches/compute-post-delete-hook.patch') == before


def test_a_changed_patch_is_taken_up(fake):
    tree.make(fake.fork)
    fake.edit('patches/compute-post-create-hook.patch',
              "+        hooks.call('post_create', server)",
              "+        hooks.call('created', server)")
    tree.make(fake.fork)
    assert "'created'" in (fake.fork.tree / MANAGER).read_text()


def test_edits_that_are_in_no_patch_are_not_thrown_away(fake):
    tree.make(fake.fork)
    file = fake.fork.tree / MANAGER
    file.write_text(file.read_text() + '# Precious.\n')
    fake.edit('patches/version-shows-vendor.patch', 'It is a test', 'It is')
    with pytest.raises(ForkError, match='(?s)in no patch.*' + MANAGER):
        tree.make(fake.fork)
    assert file.read_text().endswith('# Precious.\n')
    tree.make(fake.fork, discard=True)
    assert 'Precious' not in file.read_text()


def test_a_new_file_in_the_tree_is_not_thrown_away(fake):
    tree.make(fake.fork)
    (fake.fork.tree / 'nova/new.py').write_text('# New.\n')
    fake.edit('patches/version-shows-vendor.patch', 'It is a test', 'It is')
    with pytest.raises(ForkError, match='nova/new.py'):
        tree.make(fake.fork)


def test_an_edit_that_is_not_refreshed_is_named_every_time(fake, capsys):
    tree.make(fake.fork)
    file = fake.fork.tree / MANAGER
    file.write_text(file.read_text() + '# Precious.\n')
    tree.make(fake.fork)
    assert MANAGER in capsys.readouterr().err
    assert file.read_text().endswith('# Precious.\n')


def test_a_new_file_in_a_folder_called_build_is_not_thrown_away(fake):
    tree.make(fake.fork)
    (fake.fork.tree / 'nova/build').mkdir()
    (fake.fork.tree / 'nova/build/new.py').write_text('# New.\n')
    fake.edit('patches/version-shows-vendor.patch', 'It is a test', 'It is')
    with pytest.raises(ForkError, match='nova/build/new.py'):
        tree.make(fake.fork)


@pytest.mark.parametrize('edit', [False, True])
def test_a_tree_with_patches_popped_is_not_taken_for_the_fork(fake, edit):
    tree.make(fake.fork)
    quilt(fake, 'pop')
    if edit:
        fake.edit('patches/version-shows-vendor.patch', 'It is a', 'It is no')
    with pytest.raises(ForkError, match='(?s)not all patches.*push -a'):
        tree.make(fake.fork)
    quilt(fake, 'push', '-a')
    tree.make(fake.fork)


def test_a_file_in_the_place_of_a_link_is_named_for_what_it_is(fake):
    tree.make(fake.fork)
    file = fake.fork.tree / 'nova/compute/hooks.py'
    text = file.read_text()
    file.unlink()
    file.write_text(text + '# Precious.\n')
    with pytest.raises(ForkError, match='no link to nova/compute/hooks.py'):
        tree.make(fake.fork)
    file.write_text(text)
    tree.make(fake.fork)
    assert file.is_symlink()


def test_the_users_quilt_settings_do_not_matter(fake, monkeypatch):
    monkeypatch.setenv('QUILT_SERIES', 'debian')
    monkeypatch.setenv('QUILT_REFRESH_ARGS', '-p1')
    tree.make(fake.fork)
    assert 'post_create' in (fake.fork.tree / MANAGER).read_text()


def test_two_at_the_same_time_wait_for_each_other(fake):
    with concurrent.futures.ThreadPoolExecutor() as pool:
        list(pool.map(lambda _: tree.make(fake.fork, discard=True), range(3)))
    assert 'post_create' in (fake.fork.tree / MANAGER).read_text()


def test_a_patch_that_needs_fuzz_is_refused(fake):
    fake.edit('patches/compute-post-create-hook.patch',
              '         self.spawn(server)\n', '         self.spown(server)\n')
    with pytest.raises(ForkError, match='compute-post-create-hook'):
        tree.make(fake.fork)
    assert not fake.fork.tree.exists()


def test_a_patch_that_fails_leaves_the_old_tree(fake):
    tree.make(fake.fork)
    fake.edit('patches/compute-post-create-hook.patch',
              '         self.spawn(server)\n', '         self.spown(server)\n')
    with pytest.raises(ForkError):
        tree.make(fake.fork)
    assert 'post_create' in (fake.fork.tree / MANAGER).read_text()


def test_an_overlay_file_cannot_hide_one_of_upstream(fake):
    fake.write('nova/version.py', '# Ours.\n')
    with pytest.raises(ForkError, match='nova/version.py: upstream has'):
        tree.make(fake.fork)


def test_the_metadata_lists_our_files_that_are_not_python(fake):
    fake.write('nova/compute/rules.json', '{}\n')
    tree.make(fake.fork)
    assert 'nova/compute/rules.json' in (
        fake.fork.tree / 'nova.egg-info/SOURCES.txt').read_text().split()


def test_a_release_change_alone_reaches_the_tree(fake):
    tree.make(fake.fork)
    fake.edit('CHANGES.mycompany', 'mycompany-2024.1.1', 'mycompany-2024.1.2')
    tree.make(fake.fork)
    assert 'mycompany-2024.1.2' in (
        fake.fork.tree / 'etc/nova/release').read_text()
