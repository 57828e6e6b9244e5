"""``upstream.toml``: the releases of Nova the fork rests on, and their files.

A release comes from the package index through pip, as pip is configured on
this machine, and is kept in a cache named by its sha256. A file enters the
cache by one rename, after its sha256 was checked, so that a download that was
cut off is never taken for the real thing.
"""

import dataclasses
import hashlib
import os
import pathlib
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile

from patchqueue import toml
from patchqueue.errors import ForkError
from patchqueue.run import progress

ARTIFACTS = ('sdist', 'wheel')

_VERSION = re.compile(r'\d+\.\d+\.\d+')
_SHA256 = re.compile(r'[0-9a-f]{64}')

# What pip says when it could not reach the index, as opposed to having been
# told that there is no such release.
_UNREACHABLE = re.compile(
    r'Temporary failure in name resolution|NewConnectionError|'
    r'Max retries exceeded|ProxyError|SSLError|Read timed out|'
    r'ConnectTimeoutError|Connection refused|Network is unreachable|'
    r'connection broken by|No route to host')


@dataclasses.dataclass(frozen=True)
class Release:
    """One release of upstream, as `upstream.toml` lists it."""

    name: str
    version: str
    sha256: str
    artifact: str = 'sdist'

    @property
    def key(self):
        """The version as numbers, for sorting."""
        return tuple(int(part) for part in self.version.split('.'))

    @property
    def series(self):
        """The number of the series, 29 for 2024.1."""
        return self.key[0]

    def __str__(self):
        return '%s %s' % (self.name, self.version)


@dataclasses.dataclass(frozen=True)
class Upstream:
    """The contents of `upstream.toml`."""

    path: pathlib.Path
    name: str
    pinned: Release
    releases: tuple
    hot: tuple

    def get(self, version):
        for release in self.releases:
            if release.version == version:
                return release
        raise ForkError(
            '%s: %s %s is not listed; known are %s. Add a [[release]] with '
            'its version and sha256 first' % (
                self.path, self.name, version,
                ', '.join(r.version for r in self.releases)))

    @property
    def same_series(self):
        """The releases of the pinned one's series, sorted."""
        return sorted(
            (r for r in self.releases if r.series == self.pinned.series),
            key=lambda r: r.key)


def load(path):
    """Read and check `upstream.toml`.

    :raises ForkError: it is missing, is no TOML, or does not say what it must
    """
    path = pathlib.Path(path)
    data = toml.load(path)

    def need(table, key, where):
        if not isinstance(table.get(key), str):
            raise ForkError('%s: %s needs %s, a string' % (path, where, key))
        return table[key]

    name = need(data, 'name', 'the top level')
    releases = []
    for number, table in enumerate(
            toml.tables(data, 'release', path), 1):
        where = '[[release]] number %d' % number
        unknown = set(table) - {'version', 'sha256', 'artifact'}
        if unknown:
            raise ForkError('%s: %s has unknown keys %s' % (
                path, where, ', '.join(sorted(unknown))))
        release = Release(name, need(table, 'version', where),
                          need(table, 'sha256', where),
                          table.get('artifact', 'sdist'))
        if not _VERSION.fullmatch(release.version):
            raise ForkError('%s: %s: version %r is not of the form 29.4.0' % (
                path, where, release.version))
        if not _SHA256.fullmatch(release.sha256):
            raise ForkError(
                '%s: %s (%s): sha256 %r is not 64 lower-case hex digits' % (
                    path, where, release.version, release.sha256))
        if release.artifact not in ARTIFACTS:
            raise ForkError('%s: %s (%s): artifact %r is none of %s' % (
                path, where, release.version, release.artifact,
                ', '.join(ARTIFACTS)))
        if release.version in (r.version for r in releases):
            raise ForkError('%s: %s is listed twice' % (
                path, release.version))
        releases.append(release)
    pinned = need(data, 'pinned', 'the top level')
    if pinned not in (r.version for r in releases):
        raise ForkError('%s: the pinned release %s has no [[release]]' % (
            path, pinned))
    made = Upstream(path, name, None, tuple(releases),
                    tuple(data.get('hot', ())))
    return dataclasses.replace(made, pinned=made.get(pinned))


def pin(path, version):
    """Make `version` the pinned release of the `upstream.toml` at `path`."""
    text = path.read_text()
    changed, count = re.subn(
        r'(?m)^(pinned\s*=\s*)"[^"]*"', r'\g<1>"%s"' % version, text)
    if count != 1:
        raise ForkError('%s: expected one line `pinned = "..."`, found %d' % (
            path, count))
    path.write_text(changed)


