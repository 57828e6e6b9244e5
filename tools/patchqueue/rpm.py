"""The fork as RPMs for EL9: a source package, and what rpmbuild makes of it.

The packages are built from the source package alone, so that it is known to
hold all it needs. What is built does not depend on the machine: the Python is
a 3.9 (``tools/python39.sh``), the paths, the time and the name of the machine
that rpmbuild writes down are fixed.
"""

import argparse
import datetime
import fcntl
import os
import pathlib
import re
import shutil
import stat
import subprocess
import sys
import tempfile

from patchqueue import client
from patchqueue import release
from patchqueue import series
from patchqueue import upstream
from patchqueue.errors import ForkError
from patchqueue.fork import Fork
from patchqueue.run import progress
from patchqueue.run import require

SPEC = 'openstack-nova.spec'
CLIENT_SPEC = 'python-%s.spec' % client.NAME

# Files of packaging/rpm that are for the build only, no part of the source.
_NOT_SOURCES = (SPEC + '.in', CLIENT_SPEC + '.in', 'macros.not-el9',
                'build-requirements.txt')

# rpmbuild writes its folder into the source package. It is therefore this
# one wherever the checkout is: a link into build/rpm, while a build runs.
_TOPDIR = pathlib.Path('/tmp/nova-mycompany-rpmbuild')

_REQUIREMENT = re.compile(
    r'(?P<name>[A-Za-z0-9][\w.-]*)(?P<bounds>[^#;]*)(?P<marker>;[^#]*)?(#.*)?')
_BOUND = re.compile(r'(?P<sign>>=|!=)(?P<version>[0-9.]+)')


def dist_version(version):
    """A version as EL9's python3.9dist(...) has it: 8.6.0 is 8.6 there."""
    return re.sub(r'(\.0)+$', '', version)


def _key(version):
    return [int(part) for part in version.split('.')]


def requirements(text):
    """The lines of the spec for upstream's requirements.txt.

    :raises ForkError: a line is of no form that is known here
    """
    lines = []
    for line in text.splitlines():
        if not line.partition('#')[0].strip():
            continue
        found = _REQUIREMENT.fullmatch(line.strip())
        bounds = found and [b.strip() for b in found['bounds'].split(',')
                            if b.strip()]
        if not found or found['marker'] or not all(
                _BOUND.fullmatch(bound) for bound in bounds):
            raise ForkError('requirements.txt: expected a line like '
                            '"oslo.config>=8.6.0,!=8.7.0 # licence", found %r'
                            % line)
        name = 'python%%{python3_version}dist(%s)' % re.sub(
            r'[-_.]+', '-', found['name']).lower()
        bounds = [_BOUND.fullmatch(bound) for bound in bounds]
        least = [dist_version(b['version']) for b in bounds
                 if b['sign'] == '>=']
        lines += ['Requires:       %s >= %s' % (name, version)
                  for version in least] or ['Requires:       %s' % name]
        # One below the lower bound is excluded by that already.
        lines += ['Conflicts:      %s = %s' % (
            name, dist_version(b['version'])) for b in bounds
            if b['sign'] == '!=' and not any(
                _key(b['version']) < _key(other) for other in least)]
    return '\n'.join(lines)


def minimum(driver, name):
    """The version that a line `NAME = (7, 0, 0)` of the driver states."""
    found = re.search(r'(?m)^%s = \(([\d, ]+)\)' % name, driver)
    if not found:
        raise ForkError('nova/virt/libvirt/driver.py states no %s' % name)
    return '.'.join(found[1].replace(' ', '').split(','))


