"""Each check of the queue, on a queue that breaks it."""

import datetime
import json
import subprocess
import sys

import fake_fork
import pytest

from patchqueue import check
from patchqueue import cli


@pytest.fixture
def fake(fake):
    """On a series of two releases, on both of which the queue holds."""
    for version in ('29.3.0', '29.5.0'):
        fake.edit('upstream.toml',
                  fake_fork.release_table(fake.upstream, version), '')
    fake.add_release('29.2.0', {'nova/compute/manager.py': [
        ('        self.started = time.time()\n', '')]})
    fake.commit()
    return fake


CREATE = 'patches/compute-post-create-hook.patch'
TEST = 'nova.tests.unit.compute.test_hooks.HooksTestCase'


@pytest.mark.parametrize('name', check.CHECKS)
def test_a_sound_queue_passes(fork, name):
    assert check.CHECKS[name](fork) == []


@pytest.mark.parametrize('old, new, message', [
    ('Author: ', 'Autor: ', 'unknown field Autor'),
    ('Author: ', 'Autor: ', 'no Author'),
    ('nova-mycompany developers <nova@mycompany.example>', 'Ann', 'Author: '),
    (' It is a test.\n', '', 'must say why'),
    ('Forwarded: no (only the fork needs it)', 'Forwarded: no', 'Forwarded: '),
    ('Origin: vendor', 'Origin: somewhere', 'Origin: '),
    ('2026-11-23', '23.11.2026', 'Last-Update: expected YYYY-MM-DD'),
    ('2026-11-23', (datetime.date.today() + datetime.timedelta(2)
                    ).isoformat(), 'is in the future'),
    ('Feature: hooks', 'Feature: hoks', "no feature 'hoks'"),
    ('Test: ' + TEST, 'Test: test_hooks.py', 'Test: expected dotted'),
    ('Test: ' + TEST + '\n', '', 'no Test'),
    ('Origin: vendor', 'Origin: vendor\nBug: 42', 'Bug: expected a URL'),
    ('Origin: vendor', 'Origin: vendor\nOrigin: vendor', 'there 2 times'),
])
def test_a_bad_header_is_found(fake, old, new, message):
    fake.edit(CREATE, old, new)
    found = check.check_headers(fake.fork)
    assert any(message in line for line in found), found
    assert all(CREATE in line for line in found)


@pytest.mark.parametrize('name', ['0001-hook.patch', 'Hook.patch',
                                  'hook.diff'])
def test_a_bad_patch_name_is_found(fake, name):
    fake.path(CREATE).rename(fake.path('patches/' + name))
    fake.edit('patches/series', 'compute-post-create-hook.patch', name)
    assert any('the name must be' in line
               for line in check.check_headers(fake.fork))


