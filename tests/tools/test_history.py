"""tools/branch.sh: the queue as commits, and back."""

import os
import pathlib
import re
import subprocess

import fake_fork
import pytest
from patchqueue import check
from patchqueue import history
from patchqueue import tree
from patchqueue import upstream
from patchqueue.errors import ForkError

BRANCH = 'mycompany/2024.1'
CREATE = 'patches/compute-post-create-hook.patch'
DELETE = 'patches/compute-post-delete-hook.patch'
VERSION = 'patches/version-shows-vendor.patch'


class Branch:
    """The exported repository, and the user who works in it."""

    def __init__(self, fake):
        self.fake = fake
        self.folder = fake.root / 'build/branch'

    def export(self):
        history.export(self.fake.fork, self.folder)
        return self

    def take(self, **options):
        return history.import_(self.fake.fork, self.folder, **options)

    def git(self, *args, **env):
        return subprocess.run(
            ['git', *args], cwd=self.folder, text=True, check=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env=dict(os.environ, GIT_EDITOR='true', **env)).stdout.strip()

    def path(self, name):
        return self.folder / name

    def edit(self, name, old, new):
        text = self.path(name).read_text()
        assert text.count(old) == 1
        self.path(name).write_text(text.replace(old, new))

    def write(self, name, text):
        self.path(name).parent.mkdir(parents=True, exist_ok=True)
        self.path(name).write_text(text)

    def commit(self, message, *options):
        self.git('add', '--all')
        self.git('commit', '--quiet', '-m', message, *options)

    def amend(self):
        self.git('commit', '--quiet', '--all', '--amend', '--no-edit')

    def find(self, subject):
        return self.git('log', '-1', '--format=%H', '--grep=^' + subject)

    def fixup(self, subject):
        self.git('add', '--all')
        self.git('commit', '--quiet', '--fixup', self.find(subject))
        self.git('rebase', '--interactive', '--autosquash',
                 'upstream/29.4.0', GIT_SEQUENCE_EDITOR='true')

    def sequence(self, script):
        """Rebase with the list of commits as sed's `script` makes it."""
        self.git('rebase', '--interactive', 'upstream/29.4.0',
                 GIT_SEQUENCE_EDITOR='sed -i "%s"' % script)


@pytest.fixture
def branch(fake):
    return Branch(fake).export()


def seam(feature='hooks', name='manager-reboot-hook.patch'):
    return 'Call the hooks after a reboot\n\n%s\nQueue-Patch: %s' % (
        fake_fork.header(feature, 'Call the hooks after a reboot',
                         'nova.tests.unit.test_x.Case'), name)


def add_reboot(branch):
    branch.edit('nova/compute/manager.py',
                "= 'rebooting'\n",
                "= 'rebooting'\n        hooks.call('reboot', server)\n")


# --- export -----------------------------------------------------------------

def test_the_branch_is_upstream_then_per_feature_its_files_and_seams(branch):
    assert branch.git('log', '--reverse', '--format=%s').splitlines() == [
        'nova 29.4.0',
        'vendor-version: new files',
        'version-shows-vendor: Show the vendor in the version',
        'setup-install-release-file: Install etc/nova/release with the '
        'package',
        'hooks: new files',
        'compute-post-create-hook: Call the hooks after a server is built',
        'compute-post-delete-hook: Call the hooks after a server is deleted']


def test_the_base_commit_is_the_whole_sdist(branch):
    assert set(branch.git('ls-tree', '-r', '--name-only',
                          'upstream/29.4.0').splitlines()) == upstream.paths(
        branch.fake.fork.upstream.pinned)


def test_the_tip_is_the_tree_of_the_fork(branch, tmp_path):
    tree.materialise(branch.fake.fork, tmp_path / 'tree')
    assert [line for line in tree.differences(branch.folder,
                                              tmp_path / 'tree')
            if '.git/' not in line] == []


def test_the_release_file_comes_with_the_version_feature(branch):
    first = branch.git('log', '--format=%s', '--', 'etc/nova/release')
    assert first == 'vendor-version: new files'


def test_the_same_queue_gives_the_same_commits(branch, tmp_path):
    history.export(branch.fake.fork, tmp_path / 'other')
    other = subprocess.check_output(
        ['git', 'rev-parse', 'HEAD'], cwd=tmp_path / 'other', text=True)
    assert other.strip() == branch.git('rev-parse', 'HEAD')


