"""tools/rebase.sh: the queue carried to another release."""

import json
import os
import re
import subprocess

import fake_fork
import pytest
from patchqueue import check
from patchqueue import patches
from patchqueue import rebase
from patchqueue import tree
from patchqueue.errors import ForkError

CREATE = 'patches/compute-post-create-hook.patch'
DELETE = 'patches/compute-post-delete-hook.patch'
MANAGER = fake_fork.MANAGER


class Scratch:
    """The repository build/rebase, and the user who resolves conflicts."""

    def __init__(self, fake):
        self.fake = fake
        self.folder = fake.root / 'build/rebase'

    def start(self, version):
        return rebase.Rebase(self.fake.fork).start(version)

    def resume(self):
        return rebase.Rebase(self.fake.fork).resume()

    def abort(self):
        rebase.Rebase(self.fake.fork).abort()

    def git(self, *args):
        return subprocess.run(
            ['git', *args], cwd=self.folder, text=True, check=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env=dict(os.environ, GIT_EDITOR='true')).stdout

    def resolve(self, call="        hooks.call('post_create', server)\n"):
        """Take upstream's side of the conflict, and `call` below it."""
        path = self.folder / MANAGER
        path.write_text(re.sub(
            r'(?ms)^<{7} [^\n]*\n(.*?)^\|{7}.*?^>{7} [^\n]*\n',
            lambda found: found.group(1) + call, path.read_text()))
        self.git('add', MANAGER)


@pytest.fixture
def scratch(fake):
    return Scratch(fake)


def outcomes(report):
    return {p['name'].rpartition('.')[0]: p['outcome']
            for p in report.patches}


def applies_exactly(fake, folder):
    """Whether the queue applies to the pin with neither fuzz nor offset."""
    tree.upstream.unpack(fake.fork.upstream.pinned, folder)
    tree.add_overlay(fake.fork, folder)
    said = tree.quilt(folder, fake.fork.patches_dir, 'push', '-a').stdout
    return not (patches.OFFSET.search(said)
                or re.search(r'with fuzz \d', said))


# --- a rebase that needs no help --------------------------------------------

def test_the_pin_moves_and_patches_are_refreshed_to_fit(
        scratch, fake, tmp_path):
    report, ended = scratch.start('29.5.0')
    assert ended and report.clean
    assert outcomes(report) == {
        'version-shows-vendor': 'unchanged',
        'setup-install-release-file': 'unchanged',
        'compute-post-create-hook': 'refreshed',
        'compute-post-delete-hook': 'refreshed'}
    assert fake.fork.upstream.pinned.version == '29.5.0'
    assert applies_exactly(fake, tmp_path / 'tree')
    assert fake.status.splitlines() == [
        'M ' + CREATE, ' M ' + DELETE, ' M upstream.toml']


def test_an_offset_from_before_is_gone_after_a_rebase(
        scratch, fake, tmp_path):
    fake.edit(DELETE, '@@ -3', '@@ -4')
    fake.add_release('41.0.0', {'README.rst': [('very', 'quite')]})
    fake.commit()
    assert not applies_exactly(fake, tmp_path / 'before')
    scratch.start('41.0.0')
    assert applies_exactly(fake, tmp_path / 'after')


def test_a_file_named_offset_is_not_taken_for_an_offset(scratch, fake):
    name = 'patches/compute-offset.patch'
    fake.add_release('44.0.0', {'nova/offset.py': 'offset = 1\n'})
    fake.add_release('44.1.0', {'nova/offset.py': 'offset = 1\n',
                                'README.rst': 'Small.\n'})
    fake.commit()
    scratch.start('44.0.0')
    fake.add_patch('compute-offset.patch', 'hooks', {
        'nova/offset.py': [('1', '2')]})
    # Not as quilt writes it, so that it is only kept if it applies exactly.
    fake.edit(name, '+++ b/nova/offset.py\n',
              '+++ b/nova/offset.py\t2026-01-01\n')
    fake.commit()
    report, _ = scratch.start('44.1.0')
    assert outcomes(report)['compute-offset'] == 'unchanged'


def test_the_way_back_ends_where_it_began(scratch, fake):
    scratch.start('29.5.0')
    fake.commit()
    scratch.start('29.4.0')
    assert fake.git('diff', 'HEAD~1') == ''


