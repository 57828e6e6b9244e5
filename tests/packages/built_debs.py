"""The DEB packages of dist/, built when they are not there or older."""

import hashlib
import subprocess

from patchqueue import deb

PACKAGES = ('python3-nova', 'nova-common', 'nova-api', 'nova-cmdb-agent',
            'nova-conductor', 'nova-scheduler', 'nova-compute',
            'nova-compute-kvm',
            'nova-novncproxy', 'nova-serialproxy', 'nova-spicehtml5proxy')


def _newest_input(fork):
    """When anything that the packages are made of was last changed."""
    return max(
        path.stat().st_mtime for name in (
            'CHANGES.mycompany', 'features.toml', 'upstream.toml', 'nova',
            'patches', 'packaging/deb', 'client', 'tools/build-deb.sh')
        for path in [fork.root / name, *(fork.root / name).rglob('*')]
        if '__pycache__' not in path.parts)


def novas_debs(fork):
    """The path of each of Nova's packages, by its name.

    :raises ForkError: no packages are built on this distribution
    """
    wanted = fork.release.deb_version(deb.suffix()).partition(':')[2]

    def found():
        return {path.name.partition('_')[0]: path
                for path in fork.dist.glob('*_%s_all.deb' % wanted)}

    source = fork.dist / ('nova_%s.dsc' % wanted)
    if set(found()) != set(PACKAGES) or not source.exists() or (
            source.stat().st_mtime < _newest_input(fork)):
        subprocess.run([fork.root / 'tools' / 'build-deb.sh'], check=True)
    assert sorted(found()) == sorted(PACKAGES)
    return found()


def all_debs(fork):
    """The paths of all, the libraries' and the client's among them."""
    novas_debs(fork)
    return sorted(fork.dist.glob('*.deb'))


def digest(words, files):
    """A short name for what is made from these words and files."""
    found = hashlib.sha256('\n'.join(words).encode())
    for file in files:
        found.update(b'\0%s\0' % file.name.encode())
        found.update(hashlib.sha256(file.read_bytes()).digest())
    return found.hexdigest()[:12]