def test_author_and_date_are_those_of_the_patch(fake):
    fake.edit(CREATE, fake_fork.WHO, 'Ann Other <ann@mycompany.example>')
    fake.edit(CREATE, '2026-11-23', '2026-10-01')
    branch = Branch(fake).export()
    commit = branch.find('compute-post-create-hook')
    assert branch.git('log', '-1', '--format=%an %ae %aI', commit) == (
        'Ann Other ann@mycompany.example 2026-10-01T00:00:00+00:00')


def test_the_message_carries_the_header_word_for_word(branch):
    text = branch.fake.read(CREATE).partition('\n\n--- ')[0]
    commit = branch.find('compute-post-create-hook')
    assert text in branch.git('log', '-1', '--format=%B', commit)


def test_the_users_git_configuration_changes_nothing(
        branch, tmp_path, monkeypatch):
    hooks = tmp_path / 'home/hooks'
    hooks.mkdir(parents=True)
    for name in ('pre-commit', 'post-checkout', 'pre-rebase'):
        (hooks / name).write_text('#!/bin/sh\nexit 1\n')
        (hooks / name).chmod(0o755)
    (tmp_path / 'home/ignore').write_text('*.py\n')
    (tmp_path / 'home/attributes').write_text('* text eol=crlf ident\n')
    (tmp_path / 'home/.gitconfig').write_text(
        '[core]\nautocrlf = true\nhooksPath = %s\nexcludesFile = ~/ignore\n'
        'attributesFile = ~/attributes\n[commit]\ngpgSign = true\n'
        '[diff]\nnoprefix = true\n[user]\nname = Somebody\n'
        '[init]\ntemplateDir = ~/hooks\n' % hooks)
    monkeypatch.setenv('HOME', str(tmp_path / 'home'))
    for name in ('XDG_CONFIG_HOME', 'GIT_CONFIG_GLOBAL',
                 'GIT_CONFIG_NOSYSTEM'):
        monkeypatch.delenv(name, raising=False)
    history.export(branch.fake.fork, tmp_path / 'other')
    assert subprocess.check_output(
        ['git', 'rev-parse', 'HEAD'], cwd=tmp_path / 'other', text=True
    ).strip() == branch.git('rev-parse', 'HEAD')
    # Nor does it in the user's own commits there.
    add_reboot(branch)
    branch.fixup('compute-post-create-hook')
    assert list(branch.take()) == [CREATE, DELETE]
    assert '\r' not in branch.fake.read(CREATE)


def test_quotes_in_the_maintainers_name_are_kept(fake):
    fake.edit('CHANGES.mycompany', 'nova-mycompany developers',
              r'The "nova" developers \o/')
    branch = Branch(fake).export()
    branch.edit('nova/compute/hooks.py', 'tiny', 'small')
    branch.commit('Say small')
    assert branch.git('log', '-1', '--format=%an') == (
        r'The "nova" developers \o/')


def test_the_git_of_these_tests_knows_no_configuration_of_the_users(
        fake, tmp_path, monkeypatch):
    (tmp_path / 'home').mkdir()
    (tmp_path / 'home/pre-commit').write_text('#!/bin/sh\nexit 1\n')
    (tmp_path / 'home/pre-commit').chmod(0o755)
    (tmp_path / 'home/.gitconfig').write_text('[core]\nhooksPath = ~\n')
    monkeypatch.setenv('HOME', str(tmp_path / 'home'))
    fake.write('README.md', 'A draft\n')
    fake.commit()
    assert fake.status == ''


def test_export_works_inside_a_hook_of_the_forks_repository(
        fake, monkeypatch):
    monkeypatch.setenv('GIT_DIR', str(fake.root / '.git'))
    monkeypatch.setenv('GIT_INDEX_FILE', str(fake.root / '.git/index'))
    history.export(fake.fork, fake.root / 'build/branch')
    monkeypatch.delenv('GIT_DIR')
    monkeypatch.delenv('GIT_INDEX_FILE')
    assert fake.git('branch', '--show-current') == 'main'
    assert Branch(fake).git('branch', '--show-current') == BRANCH