def test_the_queue_after_a_rebase_survives_the_round_trip(scratch, fake):
    scratch.start('29.3.0')
    assert check.check_round_trip(fake.fork) == []


def test_only_the_pin_and_nothing_else_of_upstream_toml_changes(
        scratch, fake):
    scratch.start('29.3.0')
    assert fake.git('diff', '--numstat', 'upstream.toml').startswith('1\t1\t')


def test_the_changelog_is_left_to_the_user(scratch, fake, capsys):
    assert rebase.main(['29.3.0']) == 0
    assert fake.git('status', '--porcelain', 'CHANGES.mycompany') == ''
    assert '"(nova 29.3.0)"' in capsys.readouterr().out


def test_the_pinned_release_is_nothing_to_do(fake, capsys):
    assert rebase.main(['29.4.0']) == 0
    assert 'already: nothing to do' in capsys.readouterr().out
    assert not (fake.root / 'build').exists()


def test_a_seam_that_upstream_merged_is_dropped_and_named(scratch, fake):
    report, ended = scratch.start('31.0.0')
    assert ended and report.clean
    assert [p['name'] for p in report.of('merged')] == [
        'compute-post-delete-hook.patch']
    assert not fake.path(DELETE).exists()
    assert 'post-delete' not in fake.read('patches/series')
    assert 'post-delete' not in fake.read('features.toml')


def test_a_seam_of_which_upstream_has_a_part_is_to_be_looked_at(
        scratch, fake):
    fake.add_release('38.0.0', {MANAGER: [
        ('from nova import version\n',
         'from nova.compute import hooks\nfrom nova import version\n')]})
    fake.commit()
    report, ended = scratch.start('38.0.0')
    assert ended
    assert outcomes(report)['compute-post-create-hook'] == 'changed'
    assert '+from nova.compute' not in fake.read(CREATE)


def test_a_seam_follows_its_file_when_upstream_renames_it(scratch, fake):
    text = fake_fork.NOVA[MANAGER]
    fake.add_release('35.0.0', {MANAGER: None,
                                'nova/compute/service.py': text})
    fake.commit()
    report, ended = scratch.start('35.0.0')
    assert ended
    assert '+++ b/nova/compute/service.py' in fake.read(CREATE)


def test_the_report_is_written_for_people_and_machines(scratch):
    report, _ = scratch.start('31.0.0')
    assert (scratch.folder / 'report.md').read_text() == report.as_markdown
    data = json.loads((scratch.folder / 'report.json').read_text())
    assert (data['old'], data['new'], data['clean']) == (
        '29.4.0', '31.0.0', True)
    assert data['patches'][3]['outcome'] == 'merged'
    assert ('| compute-post-delete-hook.patch | hooks | merged | '
            'nova/compute/manager.py |') in report.as_markdown


# --- a rebase that is refused -----------------------------------------------

@pytest.mark.parametrize('name', [
    'nova/compute/hooks.py', CREATE, 'features.toml', 'upstream.toml',
    'nova/new.py', 'api-ref/source/new.inc'])
def test_what_a_rebase_writes_must_be_committed(scratch, fake, name):
    before = fake.read(name) if fake.path(name).exists() else ''
    fake.write(name, before + '\n')
    with pytest.raises(ForkError, match='not committed:\n.*' + name):
        scratch.start('29.5.0')


def test_what_a_rebase_does_not_write_need_not_be_committed(scratch, fake):
    fake.write('README.md', 'A draft\n')
    assert scratch.start('29.5.0')[1]


def test_without_git_there_is_no_way_back_and_no_rebase(scratch, fake):
    fake.path('.git').rename(fake.root / 'no.git')
    with pytest.raises(ForkError, match='no git repository'):
        scratch.start('29.5.0')


def test_an_unknown_release_is_refused(scratch):
    with pytest.raises(ForkError, match='nova 77.0.0 is not listed'):
        scratch.start('77.0.0')


def test_a_wheel_is_refused(scratch):
    with pytest.raises(ForkError, match='nova 29.0.0: .* only its wheel'):
        scratch.start('29.0.0')


def test_a_file_that_would_hide_upstreams_is_refused(scratch, fake):
    with pytest.raises(ForkError, match='    nova/compute/hooks.py\n'):
        scratch.start('32.0.0')
    assert fake.status == ''
    assert rebase.Rebase(fake.fork).state is None


