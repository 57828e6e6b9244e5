"""Gets a Nova for the cloud, in the Python of the queue's tools.

    provide.py stock FOLDER         unpack the pristine release there
    provide.py packages BUILD ROOT  make a Debian with the packages of dist/ in
                                    ROOT; what it is unpacked from is kept in
                                    BUILD
"""

import pathlib
import shutil
import subprocess
import sys

TOP = pathlib.Path(__file__).parents[2]
sys.path += [str(TOP / 'tools'), str(TOP / 'tests' / 'packages')]

import built_debs  # noqa: E402
import deb_root  # noqa: E402
from patchqueue import errors  # noqa: E402
from patchqueue import fork as fork_module  # noqa: E402
from patchqueue import upstream  # noqa: E402

FORK = fork_module.Fork(TOP)

# What the cloud has services for, and a hypervisor's.
_PACKAGES = ('nova-api', 'nova-cmdb-agent', 'nova-compute',
             'nova-compute-kvm', 'nova-conductor', 'nova-scheduler')


def stock(folder):
    folder = pathlib.Path(folder)
    pinned = FORK.upstream.pinned
    stamp = folder / 'unpacked-from'
    if stamp.exists() and stamp.read_text() == pinned.sha256:
        return
    fresh = folder.with_suffix('.new')
    for path in (folder, fresh):
        shutil.rmtree(path, ignore_errors=True)
    upstream.unpack(pinned, fresh)
    (fresh / stamp.name).write_text(pinned.sha256)
    fresh.rename(folder)


def packages(build, root):
    build, root = pathlib.Path(build), pathlib.Path(root)
    if root.exists():
        return
    fresh = root.with_suffix('.new')
    shutil.rmtree(fresh, ignore_errors=True)
    archive = _archive(build)
    fresh.mkdir()
    subprocess.run(['tar', '-xf', archive, '-C', fresh], check=True)
    fresh.rename(root)


def _archive(build):
    """The path of a system with the packages, made if need be."""
    debs = built_debs.all_debs(FORK)
    base = deb_root.base(build / 'deb-tests')
    path = build / ('nova-root-%s.tar' % built_debs.digest(
        [base.name, *_PACKAGES], debs))
    if not path.exists():
        for old in build.glob('nova-root-*.tar'):
            old.unlink()
        _install(debs, build / 'deb-tests', path)
    return path


def _install(debs, cache, path):
    half = path.with_suffix('.half')
    with deb_root.System(cache) as system:
        system.apt('update')
        system.apt('install', *(
            file for file in system.add_packages(debs)
            if pathlib.Path(file).name.startswith(
                ('python3-', 'nova-common_',
                 *(name + '_' for name in _PACKAGES)))))
        # What is mounted in it stays out.
        subprocess.run(
            ['tar', '--one-file-system', '--exclude=./packages', '-C',
             system.path('/'), '-cf', half, '.'], check=True)
    half.rename(path)


def main(name, *folders):
    try:
        {'stock': stock, 'packages': packages}[name](*folders)
    except (errors.ForkError, deb_root.Missing, AssertionError,
            subprocess.CalledProcessError) as error:
        return 'error: %s' % error


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
