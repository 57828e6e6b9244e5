"""CHANGES.mycompany, and the versions that follow from it."""

import subprocess

import pytest
from debian import changelog

from patchqueue import release
from patchqueue.errors import ForkError

TWO = '''\
# A comment.

mycompany-2024.1.10 (nova 29.4.0)

  * Count to 100 % of the servers,
    and no further.
  * Second.

 -- Ann Other <ann@mycompany.example>  Tue, 24 Nov 2026 23:30:00 -0500

mycompany-2024.1.9 (nova 29.3.0)

  * First.

 -- Ann Other <ann@mycompany.example>  Mon, 23 Nov 2026 12:00:00 +0000
'''


@pytest.fixture
def entries(tmp_path):
    (tmp_path / 'CHANGES').write_text(TWO)
    return release.load(tmp_path / 'CHANGES')


def test_the_newest_entry_comes_first(entries):
    assert [e.tag for e in entries] == ['mycompany-2024.1.10',
                                        'mycompany-2024.1.9']
    assert entries[0].changes == (
        'Count to 100 % of the servers, and no further.', 'Second.')


def test_versions_follow_from_the_entry(entries):
    top = entries[0]
    assert top.full == '29.4.0-mycompany-2024.1.10'
    assert top.deb_version('~deb12+1') == (
        '10:29.4.0+mycompany2024.1.10-1~deb12+1')
    assert top.rpm_release == '1.mycompany.2024.1.10'
    assert top.release_file == '[Nova]\npackage = mycompany-2024.1.10\n'


def test_dpkg_sorts_the_tenth_release_after_the_ninth(entries):
    subprocess.run(['dpkg', '--compare-versions', entries[0].deb_version(),
                    'gt', entries[1].deb_version()], check=True)


def test_the_debian_changelog_has_every_entry(entries):
    read = changelog.Changelog(release.debian_changelog(entries), strict=True)
    assert [str(version) for version in read.versions] == [
        e.deb_version() for e in entries]


def test_dpkg_can_read_the_debian_changelog(entries, tmp_path):
    (tmp_path / 'changelog').write_text(release.debian_changelog(entries))
    done = subprocess.run(
        ['dpkg-parsechangelog', '-l', tmp_path / 'changelog', '-SVersion'],
        check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True)
    assert done.stdout.split() == [entries[0].deb_version()]


def test_the_rpm_changelog_has_utc_days_and_no_live_macros(entries):
    text = release.rpm_changelog(entries)
    assert text.startswith('* Wed Nov 25 2026 Ann Other ')
    assert '100 %% of' in text


@pytest.mark.parametrize('old, new, message', [
    ('mycompany-2024.1.10', 'mycompany-2024.1', ':3: expected a line like'),
    ('(nova 29.3.0)', '29.3.0', ':11: expected a line like'),
    ('  * First.', 'First.', ':13: expected a change'),
    ('  * First.', '', ':11: expected at least one change'),
    ('Mon, 23 Nov', 'Sun, 23 Nov', ':15: expected the date Mon, 23 Nov'),
    ('Mon, 23 Nov 2026 12:00:00 +0000', 'yesterday', ':15: expected a date'),
    ('2024.1.9', '2024.1.10', ':11: expected a lower number'),
    (' -- Ann Other <ann@mycompany.example>  Mon', ' -- Ann  Mon',
     ':15: expected " -- Name <address>'),
])
def test_a_mistake_is_named_with_its_line(tmp_path, old, new, message):
    assert TWO.count(old) == 1
    (tmp_path / 'CHANGES').write_text(TWO.replace(old, new))
    with pytest.raises(ForkError, match=message):
        release.load(tmp_path / 'CHANGES')


def test_another_series_begins_at_one(tmp_path):
    (tmp_path / 'CHANGES').write_text(
        TWO.replace('2024.1.10 (nova 29.4.0)', '2025.1.1 (nova 31.3.1)'))
    assert [e.tag for e in release.load(tmp_path / 'CHANGES')] == [
        'mycompany-2025.1.1', 'mycompany-2024.1.9']


def test_dates_go_down(tmp_path):
    (tmp_path / 'CHANGES').write_text(TWO.replace(
        'Mon, 23 Nov 2026', 'Thu, 26 Nov 2026'))
    with pytest.raises(ForkError, match=':15: expected a date before'):
        release.load(tmp_path / 'CHANGES')


def test_a_file_without_entries_is_refused(tmp_path):
    (tmp_path / 'CHANGES').write_text('# Nothing yet.\n')
    with pytest.raises(ForkError, match='no entry'):
        release.load(tmp_path / 'CHANGES')