def test_a_second_rebase_is_refused_while_one_is_in_progress(scratch):
    scratch.start('30.0.0')
    with pytest.raises(ForkError, match='to 30.0.0 is in progress'):
        scratch.start('29.5.0')


@pytest.mark.parametrize('option', ['--continue', '--abort'])
def test_without_a_rebase_there_is_nothing_to_end(fake, capsys, option):
    assert rebase.main([option]) == 1
    assert 'no rebase is in progress' in capsys.readouterr().err


# --- a conflict -------------------------------------------------------------

def test_a_conflict_stops_with_what_upstream_changed_there(scratch, fake):
    report, ended = scratch.start('30.0.0')
    assert not ended and not report.clean
    assert outcomes(report) == {
        'version-shows-vendor': 'unchanged',
        'setup-install-release-file': 'unchanged',
        'compute-post-create-hook': 'conflicted',
        'compute-post-delete-hook': 'not tried yet'}
    [conflict] = report.of('conflicted')[0]['conflicts']
    assert conflict['file'] == MANAGER
    [ours] = conflict['hunks']
    assert "\n+        hooks.call('post_create', server)\n" in ours
    [hunk] = conflict['upstream']
    assert hunk['function'].strip() == 'def build(self, server):'
    assert hunk['text'].splitlines()[1:] == [
        "-        self.servers[server] = 'active'",
        "+        self.servers[server] = 'ACTIVE'"]
    assert fake.status == ''


def test_changes_of_upstream_elsewhere_in_the_file_are_not_reported(
        scratch, fake):
    changes = fake_fork.RELEASES['30.0.0'][MANAGER] + [
        ('"""Handles all', '"""Takes care of all'),
        ('return version.product_string()', 'return None')]
    fake.add_release('36.0.0', {MANAGER: changes})
    fake.commit()
    report, _ = scratch.start('36.0.0')
    [conflict] = report.of('conflicted')[0]['conflicts']
    assert len(conflict['upstream']) == 1


def test_seams_before_it_do_not_shift_what_is_reported(scratch, fake):
    fake.add_release('39.0.0', {MANAGER: [
        ('        del self.servers[server]\n',
         '        self.servers.pop(server)\n'),
        # One line below what the seam has as its context.
        ('return version.product_string()', 'return None')]})
    fake.commit()
    report, _ = scratch.start('39.0.0')
    [conflict] = report.of('conflicted')[0]['conflicts']
    [hunk] = conflict['upstream']
    assert '+        self.servers.pop(server)' in hunk['text']


def test_a_conflict_in_a_file_that_upstream_renamed_is_explained(
        scratch, fake):
    text = fake_fork.NOVA[MANAGER].replace("= 'active'\n        return",
                                           "= 'ACTIVE'\n        return")
    fake.add_release('40.0.0', {MANAGER: None,
                                'nova/compute/service.py': text})
    fake.commit()
    report, _ = scratch.start('40.0.0')
    [conflict] = report.of('conflicted')[0]['conflicts']
    assert conflict['file'] == 'nova/compute/service.py'
    assert conflict['reason'] == 'upstream changed these lines'


def test_a_file_that_upstream_deleted_is_told_so(scratch, fake):
    fake.add_release('37.0.0', {'nova/version.py': None})
    fake.commit()
    report, _ = scratch.start('37.0.0')
    [conflict] = report.of('conflicted')[0]['conflicts']
    assert conflict['reason'] == 'upstream has no such file any more'


def test_a_resolved_conflict_goes_on_to_the_end(scratch, fake, tmp_path):
    scratch.start('30.0.0')
    scratch.resolve()
    report, ended = scratch.resume()
    assert ended
    assert outcomes(report)['compute-post-create-hook'] == 'conflicted'
    assert report.of('conflicted')[0]['resolved']
    assert "ACTIVE" in fake.read(CREATE)
    assert fake.fork.upstream.pinned.version == '30.0.0'
    assert applies_exactly(fake, tmp_path / 'tree')


def test_continue_refuses_before_all_is_resolved(scratch, fake):
    scratch.start('30.0.0')
    with pytest.raises(ForkError, match='not resolved yet.*\n.*manager.py'):
        scratch.resume()


def test_continue_refuses_the_marks_of_a_conflict(scratch, fake):
    scratch.start('30.0.0')
    scratch.git('add', MANAGER)
    with pytest.raises(ForkError, match='manager.py still has the marks'):
        scratch.resume()
    assert fake.status == ''