def write_sources(fork, folder):
    """Write all that the source package is made of into the new `folder`."""
    folder.mkdir(parents=True)
    pinned = fork.upstream.pinned
    sdist = upstream.fetch(pinned)
    shutil.copyfile(sdist, folder / sdist.name)
    ours = fork.root / 'packaging' / 'rpm'
    for path in ours.iterdir():
        if path.name not in _NOT_SOURCES:
            shutil.copyfile(path, folder / path.name)
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        names = series.write(fork, scratch / 'patches')
        for name in names:
            shutil.copyfile(scratch / 'patches' / name, folder / name)
        upstream.unpack(pinned, scratch / 'nova', only=(
            'requirements.txt', 'nova/virt/libvirt/driver.py'))
        needed = (scratch / 'nova' / 'requirements.txt').read_text()
        driver = (scratch / 'nova/nova/virt/libvirt/driver.py').read_text()
    entries = release.load(fork.root / 'CHANGES.mycompany')
    values = {
        'epoch': str(release.EPOCH),
        'version': pinned.version,
        'release': entries[0].rpm_release,
        'dist_version': dist_version(pinned.version),
        'sdist': sdist.name,
        'patches': '\n'.join('Patch%-10s %s' % ('%d:' % number, name)
                             for number, name in enumerate(names, 1)),
        'requires': requirements(needed),
        'min_libvirt': minimum(driver, 'MIN_LIBVIRT_VERSION'),
        'min_qemu': minimum(driver, 'MIN_QEMU_VERSION'),
        'changelog': release.rpm_changelog(entries).rstrip('\n'),
    }
    _write_spec(fork, folder, SPEC, values)


def write_client_sources(fork, folder):
    """Write all that the plug-in's source package is made of into `folder`.
    """
    folder.mkdir(parents=True)
    version = client.version(fork)
    name = '%s-%s' % (client.NAME, version)
    client.write_archive(fork, folder / (name + '.tar.gz'))
    day = fork.release.date.astimezone(datetime.timezone.utc)
    _write_spec(fork, folder, CLIENT_SPEC, {
        'version': version, 'archive': name + '.tar.gz', 'folder': name,
        'tag': fork.release.tag, 'maintainer': fork.release.maintainer,
        'day': day.strftime('%a %b %d %Y')})


def _write_spec(fork, folder, name, values):
    """Write a spec, and give all files beside it a fixed mode and time."""
    text = (fork.root / 'packaging' / 'rpm' / (name + '.in')).read_text()
    (folder / name).write_text(re.sub(
        r'@([a-z_]+)@', lambda found: values[found[1]], text))
    for path in folder.iterdir():
        path.chmod(0o644)
        os.utime(path, (fork.release.epoch_seconds,) * 2)


def _locked():
    """Wait until no other build of this user's runs; keep others from it.

    Anyone may write beside _TOPDIR. The file is therefore one for each user,
    no link is followed to it, and nobody else can open it, to hold the lock.
    It stays behind: who waits for it must wait for the same one.

    :returns: a file descriptor, to be closed
    :raises ForkError: there is something that is not ours
    """
    path = _TOPDIR.with_suffix('.%d.lock' % os.geteuid())
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise ForkError('%s must be a file of ours, or not there: %s' % (
            path, error))
    if os.fstat(lock).st_uid != os.geteuid():
        os.close(lock)
        raise ForkError('%s must be a file of ours, but another user has made '
                        'it. Let it be removed' % path)
    fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


def _remove_own_link():
    """Remove what a build that was killed has left at _TOPDIR."""
    try:
        found = _TOPDIR.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISLNK(found.st_mode) or found.st_uid != os.geteuid():
        raise ForkError(
            '%s must not be there, or be a link of ours. Found: %s of user '
            '%d. If no build of theirs runs, let it be removed' % (
                _TOPDIR, stat.filemode(found.st_mode), found.st_uid))
    _TOPDIR.unlink()


