"""A Debian 12 system in a folder, to install packages into.

It is made by mmdebstrap from the mirror that this machine's apt uses, and kept
as a tar file below build/, as are the packages apt downloads: only the first
run is slow. A system lives in name spaces of its own for processes, mounts and
network. Its network is a loopback interface and nothing else, so that ports
are always free; ending it ends every process in it.
"""

import contextlib
import hashlib
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import time

SUITE = 'bookworm'
PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

# The network of the mirrors as this machine's administrator set it up.
_SETTINGS = re.compile(r'Acquire::(https?|Retries|Check-)')


class Missing(Exception):
    """What this machine lacks to make such a system."""


def until(what, probe, seconds=60, pause=0.2):
    """Call `probe` until it returns something true, and return that.

    :raises AssertionError: it did not within `seconds`; with what it returned
    """
    end = time.monotonic() + seconds
    while True:
        found = probe()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError('not within %d s: %s; last: %r' % (
                seconds, what, found))
        time.sleep(pause)


def _sources():
    """The lines of sources.list, as configured on this machine.

    :raises Missing: its apt knows no mirror of Debian 12
    """
    found = subprocess.run(
        ['apt-get', 'indextargets', '--format',
         '$(ORIGIN)|$(CODENAME)|$(REPO_URI)|$(RELEASE)|$(COMPONENT)',
         'Created-By: Packages'],
        text=True, capture_output=True)
    lines = sorted(
        'deb %s %s %s' % (uri, release, component)
        for origin, codename, uri, release, component in (
            line.split('|') for line in set(found.stdout.splitlines()))
        if origin == 'Debian' and codename.startswith(SUITE)
        and component == 'main')
    if not any(' %s main' % SUITE in line for line in lines):
        raise Missing('the apt of this machine is not configured for a mirror '
                      'of Debian 12 (%s)' % SUITE)
    return lines


def _settings():
    dump = subprocess.run(['apt-config', 'dump'], text=True,
                          capture_output=True).stdout
    return [line for line in dump.splitlines() if _SETTINGS.match(line)]


def base(cache):
    """The path of the tar file of a fresh system, made if need be."""
    for program in ('mmdebstrap', 'unshare', 'nsenter'):
        if not shutil.which(program):
            raise Missing('%s is not installed: tools/setup.sh packages'
                          % program)
    sources, settings = _sources(), _settings()
    # Refreshed with the week, so that few updates are left to install.
    week = time.strftime('%G-%V')
    name = hashlib.sha256('\n'.join(
        [week, *sources, *settings]).encode()).hexdigest()[:12]
    cache.mkdir(parents=True, exist_ok=True)
    path = cache / ('base-%s.tar' % name)
    if not path.exists():
        for old in cache.glob('base-*.tar'):
            old.unlink()
        half = path.with_suffix('.half.tar')
        subprocess.run(
            ['mmdebstrap', '--quiet', '--mode=root', '--variant=apt',
             # dpkg is three times as fast without its syncs.
             '--include=eatmydata',
             *['--aptopt=' + line.rstrip(';') for line in settings],
             SUITE, half, *sources], check=True)
        half.rename(path)
    return path


