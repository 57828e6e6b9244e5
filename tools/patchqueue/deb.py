"""The source trees that ``tools/build-deb.sh`` builds the packages from.

Each is a pristine sdist as ``.orig.tar.gz``, unpacked beside it, with a
``debian`` folder from ``packaging/deb``. dpkg and debhelper do the rest.
"""

import argparse
import email.utils
import os
import pathlib
import re
import shutil
import sys

from patchqueue import client
from patchqueue import release
from patchqueue import series
from patchqueue import toml
from patchqueue import upstream
from patchqueue.errors import ForkError
from patchqueue.fork import Fork

_KEYS = {'sdist': str, 'version': str, 'sha256': str, 'source': str,
         'package': str, 'summary': str, 'why': str, 'revision': int,
         'date': str}

# Debian's way to name the source of a module.
CLIENT_SOURCE = 'python-' + client.NAME


def suffix(os_release='/etc/os-release'):
    """The last part of a version, for the distribution that it is built on.

    With it, a package for Debian 12 is older than the same one for Debian 13
    and an upgrade of the distribution replaces it: ~deb12+1.
    """
    words = {}
    for line in pathlib.Path(os_release).read_text().splitlines():
        key, _, value = line.partition('=')
        words[key] = value.strip('"\'')
    if words.get('ID') not in ('debian', 'ubuntu') or not re.fullmatch(
            r'[0-9.]+', words.get('VERSION_ID', '')):
        raise ForkError('%s: DEB packages are built on a release of Debian '
                        'or Ubuntu, this is %s %s' % (
                            os_release, words.get('ID'),
                            words.get('VERSION_ID', '(no VERSION_ID)')))
    short = {'debian': 'deb', 'ubuntu': 'ubuntu'}[words['ID']]
    return '~%s%s+1' % (short, words['VERSION_ID'])


def libraries(path):
    """The tables of `libraries.toml`.

    :raises ForkError: it is no TOML, or a library lacks something
    """
    tables = toml.tables(toml.load(path), 'library', path)
    for number, table in enumerate(tables, 1):
        wrong = sorted(
            set(table) ^ set(_KEYS)
            | {key for key in table if key in _KEYS
               and not isinstance(table[key], _KEYS[key])})
        if wrong:
            raise ForkError('%s: library number %d: missing, unknown or of '
                            'another type: %s' % (
                                path, number, ', '.join(wrong)))
    return tables


def write_nova(fork, work, suffix):
    """Write Nova's source tree into the folder `work`, and return its path."""
    entries = release.load(fork.root / 'CHANGES.mycompany')
    top = entries[0]
    pinned = fork.upstream.pinned
    if top.upstream != pinned.version:
        raise ForkError('CHANGES.mycompany: %s is for nova %s, but '
                        'upstream.toml pins %s' % (
                            top.tag, top.upstream, pinned.version))
    tree = _unpack(pinned, work, 'nova', top.deb_upstream_version)
    shutil.copytree(fork.root / 'packaging' / 'deb' / 'nova', tree / 'debian')
    series.write(fork, tree / 'debian' / 'patches')
    (tree / 'debian' / 'changelog').write_text(
        release.debian_changelog(entries, suffix))
    _date(tree, top.epoch_seconds)
    return tree


def write_library(fork, library, work, suffix):
    """Write a library's source tree into `work`, and return its path."""
    tree = _unpack(
        upstream.Release(library['sdist'], library['version'],
                         library['sha256']),
        work, library['source'], library['version'])
    shutil.copytree(fork.root / 'packaging' / 'deb' / 'library',
                    tree / 'debian')
    values = {key: str(value) for key, value in library.items()}
    values['maintainer'] = fork.release.maintainer
    # Below a revision of the distribution's: its -1 of the same version wins.
    values['debversion'] = '%s-0mycompany%s%s' % (
        library['version'], library['revision'], suffix)
    _fill_in(tree, values)
    _date(tree, email.utils.parsedate_to_datetime(
        library['date']).timestamp())
    return tree


def write_client(fork, work, suffix):
    """Write the source tree of client/ into `work`, and return its path."""
    top, version = fork.release, client.version(fork)
    values = {
        'source': CLIENT_SOURCE, 'package': 'python3-' + client.NAME,
        'tag': top.tag, 'maintainer': top.maintainer,
        'debversion': '%s-1%s' % (version, suffix),
        'date': email.utils.format_datetime(top.date)}
    client.write_archive(fork, work / ('%s_%s.orig.tar.gz' % (
        CLIENT_SOURCE, version)))
    tree = work / ('%s-%s' % (CLIENT_SOURCE, version))
    client.write_source(fork, tree)
    shutil.copytree(fork.root / 'packaging' / 'deb' / 'client',
                    tree / 'debian')
    _fill_in(tree, values)
    _date(tree, top.epoch_seconds)
    return tree


def _fill_in(tree, values):
    for name in ('changelog', 'control', 'copyright'):
        path = tree / 'debian' / name
        path.write_text(re.sub(
            '@([a-z]+)@', lambda found: values[found[1]], path.read_text()))


def _unpack(sdist, work, source, version):
    tree = work / ('%s-%s' % (source, version))
    shutil.copyfile(upstream.fetch(sdist),
                    work / ('%s_%s.orig.tar.gz' % (source, version)))
    upstream.unpack(sdist, tree)
    return tree


def _date(tree, seconds):
    """Give all of `tree` one time, so that its archives are reproducible."""
    for folder, _, files in os.walk(tree):
        for name in files + ['.']:
            os.utime(os.path.join(folder, name), (seconds, seconds))


def main(argv=None):
    """Write all source trees into a folder, and print their paths."""
    parser = argparse.ArgumentParser(
        prog='patchqueue.deb', description=main.__doc__)
    parser.add_argument('work', type=pathlib.Path)
    parser.add_argument('--suffix')
    args = parser.parse_args(argv)
    fork = Fork()
    try:
        last = suffix() if args.suffix is None else args.suffix
        args.work.mkdir(parents=True, exist_ok=True)
        for library in libraries(
                fork.root / 'packaging' / 'deb' / 'libraries.toml'):
            print(write_library(fork, library, args.work, last))
        print(write_client(fork, args.work, last))
        print(write_nova(fork, args.work, last))
    except ForkError as error:
        print('error: %s' % error, file=sys.stderr)
        return 1


if __name__ == '__main__':
    sys.exit(main())