@pytest.mark.parametrize('breaks, message', [
    (lambda f: f.write('patches/stray.patch', ''),
     'patches/stray.patch is not in patches/series'),
    (lambda f: f.write('nova/stray.py', '# Stray.\n'),
     'lists nova/stray.py nowhere'),
    (lambda f: f.write('doc/api_samples/stray.json', '{}\n'),
     'lists doc/api_samples/stray.json nowhere'),
    (lambda f: f.edit('features.toml', '    "nova/compute/hooks.py",\n',
                      '    "nova/compute/hooks.py",\n    "doc/a.py",\n'),
     'files are those in nova, api-ref, doc/api_samples, not doc/a.py'),
    (lambda f: f.remove('nova/compute/hooks.py'),
     'lists nova/compute/hooks.py, which does not exist'),
    (lambda f: f.edit('features.toml',
                      '    "compute-post-create-hook.patch",\n', ''),
     'lists the patch compute-post-create-hook.patch nowhere'),
    (lambda f: f.edit('patches/series',
                      'compute-post-create-hook.patch\n', ''),
     'lists the patch compute-post-create-hook.patch, which'),
    (lambda f: f.edit(CREATE, 'Feature: hooks', 'Feature: vendor-version'),
     'features.toml has it under hooks'),
    (lambda f: f.edit('patches/series',
                      'compute-post-create-hook.patch\n'
                      'compute-post-delete-hook.patch\n',
                      'compute-post-delete-hook.patch\n'
                      'compute-post-create-hook.patch\n'),
     'not in the order of features.toml'),
    (lambda f: f.write('doc/stray.md', '# Stray\n'),
     'lists doc/stray.md nowhere'),
    (lambda f: f.edit('features.toml', 'guides = [', 'guides = ["doc/no.md"'),
     'guides lists doc/no.md, which does not exist'),
    (lambda f: f.edit('features.toml', '"nova.tests.unit.test_version"',
                      '"nova.tests.no"'),
     'upstream has no tests nova.tests.no'),
    (lambda f: f.edit('features.toml', '    "nova.tests.unit.test_version",',
                      ''),
     'upstream_tests must name'),
])
def test_a_gap_in_the_map_is_found(fake, breaks, message):
    breaks(fake)
    found = check.check_map(fake.fork)
    assert any(message in line for line in found), found


@pytest.mark.parametrize('breaks, message', [
    (lambda f: f.write('nova/version.py', '# Ours.\n'), 'ours would hide'),
    (lambda f: f.write('nova/compute/empty.py', ''), 'empty;'),
    (lambda f: f.path('nova/compute/hooks.py').chmod(0o755), 'executable;'),
    (lambda f: f.path('nova/compute/hooks.py').write_bytes(b'\xff\xfe'),
     'not UTF-8'),
    (lambda f: f.write('nova/compute/hooks.py', '# A\r\n'), 'carriage'),
    (lambda f: f.path('nova/link.py').symlink_to('version.py'),
     'not a plain file'),
    (lambda f: f.path('nova/link').symlink_to('compute'),
     'not a plain file'),
    (lambda f: f.write('nova/compute/a b.json', '{}\n'), 'are safe'),
])
def test_an_overlay_file_that_no_patch_can_carry_is_found(fake, breaks,
                                                          message):
    breaks(fake)
    found = check.check_overlay(fake.fork)
    assert any(message in line for line in found), found


@pytest.mark.parametrize('old, new, verb', [
    ('/dev/null', 'b/nova/new.py', 'creates'),
    ('a/nova/version.py', '/dev/null', 'deletes'),
])
def test_a_patch_that_creates_or_deletes_a_file_is_found(fake, old, new, verb):
    body = ('--- %s\n+++ %s\n@@ %s @@\n%s' % (
        old, new, *(('-0,0 +1', '+# New.\n') if verb == 'creates' else
                    ('-1 +0,0', '-# Old.\n'))))
    fake.write(CREATE, fake.read(CREATE) + body)
    assert any('%s nova/' % verb in line
               for line in check.check_no_new_files(fake.fork))


@pytest.mark.parametrize('code', [
    'break' + 'point()',
    'import pdb; pdb.set_' + 'trace()',
    'import debugpy\ndebugpy.break' + 'point()',
    'from ipdb import set_' + 'trace as stop',
])
@pytest.mark.parametrize('path', [
    'nova/compute/hooks.py', 'tools/some.py', 'tests/some.py',
    'devcloud/deep/some.py', 'client/some.py'])
def test_a_breakpoint_that_is_left_in_a_file_is_found(fake, path, code):
    before = fake.read(path) if fake.path(path).exists() else 'PLAIN = 1\n'
    fake.write(path, before + code + '\n')
    line = (before + code).count('\n') + 1
    assert check.check_no_breakpoints(fake.fork) == [
        '%s:%d: a breakpoint is left here' % (path, line)]