def test_export_refuses_to_overwrite_commits_not_imported(branch):
    add_reboot(branch)
    branch.commit('Work')
    with pytest.raises(ForkError, match=r'not imported: \w+ \(Work\)'):
        branch.export()
    assert branch.git('log', '-1', '--format=%s') == 'Work'


def test_export_refuses_to_overwrite_edits_not_committed(branch):
    add_reboot(branch)
    with pytest.raises(ForkError, match='not committed:\n.*manager.py'):
        branch.export()
    assert 'reboot' in branch.git('diff')


def test_export_refuses_to_leave_a_commit_that_no_branch_has(branch):
    branch.git('checkout', '--quiet', '--detach')
    add_reboot(branch)
    branch.commit('Work')
    with pytest.raises(ForkError, match=r'no branch has what is: \w+ \(Work'):
        branch.export()
    assert branch.git('log', '-1', '--format=%s') == 'Work'


@pytest.mark.parametrize('command', [
    ('checkout', '--quiet', 'upstream/29.4.0'),
    ('checkout', '--quiet', '-b', 'other')])
def test_export_leaves_what_a_branch_has(branch, command):
    branch.git(*command)
    branch.write('nova/other.py', '')
    branch.commit('Other')
    branch.git('branch', 'kept')
    branch.export()
    assert branch.git('branch', '--show-current') == BRANCH
    assert branch.git('log', '-1', '--format=%s', 'kept') == 'Other'


def test_export_refuses_a_folder_that_is_not_its_own(fake):
    (fake.root / 'build/branch').mkdir(parents=True)
    (fake.root / 'build/branch/thesis.txt').write_text('precious')
    with pytest.raises(ForkError, match='no branch of ours'):
        Branch(fake).export()


def test_export_goes_on_where_a_first_one_was_cut_off(fake):
    branch = Branch(fake)
    history.Repository(branch.folder).create(BRANCH, fake_fork.WHO)
    branch.export()
    assert branch.take() == {}


def test_export_refuses_a_repository_that_is_not_its_own(fake):
    with pytest.raises(ForkError, match='none of ours'):
        history.export(fake.fork, fake.root)


def test_export_follows_a_changed_queue(branch):
    branch.fake.edit('nova/compute/hooks.py', 'tiny', 'small')
    branch.export()
    assert 'A small dispatcher' in branch.path(
        'nova/compute/hooks.py').read_text()


def test_export_names_a_patch_that_does_not_apply(fake):
    fake.edit(CREATE, '         self.spawn(server)', '         self.spwan()')
    with pytest.raises(ForkError,
                       match='^compute-post-create-hook.patch does not'):
        Branch(fake).export()
    assert not (fake.root / 'build/branch').exists()


def test_export_refuses_a_patch_of_a_file_upstream_lacks(fake):
    fake.edit(CREATE, '--- a/nova/compute/manager.py',
              '--- a/nova/compute/hooks.py')
    fake.edit(CREATE, '+++ b/nova/compute/manager.py',
              '+++ b/nova/compute/hooks.py')
    with pytest.raises(ForkError, match='which nova 29.4.0 does not have'):
        Branch(fake).export()


def test_export_refuses_a_file_that_would_hide_upstreams(fake):
    fake.write('nova/version.py', '')
    fake.edit('features.toml', '"nova/vendor_release.py",',
              '"nova/vendor_release.py", "nova/version.py",')
    with pytest.raises(ForkError, match='nova/version.py: .* at that place'):
        Branch(fake).export()


def test_export_names_a_file_of_no_feature(fake):
    fake.write('nova/stray.py', '')
    with pytest.raises(ForkError, match='no feature lists nova/stray.py'):
        Branch(fake).export()


def test_export_refuses_a_series_in_another_order_than_the_features(fake):
    fake.write('patches/series', '\n'.join(reversed(
        fake.read('patches/series').splitlines())) + '\n')
    with pytest.raises(ForkError, match='must go feature by feature'):
        Branch(fake).export()


# --- import -----------------------------------------------------------------

def test_import_of_an_untouched_branch_changes_nothing(branch):
    assert branch.take() == {}
    assert branch.fake.status == ''


def test_round_trip_finds_nothing_and_touches_nothing(fake):
    assert history.round_trip(fake.fork) == []
    assert fake.status == ''
    assert not (fake.root / 'build').exists()