def test_continue_refuses_the_marks_after_a_git_reset(scratch):
    scratch.start('30.0.0')
    scratch.git('reset', '--quiet')
    scratch.git('add', MANAGER)
    scratch.git('reset', '--quiet')
    scratch.git('add', MANAGER)
    with pytest.raises(ForkError, match='manager.py still has the marks'):
        scratch.resume()


def test_continue_refuses_the_marks_of_a_stop_that_git_went_on_to(
        scratch, fake):
    fake.add_release('45.0.0', {
        MANAGER: fake_fork.RELEASES['30.0.0'][MANAGER],
        'nova/version.py': [('    return version_string()\n',
                             '    return str(version_string())\n')]})
    fake.commit()
    scratch.start('45.0.0')
    scratch.git('checkout', '--quiet', 'HEAD', '--', 'nova/version.py')
    with pytest.raises(subprocess.CalledProcessError):
        scratch.git('rebase', '--skip')
    scratch.git('add', MANAGER)
    with pytest.raises(ForkError, match='manager.py still has the marks'):
        scratch.resume()


def test_a_file_may_hold_what_looks_like_the_marks_of_a_conflict(
        scratch, fake):
    scratch.start('30.0.0')
    scratch.resolve()
    path = scratch.folder / 'nova/compute/hooks.py'
    path.write_text(path.read_text() + 'mark = """\n<<<<<<< ours\n"""\n')
    scratch.git('add', str(path))
    assert scratch.resume()[1]
    assert '<<<<<<< ours' in fake.read('nova/compute/hooks.py')


def test_a_seam_resolved_to_nothing_is_dropped(scratch, fake):
    scratch.start('30.0.0')
    scratch.git('checkout', '--quiet', 'HEAD', '--', MANAGER)
    report, ended = scratch.resume()
    assert ended
    assert outcomes(report)['compute-post-create-hook'] == 'dropped'
    assert not fake.path(CREATE).exists()
    assert fake.path(DELETE).exists()


def test_the_user_may_continue_with_git_itself(scratch, fake):
    scratch.start('30.0.0')
    scratch.resolve()
    scratch.git('rebase', '--continue')
    assert scratch.resume()[1]
    assert fake.fork.upstream.pinned.version == '30.0.0'


def test_a_rebase_given_up_with_git_itself_is_not_taken_for_done(
        scratch, fake):
    scratch.start('30.0.0')
    scratch.git('rebase', '--abort')
    with pytest.raises(ForkError, match='given up there with git'):
        scratch.resume()
    assert fake.status == ''


def test_a_new_file_can_be_edited_while_a_conflict_is_resolved(
        scratch, fake):
    scratch.start('30.0.0')
    scratch.resolve()
    path = scratch.folder / 'nova/compute/hooks.py'
    path.write_text(path.read_text().replace('tiny', 'small'))
    scratch.git('add', str(path))
    scratch.resume()
    assert 'A small dispatcher' in fake.read('nova/compute/hooks.py')


def test_abort_leaves_everything_as_it_was(scratch, fake):
    before = fake.git('rev-parse', 'HEAD')
    scratch.start('30.0.0')
    scratch.abort()
    assert fake.status == ''
    assert fake.git('rev-parse', 'HEAD') == before
    assert fake.fork.upstream.pinned.version == '29.4.0'
    assert not (scratch.folder / 'report.md').exists()
    assert scratch.start('29.5.0')[1]


def test_a_resolution_is_replayed_at_the_next_attempt(scratch, fake):
    scratch.start('30.0.0')
    scratch.resolve()
    scratch.resume()
    fake.git('checkout', '--quiet', '.')
    report, ended = scratch.start('30.0.0')
    assert ended
    [patch] = report.of('conflicted')
    assert patch['resolved']
    assert patch['conflicts'][0]['file'] == MANAGER
    assert 'ACTIVE' in fake.read(CREATE)


def test_a_seam_that_was_left_out_is_left_out_at_the_next_attempt(
        scratch, fake):
    scratch.start('30.0.0')
    scratch.git('checkout', '--quiet', 'HEAD', '--', MANAGER)
    scratch.resume()
    fake.git('checkout', '--quiet', '.')
    report, ended = scratch.start('30.0.0')
    assert ended
    [patch] = report.of('dropped')
    assert patch['conflicts'][0]['reason'] == 'upstream changed these lines'