def test_a_breakpoint_that_a_patch_adds_is_found(fake):
    fake.edit(CREATE, '+        hooks', '+        break' + 'point()'
              '; hooks')
    finding, = check.check_no_breakpoints(fake.fork)
    assert finding.startswith('%s: a breakpoint is left in '
                              'nova/compute/manager.py:' % CREATE)


def test_what_only_speaks_of_breakpoints_is_let_be(fake):
    fake.write('tools/some.py', '# break' + 'point() stops it\n'
               'TEXT = "pdb.set_' + 'trace()"\nbreakpoint_ = None\n')
    assert check.check_no_breakpoints(fake.fork) == []


def test_what_is_built_or_installed_is_not_searched_for_breakpoints(fake):
    for path in ('build/some.py', 'dist/some.py', '.tox/some.py'):
        fake.write(path, 'break' + 'point()\n')
    assert check.check_no_breakpoints(fake.fork) == []


def test_fuzz_on_the_pinned_release_is_found(fake):
    fake.edit(CREATE, '         self.spawn(server)\n',
              '         self.spown(server)\n')
    assert 'does not apply to nova 29.4.0 without fuzz' in (
        check.check_pinned(fake.fork)[0])


def test_an_offset_on_the_pinned_release_is_found(fake):
    text = fake.read(CREATE)
    fake.write(CREATE, text.replace('@@ -1', '@@ -2').replace(
        '@@ -2', '@@ -3', 1))
    assert 'offset' in ''.join(check.check_pinned(fake.fork))


def test_an_offset_on_another_release_of_the_series_is_allowed(fork):
    assert check.check_series(fork) == []
    assert any('offset' in line for line in check._apply_findings(
        fork, fork.upstream.get('29.2.0'), offsets=True))


def test_fuzz_on_another_release_of_the_series_is_found(fake):
    fake.add_release('29.1.0', {'nova/compute/manager.py': [
        ('        self.spawn(server)\n', '        self.spawn_now(server)\n')]})
    found = check.check_series(fake.fork)
    assert len(found) == 1
    assert 'compute-post-create-hook.patch does not apply to nova 29.1.0' in (
        found[0])


def test_a_file_that_the_plain_series_does_not_carry_is_found(fake):
    fake.write('nova/stray.py', '# In no feature.\n')
    assert any('only in the second: nova/stray.py' in line
               for line in check.check_plain_series(fake.fork))


def test_a_patch_in_another_form_is_found(fake):
    fake.edit(CREATE, '+++ b/nova/compute/manager.py',
              '+++ b/nova/compute/manager.py\t2026-01-01 00:00:00')
    assert any(CREATE in line and 'refresh' in line
               for line in check.check_round_trip(fake.fork))


def test_a_step_that_does_not_compile_is_found(fake):
    fake.edit(CREATE, "+        hooks.call('post_create', server)",
              "+        hooks.call('post_create' server)")
    assert any('after compute-post-create-hook.patch' in line
               and 'does not compile' in line
               for line in check.check_prefixes(fake.fork))


def test_a_step_that_does_not_import_is_found(fake):
    fake.edit(CREATE, '+from nova.compute import hooks',
              '+from nova.compute import hocks')
    assert any('after compute-post-create-hook.patch' in line
               and 'cannot be imported' in line
               for line in check.check_prefixes(fake.fork))


def test_a_seam_that_comes_before_the_files_it_needs_is_found(fake):
    fake.edit('features.toml', '    "nova/compute/hooks.py",\n', '')
    fake.write('features.toml', fake.read('features.toml') + (
        '\n[[feature]]\nname = "late"\ntitle = "Too late"\n'
        'files = ["nova/compute/hooks.py"]\n'))
    assert any('after compute-post-create-hook.patch' in line
               for line in check.check_prefixes(fake.fork))


def test_a_patch_whose_test_passes_without_it_is_found(fake):
    fake.add_patch('readme-says-more.patch', 'hooks', {
        'README.rst': [('A very small Nova.', 'A very small Nova, ours.')]})
    found = check.check_necessity(fake.fork)
    assert len(found) == 1
    assert 'readme-says-more.patch' in found[0]
    assert 'passes without it' in found[0]