def test_a_patch_that_was_not_touched_keeps_its_own_form(fake):
    """Other context than quilt's, a comment, and blank lines."""
    fake.write(DELETE, '# A comment\n' + fake.read(DELETE).replace(
        '\n\n--- a/', '\n\n\n--- a/').replace('\n@@ ', '\t2026-01-01\n@@ ', 1))
    fake.commit()
    branch = Branch(fake).export()
    branch.edit('nova/version.py', "'29'", "'30'")
    branch.fixup('version-shows-vendor')
    assert list(branch.take()) == [VERSION]


def test_a_patch_that_was_not_touched_keeps_its_offset(fake):
    fake.edit(DELETE, '@@ -3', '@@ -4')
    assert history.round_trip(fake.fork) == []


def test_an_amended_seam_is_refreshed_as_quilt_does(branch):
    branch.edit('nova/compute/manager.py', "hooks.call('post_delete'",
                "hooks.call('after_delete'")
    branch.amend()
    before = branch.fake.read(DELETE)
    assert list(branch.take()) == [DELETE]
    assert branch.fake.read(DELETE) == before.replace(
        "call('post_delete'", "call('after_delete'")


def test_lines_added_to_a_seam_move_the_later_seams_of_the_file(branch):
    def line(patch):
        return int(re.search(r'@@ -(\d+)', branch.fake.read(patch)).group(1))

    before = line(DELETE)
    branch.edit('nova/compute/manager.py', 'import time\n',
                'import sys\nimport time\n')
    branch.fixup('compute-post-create-hook')
    branch.take()
    assert line(DELETE) == before + 1
    assert check.check_round_trip(branch.fake.fork) == []


def test_an_edited_header_changes_only_the_header(branch):
    before = branch.fake.read(DELETE)
    message = branch.git('log', '-1', '--format=%B')
    branch.git('commit', '--quiet', '--amend', '-m', message.replace(
        'It is a test.', 'It is a better test.'))
    assert list(branch.take()) == [DELETE]
    assert branch.fake.read(DELETE) == before.replace(
        'It is a test.', 'It is a better test.')


def test_a_subject_that_says_other_than_the_description_is_warned_of(
        branch, capsys):
    message = branch.git('log', '-1', '--format=%B')
    branch.git('commit', '--quiet', '--amend', '-m',
               'Another subject\n\n' + message.partition('\n\n')[2])
    assert branch.take() == {}
    assert 'the subject of its commit is not kept' in capsys.readouterr().err


def test_a_new_seam_enters_series_and_features(branch):
    add_reboot(branch)
    branch.commit(seam())
    assert sorted(branch.take()) == [
        'features.toml', 'patches/manager-reboot-hook.patch',
        'patches/series']
    assert branch.fake.read('patches/manager-reboot-hook.patch') == (
        fake_fork.header('hooks', 'Call the hooks after a reboot',
                         'nova.tests.unit.test_x.Case')
        + '--- a/nova/compute/manager.py\n'
          '+++ b/nova/compute/manager.py\n'
          '@@ -28,6 +28,7 @@\n'
          '     def reboot(self, server):\n'
          '         """Reboot a server."""\n'
          "         self.servers[server] = 'rebooting'\n"
          "+        hooks.call('reboot', server)\n"
          "         self.servers[server] = 'active'\n"
          ' \n'
          '     def delete(self, server):\n')
    assert branch.fake.git('diff', '--unified=0', 'features.toml').splitlines(
    )[-1:] == ['+    "manager-reboot-hook.patch",']
    assert branch.fake.git('diff', '--numstat', 'features.toml').startswith(
        '1\t0\t')
    assert branch.fake.read('patches/series') == (
        fake_fork.SERIES + 'manager-reboot-hook.patch\n')
    assert history.round_trip(branch.fake.fork) == []


def test_a_new_first_seam_is_first_in_series_and_features(branch):
    branch.git('checkout', '--quiet', '--detach', 'upstream/29.4.0')
    branch.edit('nova/compute/manager.py', 'Handles all', 'Takes care of all')
    branch.commit(seam('vendor-version', 'manager-takes-care.patch'))
    branch.git('rebase', '--quiet', 'HEAD', BRANCH)
    branch.take()
    fork = branch.fake.fork
    assert [patch.name for patch in fork.series][:2] == [
        'manager-takes-care.patch', 'version-shows-vendor.patch']
    assert fork.features.get('vendor-version').patches[0] == (
        'manager-takes-care.patch')
    assert history.round_trip(fork) == []


