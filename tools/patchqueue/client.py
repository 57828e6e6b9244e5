"""The plug-in of ``client/`` as a source of its own.

It is no part of Nova: it is installed where the ``openstack`` command is, and
is a distribution of its own, with the release of the fork as its version. What
pip, the DEB and the RPM build is made here, from one folder.
"""

import gzip
import os
import pathlib
import shutil
import tarfile

NAME = 'osc-mycompany-metrics'


def version(fork):
    """The release without its name: 2024.1.1 of mycompany-2024.1.1."""
    return fork.release.tag.partition('-')[2]


def write_source(fork, folder):
    """Write the source into `folder`, which is made anew."""
    folder = pathlib.Path(folder)
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(fork.root / 'client', folder,
                    ignore=shutil.ignore_patterns('__pycache__', '*.pyc'))
    (folder / 'VERSION').write_text(version(fork) + '\n')
    shutil.copyfile(fork.root / 'LICENSE', folder / 'LICENSE')
    for path in [folder, *sorted(folder.rglob('*'), reverse=True)]:
        path.chmod(0o755 if path.is_dir() else 0o644)
        os.utime(path, (fork.release.epoch_seconds,) * 2)


def write_archive(fork, path):
    """Write the source as a .tar.gz, the same bytes from the same source."""
    top = '%s-%s' % (NAME, version(fork))
    folder = pathlib.Path(str(path) + '.folder') / top
    write_source(fork, folder)

    def anonymous(member):
        member.uid = member.gid = 0
        member.uname = member.gname = 'root'
        member.mtime = fork.release.epoch_seconds
        return member

    # Neither the name of the file nor the time is in its head.
    with open(path, 'wb') as stream, gzip.GzipFile(
            '', 'wb', mtime=0, fileobj=stream) as packed, tarfile.open(
            fileobj=packed, mode='w', format=tarfile.GNU_FORMAT) as archive:
        for member in [folder, *sorted(folder.rglob('*'))]:
            archive.add(member, str(member.relative_to(folder.parent)),
                        recursive=False, filter=anonymous)
    shutil.rmtree(folder.parent)
