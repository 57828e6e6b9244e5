"""``CHANGES.mycompany``: the release of the fork, and what follows from it.

The file's top entry is the only source of ``mycompany-2024.1.N``. The
package versions and changelogs, ``etc/nova/release`` and the git tag are made
from it here and nowhere else.
"""

import dataclasses
import datetime
import email.utils
import pathlib
import re
import textwrap

from patchqueue.errors import ForkError

# Above Debian's epoch 2, Ubuntu's 3 and RDO's 1: an upgrade of the
# distribution never replaces the fork.
EPOCH = 10

_HEAD = re.compile(
    r'(?P<tag>mycompany-(?P<series>\d{4}\.\d)\.(?P<number>[1-9]\d*)) '
    r'\(nova (?P<upstream>\d+\.\d+\.\d+)\)')
_TAIL = re.compile(r' -- (?P<who>[^<>]+ <[^<>@\s]+@[^<>@\s]+>)  (?P<date>.+)')


@dataclasses.dataclass(frozen=True)
class Entry:
    """One release of the fork."""

    tag: str
    series: str
    number: int
    upstream: str
    changes: tuple
    maintainer: str
    date: datetime.datetime

    @property
    def key(self):
        """Series and number, for sorting."""
        return tuple(int(part) for part in self.series.split('.')), self.number

    @property
    def vendor(self):
        """The part of the tag that package versions use: mycompany.2024.1.1"""
        return self.tag.replace('-', '.', 1)

    @property
    def full(self):
        """What the services report: 29.4.0-mycompany-2024.1.1"""
        return '%s-%s' % (self.upstream, self.tag)

    @property
    def epoch_seconds(self):
        """The date as SOURCE_DATE_EPOCH wants it."""
        return int(self.date.timestamp())

    @property
    def deb_upstream_version(self):
        return '%s+%s' % (self.upstream,
                          self.tag.replace('-', '', 1))

    def deb_version(self, suffix=''):
        """:param suffix: of the distribution, as in ~deb12+1"""
        return '%d:%s-1%s' % (EPOCH, self.deb_upstream_version, suffix)

    @property
    def rpm_release(self):
        """Without the distribution's suffix: 1.mycompany.2024.1.1"""
        return '1.%s' % self.vendor

    @property
    def release_file(self):
        """The text of etc/nova/release.

        Vendor and product stay upstream's: guests see them in their SMBIOS
        tables, and software in them tests for the product's name.
        """
        return '[Nova]\npackage = %s\n' % self.tag


def load(path):
    """All entries, the newest first.

    :raises ForkError: with the number of the line that is wrong
    """
    path = pathlib.Path(path)
    try:
        lines = path.read_text().splitlines()
    except FileNotFoundError:
        raise ForkError('%s: not found' % path)

    def wrong(number, expected):
        got = lines[number] if number < len(lines) else 'the end of the file'
        raise ForkError('%s:%d: expected %s, found %r' % (
            path, number + 1, expected, got))

    entries = []
    at = 0
    while at < len(lines):
        if not lines[at].strip() or lines[at].startswith('#'):
            at += 1
            continue
        head = _HEAD.fullmatch(lines[at])
        if not head:
            wrong(at, 'a line like "mycompany-2024.1.1 (nova 29.4.0)"')
        first, at = at, at + 1
        changes = []
        while at < len(lines) and not lines[at].startswith(' --'):
            line = lines[at]
            if line.startswith('  * '):
                changes.append(line[4:])
            elif line.startswith('    ') and changes:
                changes[-1] += ' ' + line.strip()
            elif line.strip():
                wrong(at, 'a change, "  * ...", or " -- Name <address>  Date"')
            at += 1
        tail = at < len(lines) and _TAIL.fullmatch(lines[at])
        if not tail:
            wrong(at, '" -- Name <address>  Mon, 23 Nov 2026 12:00:00 +0000"')
        if not changes:
            wrong(first, 'at least one change below the heading')
        try:
            date = email.utils.parsedate_to_datetime(tail['date'])
        except (TypeError, ValueError):
            wrong(at, 'a date like Mon, 23 Nov 2026 12:00:00 +0000')
        if email.utils.format_datetime(date) != tail['date']:
            # Among others, a day of the week that is not that date's.
            wrong(at, 'the date %s' % email.utils.format_datetime(date))
        entry = Entry(head['tag'], head['series'], int(head['number']),
                      head['upstream'], tuple(changes), tail['who'], date)
        if entries and entry.key >= entries[-1].key:
            wrong(first, 'a lower number than %s above it' % entries[-1].tag)
        if entries and entry.date > entries[-1].date:
            wrong(at, 'a date before that of %s above it' % entries[-1].tag)
        entries.append(entry)
        at += 1
    if not entries:
        raise ForkError('%s: it has no entry' % path)
    return entries


def debian_changelog(entries, suffix=''):
    """The text of debian/changelog."""
    parts = []
    for entry in entries:
        changes = ''.join(
            textwrap.fill(change, 78, initial_indent='  * ',
                          subsequent_indent='    ', break_long_words=False,
                          break_on_hyphens=False) + '\n'
            for change in entry.changes)
        parts.append('nova (%s) stable; urgency=medium\n\n%s\n -- %s  %s\n' % (
            entry.deb_version(suffix), changes, entry.maintainer,
            email.utils.format_datetime(entry.date)))
    return '\n'.join(parts)


def rpm_changelog(entries):
    """The text of the spec's %changelog section."""
    parts = []
    for entry in entries:
        changes = ''.join('- %s\n' % change.replace('%', '%%')
                          for change in entry.changes)
        day = entry.date.astimezone(datetime.timezone.utc)
        parts.append('* %s %s - %d:%s-%s\n%s' % (
            day.strftime('%a %b %d %Y'), entry.maintainer, EPOCH,
            entry.upstream, entry.rpm_release, changes))
    return '\n'.join(parts)