def test_a_dropped_seam_leaves_no_trace(branch):
    branch.sequence('/compute-post-create/d')
    branch.edit('nova/compute/manager.py', 'import time\n',
                'import time\n\nfrom nova.compute import hooks')
    branch.fixup('compute-post-delete-hook')
    branch.take()
    assert not branch.fake.path(CREATE).exists()
    for name in ('patches/series', 'features.toml'):
        assert 'post-create' not in branch.fake.read(name)
    assert '# --- Ours to keep: hooks' in branch.fake.read('patches/series')
    assert history.round_trip(branch.fake.fork) == []


def test_reordered_seams_are_reordered_in_the_series(branch):
    branch.sequence('5{h;d};6{G}')
    branch.take()
    names = [p.name for p in branch.fake.fork.series]
    assert names[2:] == ['compute-post-delete-hook.patch',
                         'compute-post-create-hook.patch']
    assert list(branch.fake.fork.features.get('hooks').patches) == names[2:]
    assert history.round_trip(branch.fake.fork) == []


def test_a_seam_before_those_of_an_earlier_feature_is_refused(branch):
    branch.sequence('2{h;d};6{G}')
    with pytest.raises(ForkError, match='must go feature by feature'):
        branch.take()


def test_a_renamed_patch_is_renamed_everywhere(branch):
    message = branch.git('log', '-1', '--format=%B')
    branch.git('commit', '--quiet', '--amend', '-m', message.replace(
        'Queue-Patch: compute-post-delete-hook',
        'Queue-Patch: compute-deleted-hook'))
    text = branch.fake.read(DELETE)
    branch.take()
    assert branch.fake.read('patches/compute-deleted-hook.patch') == text
    assert not branch.fake.path(DELETE).exists()
    assert 'compute-deleted-hook.patch' in branch.fake.read('features.toml')
    assert 'post-delete' not in branch.fake.read('patches/series')


def test_a_seam_can_move_to_another_feature(branch):
    message = branch.git('log', '-1', '--format=%B',
                         branch.find('setup-install'))
    branch.sequence('3{h;d};4{G}')
    branch.git('rebase', '--interactive', 'HEAD~3',
               GIT_SEQUENCE_EDITOR='sed -i "1s/pick/edit/"')
    branch.git('commit', '--quiet', '--amend', '-m', message.replace(
        'Feature: vendor-version', 'Feature: hooks'))
    branch.git('rebase', '--continue')
    branch.take()
    features = branch.fake.fork.features
    assert 'setup-install-release-file.patch' in features.get('hooks').patches
    assert features.get('vendor-version').patches == (
        'version-shows-vendor.patch',)


def test_an_edit_of_a_new_file_comes_back_from_whatever_commit(branch):
    branch.edit('nova/compute/hooks.py', 'tiny', 'small')
    branch.commit('Say small')
    assert list(branch.take()) == ['nova/compute/hooks.py']
    assert 'A small dispatcher' in branch.fake.read('nova/compute/hooks.py')


def test_new_files_go_to_files_and_tests_of_the_feature_named(branch):
    branch.write('nova/compute/audit.py', 'a = 1\n')
    branch.write('api-ref/source/audit.inc', 'Audit\n')
    branch.write('nova/tests/unit/compute/test_audit.py', 'b = 1\n')
    branch.commit('Audit\n\nFeature: hooks')
    branch.take()
    hooks = branch.fake.fork.features.get('hooks')
    assert hooks.files == ('api-ref/source/audit.inc', 'nova/compute/audit.py',
                           'nova/compute/hooks.py')
    assert hooks.tests == ('nova/tests/unit/compute/test_audit.py',
                           'nova/tests/unit/compute/test_hooks.py')
    assert '# The dispatcher first.' in branch.fake.read('features.toml')
    assert history.round_trip(branch.fake.fork) == []