class System:
    """A fresh system, in memory; a context manager that ends and removes it.

    :param cache: a folder for what later runs can use again
    """

    def __init__(self, cache):
        self.cache = pathlib.Path(cache)
        self._holder = None

    def __enter__(self):
        archives = self.cache / 'archives'
        archives.mkdir(parents=True, exist_ok=True)
        # Where it is mounted; seen by those in its name space only.
        self._top = self.cache / 'root'
        self._top.mkdir(exist_ok=True)
        self._holder = subprocess.Popen(
            ['unshare', '--mount', '--pid', '--net', '--fork', '--kill-child',
             'sh', '-ec',
             'mount -t tmpfs -o mode=755,size=6g tmpfs "$1"\n'
             'tar -xf "$3" -C "$1"\n'
             'mount -t proc proc "$1/proc"\n'
             'mount -t tmpfs tmpfs "$1/dev/shm"\n'
             'mount -t tmpfs tmpfs "$1/run"; mkdir -m 1777 "$1/run/lock"\n'
             'mount --bind "$2" "$1/var/cache/apt/archives"\n'
             'touch "$1/run/ready"\n'
             'exec sleep infinity', 'sh', self._top, archives,
             base(self.cache)],
            stdin=subprocess.DEVNULL)
        self.pid = str(until('the holder of the name spaces', self._child))
        until('the unpacked system', self.path('/run/ready').exists)
        # Without systemd a package must not start its services.
        self.write('/usr/sbin/policy-rc.d', '#!/bin/sh\nexit 101\n', 0o755)
        self.write('/etc/hosts',
                   '127.0.0.1 localhost %s\n' % socket.gethostname())
        shutil.copyfile('/etc/resolv.conf', self.path('/etc/resolv.conf'))
        # The loopback interface goes up without a program of the system's.
        subprocess.run(
            ['nsenter', '-t', self.pid, '-n', sys.executable, '-c',
             'import fcntl, socket, struct\n'
             'IFF_UP, SIOCSIFFLAGS = 1, 0x8914\n'
             'fcntl.ioctl(socket.socket(), SIOCSIFFLAGS,'
             ' struct.pack("16sH22x", b"lo", IFF_UP))'], check=True)
        return self

    def __exit__(self, *exc):
        self._holder.kill()
        self._holder.wait()

    def _child(self):
        with contextlib.suppress(OSError):
            return int(pathlib.Path('/proc/%d/task/%d/children' % (
                self._holder.pid, self._holder.pid)).read_text() or 0)

    def path(self, path):
        """Where a path of the system is on this machine."""
        return pathlib.Path('/proc/%s/root%s/%s' % (
            self.pid, self._top, path.lstrip('/')))

    def write(self, path, text, mode=0o644):
        target = self.path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        target.chmod(mode)

    def command(self, *command, user=None, online=False, cwd='/', env=()):
        """The command line that runs `command` in the system.

        :param user: who runs it; root unless told
        :param online: with this machine's network, for apt
        """
        enter = ['nsenter', '-t', self.pid, '-m', '-p']
        enter += [] if online else ['-n']
        home = {None: '/root', 'nova': '/var/lib/nova'}.get(user, '/')
        become = ['setpriv', '--reuid', user, '--regid', user,
                  '--init-groups'] if user else []
        return [*enter, 'chroot', str(self._top), 'env', '-i',
                '-C', cwd, 'PATH=' + PATH, 'HOME=' + home, 'LC_ALL=C.UTF-8',
                *['%s=%s' % pair for pair in dict(env).items()],
                *become, *command]

    def run(self, *command, check=True, **how):
        """Run a command; its output is text, both streams in one.

        :raises AssertionError: it failed, and `check`; with its output
        """
        done = subprocess.run(
            self.command(*command, **how), text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT)
        if check and done.returncode:
            raise AssertionError('%s failed with %d:\n%s' % (
                ' '.join(command), done.returncode, done.stdout[-3000:]))
        return done

    def start(self, *command, log, **how):
        """Start a command, its output in the file `log`; a Process."""
        with open(log, 'ab') as stream:
            return Process(subprocess.Popen(
                self.command(*command, **how), stdin=subprocess.DEVNULL,
                stdout=stream, stderr=stream))

    def apt(self, *words):
        """Run apt-get, which asks no questions and recommends nothing."""
        return self.run(
            'eatmydata', 'apt-get', '-qq', '-y', '-o', 'Dpkg::Use-Pty=0',
            '--no-install-recommends', *words, online=True,
            env={'DEBIAN_FRONTEND': 'noninteractive'})

    def add_packages(self, files, folder='/packages'):
        """Copy package files into the system; their paths in it."""
        target = self.path(folder)
        target.mkdir(exist_ok=True)
        for file in files:
            shutil.copy(file, target)
        return ['%s/%s' % (folder, pathlib.Path(file).name) for file in files]

    def files(self):
        """The paths of all files of the system, those of its mounts apart."""
        return set(self.run('find', '/', '-xdev').stdout.splitlines())


class Process:
    """A process in a system, started through nsenter."""

    def __init__(self, popen):
        self._popen = popen

    @property
    def pid(self):
        """Its number on this machine. nsenter is its parent, and waits."""
        path = '/proc/%d/task/%d/children' % ((self._popen.pid,) * 2)
        return int(until('a child of nsenter',
                         lambda: pathlib.Path(path).read_text()))

    def ended(self):
        return self._popen.poll() is not None

    def user(self):
        return pathlib.Path('/proc/%d' % self.pid).stat().st_uid

    def stop(self, signal, seconds=60):
        """Send it a signal and wait for its end; its exit status."""
        os.kill(self.pid, signal)
        return self._popen.wait(seconds)