def test_every_test_that_a_header_names_must_fail_without_the_patch(fake):
    fake.edit(CREATE, 'Test: ' + TEST, 'Test: %s\n '
              'nova.tests.unit.test_vendor_release.VersionTestCase' % TEST)
    found = check.check_necessity(fake.fork)
    assert len(found) == 1
    assert 'VersionTestCase passes without it' in found[0]


def test_patches_that_stand_on_others_are_taken_away_with_them(fake):
    # The second edits the file of the first, the third that of the second.
    test = 'nova.tests.unit.compute.test_hooks.DeleteTestCase'
    fake.add_patch('manager-and-readme.patch', 'hooks', {
        'nova/compute/manager.py': [
            ("        hooks.call('post_delete', server)\n",
             "        hooks.call('post_delete', server)\n        # More.\n")],
        'README.rst': [('A very small', 'A small')]}, test=test)
    fake.add_patch('readme.patch', 'hooks', {
        'README.rst': [('A small', 'A tiny')]}, test=test)
    found = check.check_necessity(fake.fork)
    assert [line for line in found if 'failed with' in line] == []
    assert not any('compute-post-delete-hook' in line for line in found)


def test_a_test_that_fails_with_the_patch_is_found(fake):
    fake.edit('nova/tests/unit/compute/test_hooks.py',
              "self.assertIn(('post_create', 'one')",
              "self.assertNotIn(('post_create', 'one')")
    assert any('HooksTestCase fails with the patch' in line
               for line in check.check_necessity(fake.fork))


def test_a_test_that_hangs_counts_as_one_that_fails(fake, monkeypatch):
    monkeypatch.setattr(check, '_SECONDS', 3)
    fake.edit('nova/tests/unit/compute/test_hooks.py',
              "self.assertIn(('post_create', 'one')",
              "__import__('time').sleep(1000)\n"
              "        self.assertIn(('post_create', 'one')")
    assert any('HooksTestCase fails with the patch' in line and (
        'timed out after 3 seconds' in line)
        for line in check.check_necessity(fake.fork))


def test_a_test_that_is_not_there_is_found(fake):
    fake.edit(CREATE, TEST, 'nova.tests.unit.compute.test_no')
    assert any('test_no fails with the patch' in line
               for line in check.check_necessity(fake.fork))


def test_a_test_that_holds_nothing_is_found(fake):
    fake.edit(CREATE, TEST, 'nova.tests.unit.compute')
    assert any('holds no test' in line
               for line in check.check_necessity(fake.fork))


def test_changes_for_another_upstream_are_found(fake):
    fake.edit('CHANGES.mycompany', 'nova 29.4.0', 'nova 29.3.0')
    assert 'is for nova 29.3.0, but upstream.toml pins 29.4.0' in (
        check.check_version(fake.fork)[0])


def test_a_tag_that_says_something_else_is_found(fake):
    fake.git('tag', '-am', 'x', 'mycompany-2024.1.7')
    assert 'the tag mycompany-2024.1.7 is on this commit' in (
        check.check_version(fake.fork)[0])


def test_a_change_after_the_tag_without_an_entry_is_found(fake):
    fake.git('tag', '-am', 'x', 'mycompany-2024.1.1')
    assert check.check_version(fake.fork) == []
    fake.edit('nova/compute/hooks.py', 'called = []', 'called = list()')
    fake.commit()
    assert 'Write the next entry' in check.check_version(fake.fork)[0]


# The openstack plug-in's version is the release alone.
CLIENT_PACKAGES = (
    'python3-osc-mycompany-metrics_2024.1.1-1~deb12+1_all.deb',
    'python-osc-mycompany-metrics-2024.1.1-1.el9.src.rpm',
    'python3-osc-mycompany-metrics-2024.1.1-1.el9.noarch.rpm',
    'osc_mycompany_metrics-2024.1.1-py3-none-any.whl')