def test_a_feature_without_a_list_gets_one(fake):
    fake.edit('features.toml', '[[feature]]\nname = "hooks"',
              '[[feature]]\nname = "audit"\ntitle = "Audit"\n\n'
              '[[feature]]\nname = "hooks"')
    fake.commit()
    branch = Branch(fake).export()
    branch.write('nova/compute/audit.py', 'a = 1\n')
    branch.commit('Audit\n\nFeature: audit')
    branch.take()
    assert ('name = "audit"\ntitle = "Audit"\nfiles = [\n'
            '    "nova/compute/audit.py",\n]\n\n[[feature]]\nname = "hooks"'
            ) in fake.read('features.toml')


def test_a_new_file_without_a_feature_is_refused(branch):
    branch.write('nova/compute/audit.py', 'a = 1\n')
    branch.commit('Audit')
    with pytest.raises(ForkError, match='audit.py: .*"Feature: NAME".*none'):
        branch.take()


def test_a_new_file_of_an_unknown_feature_is_refused(branch):
    branch.write('nova/compute/audit.py', 'a = 1\n')
    branch.commit('Audit\n\nFeature: hoks')
    with pytest.raises(ForkError, match='found hoks\n.*vendor-version, hooks'):
        branch.take()


def test_a_deleted_file_leaves_features_and_no_empty_folder(fake):
    fake.write('nova/audit/log.py', '')
    fake.edit('features.toml', '    "nova/compute/hooks.py",\n',
              '    "nova/compute/hooks.py",\n    "nova/audit/log.py",\n')
    fake.commit()
    branch = Branch(fake).export()
    branch.git('rm', '--quiet', 'nova/audit/log.py')
    branch.commit('No log')
    branch.take()
    assert not fake.path('nova/audit').exists()
    assert fake.fork.features.get('hooks').files == ('nova/compute/hooks.py',)


def test_a_commit_of_both_kinds_is_split(branch):
    branch.edit('nova/compute/hooks.py', 'tiny', 'small')
    branch.edit('nova/compute/manager.py', "'post_delete'", "'gone'")
    branch.amend()
    assert list(branch.take()) == ['nova/compute/hooks.py', DELETE]


def test_an_edit_of_upstream_that_names_no_patch_is_refused(branch):
    add_reboot(branch)
    branch.commit('Work')
    with pytest.raises(ForkError, match=r'\(Work\): it edits nova/compute/'
                       'manager.py but names no patch.*Queue-Patch'):
        branch.take()
    assert branch.fake.status == ''


def test_a_fixup_left_over_is_told_where_it_belongs(branch):
    add_reboot(branch)
    branch.git('commit', '--quiet', '-a', '--fixup', 'HEAD')
    with pytest.raises(ForkError, match='autosquash'):
        branch.take()


def test_two_commits_of_one_patch_are_refused(branch):
    add_reboot(branch)
    branch.commit(seam(name='compute-post-create-hook.patch'))
    with pytest.raises(ForkError, match='another commit for compute-post-c'):
        branch.take()


def test_a_seam_without_a_feature_is_refused(branch):
    add_reboot(branch)
    branch.commit('Reboot\n\nQueue-Patch: reboot.patch')
    with pytest.raises(ForkError, match='reboot.patch: its header needs a '
                       'line "Feature: NAME"'):
        branch.take()


def test_a_patch_name_that_leaves_the_folder_is_refused(branch):
    add_reboot(branch)
    branch.commit(seam(name='../../evil.patch'))
    with pytest.raises(ForkError, match='is no name for a patch'):
        branch.take()


def test_deleting_a_file_of_upstream_is_refused(branch):
    branch.git('rm', '--quiet', 'nova/cmd/manage.py')
    branch.commit(seam())
    with pytest.raises(ForkError, match='it deletes nova/cmd/manage.py'):
        branch.take()


def test_changing_the_mode_of_upstreams_file_is_refused(branch):
    branch.path('nova/version.py').chmod(0o755)
    branch.commit(seam())
    with pytest.raises(ForkError, match='it changes the mode'):
        branch.take()


def test_a_new_file_outside_nova_is_refused(branch):
    branch.write('tools/new.sh', 'true\n')
    branch.commit('Tool\n\nFeature: hooks')
    with pytest.raises(ForkError, match='adds tools/new.sh; new files'):
        branch.take()