def cache_dir():
    """Where fetched releases are kept, for all checkouts of this user."""
    told = os.environ.get('FORK_CACHE')
    if told:
        return pathlib.Path(told)
    base = os.environ.get('XDG_CACHE_HOME') or '~/.cache'
    return pathlib.Path(base).expanduser() / 'nova-mycompany'


def fetch(release):
    """The path of the release's file, from the cache or the package index.

    :raises ForkError: the index cannot be reached, does not have it, or has
        something with another sha256
    """
    folder = cache_dir() / release.sha256
    for kept in folder.glob('*'):
        if sha256(kept) == release.sha256:
            return kept
        progress('%s in the cache is damaged: fetched again' % kept)
        kept.unlink()
    progress('fetching %s through pip' % release)
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Beside the cache, so that the rename below stays on one file system.
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        scratch = pathlib.Path(scratch)
        wanted = scratch / 'wanted.txt'
        wanted.write_text('%s==%s --hash=sha256:%s\n' % (
            release.name, release.version, release.sha256))
        download = scratch / 'download'
        # No isolated build: pip asks an sdist for its metadata, for which
        # pbr and setuptools beside us are enough.
        form = (['--no-binary', release.name, '--no-build-isolation']
                if release.artifact == 'sdist'
                else ['--only-binary', release.name])
        done = subprocess.run(
            [sys.executable, '-m', 'pip', 'download', '--no-deps',
             '--require-hashes', '--ignore-requires-python', *form,
             '--dest', str(download), '--requirement', str(wanted)],
            text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        files = list(download.glob('*')) if download.exists() else []
        if done.returncode != 0 or len(files) != 1:
            raise ForkError(_why(release, done.stdout))
        if sha256(files[0]) != release.sha256:
            raise ForkError('%s: pip delivered a file with sha256 %s, '
                            'pinned is %s' % (
                                release, sha256(files[0]), release.sha256))
        folder.mkdir(exist_ok=True)
        kept = folder / files[0].name
        os.replace(files[0], kept)
    return kept


def _why(release, said):
    got = re.search(r'Got\s+([0-9a-f]{64})', said)
    if 'DO NOT MATCH THE HASHES' in said:
        return ('%s: wrong sha256. Pinned is %s, the index has %s. Find out '
                'why before you change the pin' % (
                    release, release.sha256, got.group(1) if got else '?'))
    # An index that answers knows some release of Nova: none means no answer.
    if _UNREACHABLE.search(said) or '(from versions: none)' in said:
        return ('%s: the package index cannot be reached. Check the network '
                'and `pip config list`. pip said:\n%s' % (
                    release, _tail(said)))
    if 'No matching distribution' in said:
        known = re.search(r'\(from versions: (.*?)\)', said)
        return ('%s: the package index has no %s of this release. It has: '
                '%s' % (release, release.artifact,
                        known.group(1) if known else 'none'))
    return '%s: pip could not fetch it:\n%s' % (release, _tail(said))


def _tail(text):
    return '\n'.join('    ' + line for line in text.splitlines()[-6:])


def sha256(path):
    digest = hashlib.sha256()
    with open(path, 'rb') as stream:
        for block in iter(lambda: stream.read(1 << 20), b''):
            digest.update(block)
    return digest.hexdigest()


def unpack(release, folder, only=None):
    """Unpack the release into `folder`, without its leading directory.

    :param only: paths to unpack; everything unless told
    :returns: the paths that were unpacked, as a set
    """
    archive = fetch(release)
    folder = pathlib.Path(folder)
    found = set()
    for path, mode, data in _members(archive, release):
        if only is not None and path not in only:
            continue
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        target.chmod(0o755 if mode & 0o100 else 0o644)
        found.add(path)
    return found


def paths(release):
    """The paths of all files of the release, as a set."""
    return {path for path, _, _ in _members(fetch(release), release)}


def members(release):
    """Each file of the release as (path, mode, bytes)."""
    return _members(fetch(release), release)


def _members(archive, release):
    """Each file as (path, mode, bytes); nothing outside the folder."""
    if release.artifact == 'wheel':
        with zipfile.ZipFile(archive) as wheel:
            for info in wheel.infolist():
                if not info.is_dir():
                    yield (_inside(info.filename, archive), 0o644,
                           wheel.read(info))
        return
    with tarfile.open(archive) as sdist:
        for info in sdist:
            if info.isfile():
                path = info.name.partition('/')[2]
                yield (_inside(path, archive), info.mode,
                       sdist.extractfile(info).read())
            elif not info.isdir():
                raise ForkError('%s: %s is neither a file nor a folder' % (
                    archive, info.name))


def _inside(path, archive):
    if path.startswith('/') or '..' in path.split('/'):
        raise ForkError('%s: %s would be unpacked outside' % (archive, path))
    return path