def test_a_queue_that_changed_in_between_is_not_overwritten(scratch, fake):
    scratch.start('30.0.0')
    scratch.resolve()
    fake.edit(DELETE, 'It is a test.', 'It is.')
    with pytest.raises(ForkError, match='changed since the rebase began:\n'
                       '    ' + DELETE):
        scratch.resume()
    fake.edit(DELETE, 'It is.', 'It is a test.')
    assert scratch.resume()[1]


def test_a_killed_rebase_can_be_given_up(scratch, fake, monkeypatch):
    def killed(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(rebase._Carrying, 'prepare', killed)
        with pytest.raises(KeyboardInterrupt):
            scratch.start('29.5.0')
    with pytest.raises(ForkError, match='is in progress'):
        scratch.start('29.5.0')
    scratch.abort()
    assert scratch.start('29.5.0')[1]


def test_status_says_where_it_stands(scratch, fake, capsys):
    rebase.main(['--status'])
    assert 'no rebase is in progress; the queue is on nova 29.4.0' in (
        capsys.readouterr().out)
    assert rebase.main(['30.0.0']) == 1
    capsys.readouterr()
    rebase.main(['--status'])
    said = capsys.readouterr().out
    assert 'from 29.4.0 to 30.0.0' in said
    assert 'stopped at compute-post-create-hook' in said
    assert said.endswith('    %s\n' % MANAGER)


# --- only a report ----------------------------------------------------------

def test_check_of_releases_that_carry_cleanly_is_0(fake, capsys):
    assert rebase.main(['--check', '29.3.0', '29.4.0', '31.0.0']) == 0
    said = capsys.readouterr().out
    assert re.findall(r'# nova 29.4.0 to (\S+)\n\n4 patches: (.*)\.', said
                      ) == [
        ('29.3.0', '2 unchanged, 2 refreshed'),
        ('29.4.0', '4 unchanged'), ('31.0.0', '3 unchanged, 1 merged')]


def test_check_changes_nothing(fake):
    rebase.main(['--check', '29.5.0', '30.0.0', '32.0.0'])
    assert fake.status == ''
    assert not (fake.root / 'build').exists()


def test_check_goes_on_behind_a_conflict(fake):
    [report] = rebase.check(fake.fork, ['30.0.0'])
    assert outcomes(report) == {
        'version-shows-vendor': 'unchanged',
        'setup-install-release-file': 'unchanged',
        'compute-post-create-hook': 'conflicted',
        'compute-post-delete-hook': 'refreshed'}


def test_check_of_a_conflict_is_1_and_says_what_upstream_changed(
        fake, capsys):
    assert rebase.main(['--check', '30.0.0']) == 1
    assert "+        self.servers[server] = 'ACTIVE'" in (
        capsys.readouterr().out)


def test_check_does_not_count_on_recorded_resolutions(scratch, fake):
    scratch.start('30.0.0')
    scratch.resolve()
    scratch.resume()
    fake.git('checkout', '--quiet', '.')
    [report] = rebase.check(fake.fork, ['30.0.0'])
    assert not report.clean


def test_check_names_files_that_would_hide_upstreams(fake):
    [report] = rebase.check(fake.fork, ['32.0.0'])
    assert report.collisions == ['nova/compute/hooks.py']
    assert not report.clean
    assert '- `nova/compute/hooks.py`' in report.as_markdown


def test_check_says_why_a_wheel_cannot_be_tried(fake):
    [report] = rebase.check(fake.fork, ['29.0.0'])
    assert 'only its wheel' in report.as_markdown
    assert not report.clean


def test_check_goes_on_behind_a_release_that_cannot_be_fetched(fake):
    fake.add_release('46.0.0', {'README.rst': 'Small.\n'})
    (fake.upstream.folder / 'nova-46.0.0.tar.gz').unlink()
    gone, good = rebase.check(fake.fork, ['46.0.0', '29.5.0'])
    assert 'nova 46.0.0' in gone.error and not gone.clean
    assert good.clean


def test_check_reports_for_machines(fake, capsys):
    assert rebase.main(['--check', '30.0.0', '29.5.0', '--json']) == 1
    data = json.loads(capsys.readouterr().out)
    assert [(r['new'], r['clean']) for r in data] == [
        ('30.0.0', False), ('29.5.0', True)]