def test_an_edit_of_the_release_file_is_refused(branch):
    branch.write('etc/nova/release', '[Nova]\npackage = mine\n')
    branch.git('add', '--force', 'etc/nova/release')
    branch.commit('Mine')
    with pytest.raises(ForkError, match='Edit that'):
        branch.take()


def test_a_merge_is_refused(branch):
    branch.git('checkout', '--quiet', '-b', 'side', 'HEAD~1')
    branch.write('nova/compute/audit.py', '')
    branch.commit('Side\n\nFeature: hooks')
    branch.git('checkout', '--quiet', BRANCH)
    branch.git('merge', '--quiet', '--no-edit', 'side')
    with pytest.raises(ForkError, match='is a merge'):
        branch.take()


def test_import_refuses_edits_that_are_not_committed(branch):
    add_reboot(branch)
    with pytest.raises(ForkError, match='not committed:\n.*manager.py'):
        branch.take()


def test_import_refuses_in_the_middle_of_a_rebase(branch):
    branch.git('rebase', '--interactive', 'HEAD~1',
               GIT_SEQUENCE_EDITOR='sed -i 1s/pick/edit/')
    with pytest.raises(ForkError, match='a rebase is in progress'):
        branch.take()


def test_import_refuses_another_branch(branch):
    branch.git('checkout', '--quiet', '-b', 'other')
    with pytest.raises(ForkError, match='other is checked out, not mycomp'):
        branch.take()


def test_import_refuses_when_the_queue_changed_since_the_export(branch):
    branch.edit('nova/compute/hooks.py', 'tiny', 'small')
    branch.commit('Say small')
    branch.fake.edit(CREATE, 'It is a test.', 'It is.')
    with pytest.raises(ForkError, match='compute-post-create-hook.patch'):
        branch.take()
    assert 'It is.\n' in branch.fake.read(CREATE)
    assert 'tiny' in branch.fake.read('nova/compute/hooks.py')


def test_force_imports_over_a_changed_queue(branch):
    before = branch.fake.read(CREATE)
    branch.fake.edit(CREATE, 'It is a test.', 'It is.')
    assert list(branch.take(force=True)) == [CREATE]
    assert branch.fake.read(CREATE) == before


def test_what_was_imported_can_be_exported_over(branch):
    branch.edit('nova/compute/hooks.py', 'tiny', 'small')
    branch.commit('Say small')
    branch.take()
    branch.export()
    assert 'Say small' not in branch.git('log', '--format=%s')
    assert branch.take() == {}


def test_a_second_import_takes_what_came_after_the_first(branch):
    branch.edit('nova/compute/hooks.py', 'tiny', 'small')
    branch.commit('Say small')
    branch.take()
    branch.edit('nova/compute/hooks.py', 'small', 'little')
    branch.commit('Say little')
    assert list(branch.take()) == ['nova/compute/hooks.py']


def test_import_after_the_pin_has_moved_is_refused(branch):
    upstream.pin(branch.fake.path('upstream.toml'), '29.3.0')
    with pytest.raises(ForkError, match='from another release'):
        branch.take()


def test_a_write_that_fails_leaves_every_file_as_it_was(branch, monkeypatch):
    add_reboot(branch)
    branch.edit('nova/compute/hooks.py', 'tiny', 'small')
    branch.commit(seam())
    replace = os.replace

    def full(source, target):
        if pathlib.Path(target).name == 'series':
            raise OSError(28, 'No space left on device')
        replace(source, target)

    monkeypatch.setattr(os, 'replace', full)
    with pytest.raises(ForkError, match='nothing was changed.*No space'):
        branch.take()
    monkeypatch.undo()
    assert branch.fake.status == ''


def test_import_says_how_to_begin_when_there_is_no_branch(fake):
    with pytest.raises(ForkError, match='make it with tools/branch.sh exp'):
        Branch(fake).take()


def test_the_command_names_what_it_wrote(branch, capsys):
    branch.edit('nova/compute/hooks.py', 'tiny', 'small')
    branch.commit('Say small')
    assert history.main(['import']) == 0
    assert capsys.readouterr().out == 'wrote   nova/compute/hooks.py\n'


def test_the_command_prints_an_error_without_a_traceback(fake, capsys):
    assert history.main(['import']) == 1
    assert capsys.readouterr().err.startswith('error: ')