class Topdir:
    """rpmbuild's folder: new, in build/rpm, at a fixed path while used."""

    def __init__(self, fork, name):
        self.real = fork.build / 'rpm' / name
        self.log = fork.build / 'rpm' / (name + '.log')

    def __enter__(self):
        self._lock = _locked()
        try:
            shutil.rmtree(self.real, ignore_errors=True)
            self.real.mkdir(parents=True)
            _remove_own_link()
            # It fails on whatever comes there now, and follows nothing.
            _TOPDIR.symlink_to(self.real)
        except (OSError, ForkError) as error:
            os.close(self._lock)
            raise ForkError('rpmbuild gets no folder: %s' % error)
        return self

    def __exit__(self, *exception):
        _TOPDIR.unlink(missing_ok=True)
        os.close(self._lock)

    def rpmbuild(self, fork, python, *arguments):
        """Run rpmbuild with output to the log.

        :raises ForkError: it failed; with the end of the log
        """
        on_el9 = pathlib.Path('/etc/rpm/macros.dist').exists()
        command = [require('rpmbuild', 'rpm')]
        if not on_el9:
            command += ['--load',
                        fork.root / 'packaging' / 'rpm' / 'macros.not-el9',
                        # rpm knows nothing of what dpkg has installed.
                        '--nodeps']
        defines = {'_topdir': _TOPDIR, '_tmppath': _TOPDIR / 'tmp',
                   '_buildhost': 'nova-mycompany', '_buildshell': '/bin/bash'}
        for name, value in defines.items():
            command += ['--define', '%s %s' % (name, value)]
        environment = {
            'PATH': '%s:%s' % (pathlib.Path(python).parent,
                               '/usr/sbin:/usr/bin:/sbin:/bin'),
            # No settings of the user for rpm, pip or distutils.
            'HOME': str(_TOPDIR), 'LC_ALL': 'C.UTF-8', 'TZ': 'UTC',
            'PYTHONHASHSEED': '0', 'DEB_PYTHON_INSTALL_LAYOUT': 'deb'}
        (self.real / 'tmp').mkdir(exist_ok=True)
        with open(self.log, 'w') as log:
            done = subprocess.run([str(word) for word in
                                   command + list(arguments)],
                                  stdout=log, stderr=subprocess.STDOUT,
                                  stdin=subprocess.DEVNULL, env=environment,
                                  cwd=self.real)
        if done.returncode != 0:
            tail = self.log.read_text(errors='replace').splitlines()[-20:]
            raise ForkError('rpmbuild failed; the end of %s:\n    %s' % (
                self.log, '\n    '.join(tail)))


# What writes the sources of each spec.
_WRITERS = {SPEC: write_sources, CLIENT_SPEC: write_client_sources}


def build_source(fork, python, target, spec=SPEC):
    """Make a source package.

    :returns: its path, in the folder `target`
    """
    progress('making the source package of %s' % spec)
    with Topdir(fork, 'source') as topdir:
        _WRITERS[spec](fork, topdir.real / 'SOURCES')
        topdir.rpmbuild(fork, python, '-bs', _TOPDIR / 'SOURCES' / spec)
        made, = topdir.real.glob('SRPMS/*.src.rpm')
        return _move([made], target)[0]


def build_binary(fork, python, source, target):
    """Make the packages from the source package alone.

    :returns: their paths, in the folder `target`
    """
    progress('building the packages from %s' % source.name)
    with Topdir(fork, 'binary') as topdir:
        topdir.rpmbuild(fork, python, '--rebuild', source.resolve())
        return _move(sorted(topdir.real.glob('RPMS/noarch/*.rpm')), target)


def _move(paths, target):
    target.mkdir(parents=True, exist_ok=True)
    return [pathlib.Path(shutil.move(path, target / path.name))
            for path in paths]


def main(argv=None):
    parser = argparse.ArgumentParser(prog='patchqueue.rpm',
                                     description=__doc__)
    parser.add_argument('--python', required=True,
                        help='a Python 3.9 with setuptools and pbr')
    parser.add_argument('--rebuild', metavar='SRPM', type=pathlib.Path,
                        help='build this source package, not the checkout')
    parser.add_argument('folder', nargs='?', type=pathlib.Path,
                        help='where the packages go; dist unless told')
    args = parser.parse_args(argv)
    fork = Fork()
    target = (args.folder or fork.dist).resolve()
    os.umask(0o022)
    try:
        made, sources = [], [args.rebuild]
        if args.rebuild is None:
            made = sources = [build_source(fork, args.python, target, spec)
                              for spec in _WRITERS]
        for source in sources:
            made = made + build_binary(fork, args.python, source, target)
    except ForkError as error:
        print('error: %s' % error, file=sys.stderr)
        return 1
    for path in made:
        print(path)
    return 0


if __name__ == '__main__':
    sys.exit(main())
