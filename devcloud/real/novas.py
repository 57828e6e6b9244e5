"""The Novas that a service can be of.

    tree      the fork, of build/tree
    stock     upstream's release that the fork is made of
    packages  the fork as the DEBs of dist/ install it, in a Debian of its own
"""

import pathlib
import subprocess

NAMES = ('tree', 'stock', 'packages')

_HERE = pathlib.Path(__file__).parent


class Missing(Exception):
    """What cannot be had here, and why."""


def _provide(build, *words):
    done = subprocess.run(
        [build / 'venv/tools/bin/python', _HERE / 'provide.py', *words],
        text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT)
    if done.returncode:
        raise Missing('Nova of %s cannot be had:\n%s' % (
            words[0], done.stdout[-3000:]))


class Tree:
    """The Nova of a folder with its source, in build/venv/nova.

    The folder comes first in the path of Python, and so does the
    nova.egg-info in it: its entry points are its own.

    :ivar environment: of its programs
    :ivar paste: the file that puts its API together
    :ivar privsep: the program that holds the rights
    :ivar release: the file with the vendor's release
    :ivar agent: whether it has a nova-cmdb-agent
    """

    agent = True

    def __init__(self, build, tree):
        self._bin = build / 'venv/nova/bin'
        self._build, self._tree = build, tree
        self.environment = {
            'PYTHONPATH': '%s:%s' % (tree, build / 'libvirt-python')}
        self.paste = tree / 'etc/nova/api-paste.ini'
        self.privsep = self._bin / 'privsep-helper'
        self.release = tree / 'etc/nova/release'

    def command(self, program):
        """The words that start one of its programs, or its `python`."""
        return [self._bin / program]

    def provide(self):
        """Get it, unless it is there.

        :raises Missing: it cannot be had
        """

    def enter(self, run):
        """Let it be run in the name spaces of the cloud.

        :param run: a function that runs a command there
        """


class Stock(Tree):

    agent = False

    def provide(self):
        _provide(self._build, 'stock', self._tree)


class Packages:
    """The fork as it is installed.

    :param build: the folder for what later clouds can use again
    :param root: where the Debian is, in the folder of the cloud
    :param seen: the folders of the machine's that are seen in it, by the
        same path
    """

    agent = True
    environment = {
        'PATH': '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'}
    paste = '/etc/nova/api-paste.ini'
    privsep = '/usr/bin/privsep-helper'
    release = None

    def __init__(self, build, root, seen):
        self._build, self._root, self._seen = build, root, seen

    def command(self, program):
        name = 'python3' if program == 'python' else program
        return ['chroot', self._root, '/usr/bin/' + name]

    def provide(self):
        _provide(self._build, 'packages', self._build, self._root)

    def enter(self, run):
        run('bash', '-euc', '''
            root=$1; shift
            ! mountpoint -q "$root/proc" || exit 0
            for folder in "$@"; do
                mkdir -p "$root$folder"
                mount --bind "$folder" "$root$folder"
            done
            for folder in /dev /sys /run /proc; do
                mount --rbind "$folder" "$root$folder"
            done''', 'bash', self._root, *self._seen)


def novas(build, folder):
    """All of them, by name.

    :param folder: of the cloud
    """
    return {
        'tree': Tree(build, build / 'tree'),
        'stock': Stock(build, build / 'stock'),
        'packages': Packages(build, folder / 'nova-root', (folder, _HERE)),
    }