def test_the_packages_of_a_release_are_all_there_and_no_others(fake):
    fake.write('packaging/deb/nova/control',
               'Source: nova\n\nPackage: python3-nova\n')
    fake.write('packaging/rpm/openstack-nova.spec.in',
               'Name:  openstack-nova\n%package api\n'
               '%package -n python3-nova\n')
    fake.fork.dist.mkdir()
    rpm = '29.4.0-1.mycompany.2024.1.1.el9'
    for name in ('python3-nova_29.4.0+mycompany2024.1.1-1~deb12+1_all.deb',
                 'python3-os-vif_3.5.0-0mycompany1_all.deb',
                 'openstack-nova-%s.src.rpm' % rpm,
                 'openstack-nova-api-%s.noarch.rpm' % rpm,
                 'python3-nova-%s.noarch.rpm' % rpm,
                 'nova-29.4.0-py3-none-any.whl',
                 *CLIENT_PACKAGES):
        (fake.fork.dist / name).touch()
    assert check.packages_findings(fake.fork) == []
    (fake.fork.dist / 'old_29.3.0+mycompany2024.1.0-1_all.deb').touch()
    for name in ('python3-nova_*', 'openstack-nova-api-*', 'nova-*.whl'):
        for path in fake.fork.dist.glob(name):
            path.unlink()
    assert [line.partition(' ')[0] for line in check.packages_findings(
        fake.fork)] == ['dist/old_29.3.0+mycompany2024.1.0-1_all.deb',
                        'dist/', 'dist/', 'dist/']


def test_the_plug_in_of_another_release_is_none_of_this_one(fake):
    fake.write('packaging/deb/nova/control', 'Source: nova\n')
    fake.write('packaging/rpm/openstack-nova.spec.in', 'Name: nova\n')
    fake.fork.dist.mkdir()
    for name in CLIENT_PACKAGES:
        (fake.fork.dist / name.replace('2024.1.1', '2024.1.2')).touch()
    found = check.packages_findings(fake.fork)
    assert len([line for line in found if 'osc' in line]) == 4


def test_the_figures_count_what_a_patch_touches(fork):
    row = check.figures(fork)[2]
    assert row == {'patch': 'compute-post-create-hook.patch',
                   'feature': 'hooks', 'files': 1, 'hunks': 2, 'added': 2,
                   'removed': 0, 'hot': 2}


def test_a_patch_with_many_lines_is_pointed_at(fork):
    row = dict(check.figures(fork)[0], added=check.MANY_LINES + 1)
    assert 'does it hold logic?' in check.table([row])


def test_the_command_fails_and_names_the_finding(fake, capsys):
    fake.edit(CREATE, 'Origin: vendor', 'Origin: somewhere')
    assert cli.main(['check', '--only', 'headers']) == 1
    assert "Origin: expected" in capsys.readouterr().out


def test_json_is_for_machines(fork, capsys):
    assert cli.main(['check', '--json', '--only', 'headers']) == 0
    said = json.loads(capsys.readouterr().out)
    assert [row['check'] for row in said['checks']] == ['headers']
    assert len(said['patches']) == 4


def test_an_unknown_check_is_refused(fork, capsys):
    assert cli.main(['check', '--only', 'haeders']) == 1
    assert 'no check haeders; there are headers' in capsys.readouterr().err


def test_an_error_is_one_line_and_no_traceback(fake):
    fake.remove('upstream.toml')
    done = subprocess.run([sys.executable, '-m', 'patchqueue', 'tree'],
                          cwd=check.__file__.rpartition('/patchqueue/')[0],
                          text=True, stderr=subprocess.PIPE)
    assert done.returncode == 1
    assert done.stderr.startswith('error: ')
    assert 'Traceback' not in done.stderr
