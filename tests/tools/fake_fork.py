"""A small fork of a small Nova, for the tests of the queue's tools.

`FakeUpstream` is a folder of releases, real sdists that real pip fetches.
`FakeFork` is a repository like this one on top of it: the modules under test
get ``fake.fork``, and a test alters or breaks any file of it first:

    def test_a_broken_patch_is_named(fake):
        fake.edit('patches/compute-post-create-hook.patch', 'build', 'biuld')
        with pytest.raises(ForkError, match='compute-post-create-hook'):
            check.main()

The fixtures are in conftest.py.
"""

import gzip
import hashlib
import io
import pathlib
import shutil
import subprocess
import tarfile
import tempfile
import zipfile

from patchqueue import series
from patchqueue import upstream
from patchqueue.fork import Fork

PINNED = '29.4.0'

# --- upstream ---------------------------------------------------------------

NOVA = {
    'setup.py': '''\
import setuptools

setuptools.setup(setup_requires=['pbr>=2.0.0'], pbr=True)
''',
    'setup.cfg': '''\
[metadata]
name = nova
summary = A very small Nova
author = OpenStack

[files]
data_files =
    etc/nova =
        etc/nova/api-paste.ini
        etc/nova/rootwrap.conf
packages =
    nova

[entry_points]
console_scripts =
    nova-manage = nova.cmd.manage:main
''',
    'README.rst': 'A very small Nova.\n',
    '.gitignore': '*.egg-info\n/etc\n',
    '.gitattributes': '*.py text eol=crlf\n',
    'etc/nova/api-paste.ini': '[composite:osapi_compute]\n',
    'etc/nova/rootwrap.conf': '[DEFAULT]\n',
    'nova/__init__.py': '',
    'nova/version.py': '''\
"""What version of Nova this is."""

NOVA_PRODUCT = 'OpenStack Nova'


def product_string():
    return NOVA_PRODUCT


def version_string():
    return '29'


def version_string_with_package():
    return version_string()
''',
    'nova/cmd/__init__.py': '',
    'nova/cmd/manage.py': '''\
from nova import version


def main():
    print(version.version_string_with_package())
    return 0
''',
    'nova/compute/__init__.py': '',
    'nova/compute/manager.py': '''\
"""Handles all processes relating to servers."""

import time

from nova import version


class ComputeManager:
    """Manages the running servers from creation to destruction."""

    def __init__(self):
        self.servers = {}
        self.started = time.time()

    def build(self, server):
        """Build a server."""
        self.servers[server] = 'building'
        self.spawn(server)
        self.servers[server] = 'active'
        return server

    def spawn(self, server):
        """Start the domain of a server."""
        self.servers[server] = 'spawning'

    def reboot(self, server):
        """Reboot a server."""
        self.servers[server] = 'rebooting'
        self.servers[server] = 'active'

    def delete(self, server):
        """Delete a server."""
        self.servers[server] = 'deleting'
        del self.servers[server]
        return None

    def product(self):
        return version.product_string()
''',
    'nova/tests/__init__.py': '',
    'nova/tests/unit/__init__.py': '',
    'nova/tests/unit/test_version.py': '''\
import unittest

from nova import version


class VersionTestCase(unittest.TestCase):
    def test_product(self):
        self.assertEqual('OpenStack Nova', version.product_string())
''',
    'nova/tests/unit/compute/__init__.py': '',
    'nova/tests/unit/compute/test_manager.py': '''\
import unittest

from nova.compute import manager


class ManagerTestCase(unittest.TestCase):
    def test_build_and_delete(self):
        compute = manager.ComputeManager()
        compute.build('one')
        self.assertEqual({'one': 'active'}, compute.servers)
        compute.delete('one')
        self.assertEqual({}, compute.servers)
''',
}

MANAGER = 'nova/compute/manager.py'

# What each release changes in NOVA: {path: [(old, new), ...]}, or a text for a
# file that is new. None for the pinned one's equal.
RELEASES = {
    # A wheel, as the real 29.0.0.
    '29.0.0': None,
    # A line is missing above the seams: offsets.
    '29.3.0': {MANAGER: [('        self.started = time.time()\n', '')]},
    '29.4.0': None,
    # New lines beside the seams: offsets, and another context.
    '29.5.0': {
        MANAGER: [('import time\n', 'import threading\nimport time\n'),
                  ('        """Build a server."""\n',
                   '        """Build a server, wherever it fits."""\n')],
        'README.rst': [('A very small', 'A quite small')]},
    # The line after which a server is active is another one: a conflict.
    '30.0.0': {
        MANAGER: [("        self.spawn(server)\n"
                   "        self.servers[server] = 'active'\n",
                   "        self.spawn(server)\n"
                   "        self.servers[server] = 'ACTIVE'\n")]},
    # Upstream has taken the seam compute-post-delete-hook.
    '31.0.0': {
        MANAGER: [('        del self.servers[server]\n        return None\n',
                   '        del self.servers[server]\n'
                   '        hooks.call(\'post_delete\', server)\n'
                   '        return None\n')]},
    # Upstream has a file where the fork has one.
    '32.0.0': {'nova/compute/hooks.py': '"""Hooks of upstream."""\n'},
}


def _edited(text, edits):
    for old, new in edits:
        assert text.count(old) == 1, '%r is there %d times' % (
            old, text.count(old))
        text = text.replace(old, new)
    return text


class FakeUpstream:
    """Releases of the small Nova in a folder that pip can be pointed to.

    :param folder: where they are put, as ``nova-29.4.0.tar.gz``
    """

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.files = {}
        self.sha256 = {}
        self.artifact = {}
        for version, changes in RELEASES.items():
            self.release(version, changes,
                         'wheel' if version == '29.0.0' else 'sdist')

    @property
    def environment(self):
        """Variables with which pip finds these releases and nothing else."""
        return {'PIP_NO_INDEX': '1', 'PIP_FIND_LINKS': str(self.folder),
                'PIP_CONFIG_FILE': '/dev/null', 'PIP_EXTRA_INDEX_URL': '',
                'PIP_INDEX_URL': ''}

    def release(self, version, changes=None, artifact='sdist'):
        """Make a release that differs from NOVA by `changes`.

        :param changes: {path: [(old, new), ...]} edits a file,
            {path: text} adds one, {path: None} takes one away
        """
        files = dict(NOVA)
        for path, change in (changes or {}).items():
            if change is None:
                del files[path]
            elif isinstance(change, str):
                files[path] = change
            else:
                files[path] = _edited(files[path], change)
        self.files[version] = files
        self.artifact[version] = artifact
        made = (self._sdist if artifact == 'sdist' else self._wheel)(
            version, files)
        self.sha256[version] = hashlib.sha256(made.read_bytes()).hexdigest()

    def _sdist(self, version, files):
        info = 'Metadata-Version: 2.1\nName: nova\nVersion: %s\n' % version
        files = dict(files, **{
            'PKG-INFO': info,
            'nova.egg-info/PKG-INFO': info,
            'nova.egg-info/SOURCES.txt': '\n'.join(sorted(files)) + '\n'})
        raw = io.BytesIO()
        with tarfile.open(fileobj=raw, mode='w') as archive:
            for path, text in files.items():
                member = tarfile.TarInfo('nova-%s/%s' % (version, path))
                member.size = len(text.encode())
                member.mode = 0o755 if path == 'setup.py' else 0o644
                archive.addfile(member, io.BytesIO(text.encode()))
        path = self.folder / ('nova-%s.tar.gz' % version)
        path.write_bytes(gzip.compress(raw.getvalue(), 1, mtime=0))
        return path

    def _wheel(self, version, files):
        path = self.folder / ('nova-%s-py3-none-any.whl' % version)
        files = {p: t for p, t in files.items() if p.startswith('nova/')}
        info = 'nova-%s.dist-info/' % version
        files[info + 'METADATA'] = (
            'Metadata-Version: 2.1\nName: nova\nVersion: %s\n' % version)
        files[info + 'WHEEL'] = ('Wheel-Version: 1.0\nGenerator: fake\n'
                                 'Root-Is-Purelib: true\nTag: py3-none-any\n')
        files[info + 'RECORD'] = ''.join('%s,,\n' % p for p in files)
        with zipfile.ZipFile(path, 'w') as wheel:
            for name, text in files.items():
                wheel.writestr(zipfile.ZipInfo(name), text)
        return path


# --- the fork ---------------------------------------------------------------

WHO = 'nova-mycompany developers <nova@mycompany.example>'

FILES = {
    'CHANGES.mycompany': '''\
# One entry per release of the fork, the newest first.

mycompany-2024.1.1 (nova 29.4.0)

  * First release.

 -- %s  Mon, 23 Nov 2026 12:00:00 +0000
''' % WHO,
    'features.toml': '''\
# The map of the fork.

# Pages about the fork as a whole.
guides = [
]

[[feature]]
name = "vendor-version"
title = "The vendor's release in the version"
files = [
    "nova/vendor_release.py",
]
patches = [
    "version-shows-vendor.patch",
    "setup-install-release-file.patch",
]
tests = [
    "nova/tests/unit/test_vendor_release.py",
]
upstream_tests = [
    "nova.tests.unit.test_version",
]
docs = [
]

[[feature]]
name = "hooks"
title = "Hooks in the compute manager"
# The dispatcher first.
files = [
    "nova/compute/hooks.py",
]
patches = [
    "compute-post-create-hook.patch",
    "compute-post-delete-hook.patch",
]
tests = [
    "nova/tests/unit/compute/test_hooks.py",
]
upstream_tests = [
    "nova.tests.unit.compute.test_manager",
]
docs = [
]
''',
    '.gitignore': '/build/\n/dist/\n__pycache__/\n*.pyc\n',
    'nova/vendor_release.py': '''\
"""Which release of the fork this is."""


def version_string(version):
    return '%s-mycompany' % version
''',
    'nova/compute/hooks.py': '''\
"""A tiny dispatcher."""

called = []


def call(name, server):
    called.append((name, server))
''',
    'nova/tests/unit/test_vendor_release.py': '''\
import pathlib
import unittest

from nova import version


class VersionTestCase(unittest.TestCase):
    def test_version_names_the_vendor(self):
        self.assertEqual('29-mycompany',
                         version.version_string_with_package())


class InstallationTestCase(unittest.TestCase):
    def test_release_file_is_installed(self):
        root = pathlib.Path(version.__file__).parents[1]
        self.assertIn('etc/nova/release',
                      (root / 'setup.cfg').read_text())
''',
    'nova/tests/unit/compute/test_hooks.py': '''\
import unittest

from nova.compute import hooks
from nova.compute import manager


class HooksTestCase(unittest.TestCase):
    def setUp(self):
        hooks.called.clear()
        self.compute = manager.ComputeManager()

    def test_post_create(self):
        self.compute.build('one')
        self.assertIn(('post_create', 'one'), hooks.called)


class DeleteTestCase(HooksTestCase):
    def test_post_delete(self):
        self.compute.build('one')
        self.compute.delete('one')
        self.assertIn(('post_delete', 'one'), hooks.called)
''',
}

SERIES = '''\
# What the fork changes in upstream's files.

# --- Ours to keep: the vendor's release -------------------------------------
version-shows-vendor.patch
setup-install-release-file.patch

# --- Ours to keep: hooks ----------------------------------------------------
compute-post-create-hook.patch
compute-post-delete-hook.patch
'''

# name: (feature, description, test, {path: [(old, new), ...]})
SEAMS = {
    'version-shows-vendor.patch': (
        'vendor-version', 'Show the vendor in the version',
        'nova.tests.unit.test_vendor_release.VersionTestCase',
        {'nova/version.py': [
            ('of Nova this is."""\n',
             'of Nova this is."""\n\nfrom nova import vendor_release\n'),
            ('    return version_string()\n',
             '    return vendor_release.version_string('
             'version_string())\n')]}),
    'setup-install-release-file.patch': (
        'vendor-version', 'Install etc/nova/release with the package',
        'nova.tests.unit.test_vendor_release.InstallationTestCase',
        {'setup.cfg': [
            ('        etc/nova/api-paste.ini\n',
             '        etc/nova/api-paste.ini\n'
             '        etc/nova/release\n')]}),
    'compute-post-create-hook.patch': (
        'hooks', 'Call the hooks after a server is built',
        'nova.tests.unit.compute.test_hooks.HooksTestCase',
        {MANAGER: [
            ('from nova import version\n',
             'from nova.compute import hooks\nfrom nova import version\n'),
            ("        self.spawn(server)\n"
             "        self.servers[server] = 'active'\n",
             "        self.spawn(server)\n"
             "        self.servers[server] = 'active'\n"
             "        hooks.call('post_create', server)\n")]}),
    'compute-post-delete-hook.patch': (
        'hooks', 'Call the hooks after a server is deleted',
        'nova.tests.unit.compute.test_hooks.DeleteTestCase',
        {MANAGER: [
            ('        del self.servers[server]\n',
             '        del self.servers[server]\n'
             "        hooks.call('post_delete', server)\n")]}),
}


def header(feature, description, test):
    """The DEP-3 header of a patch, with the empty line that ends it."""
    return ('Description: %s\n It is a test.\nAuthor: %s\nOrigin: vendor\n'
            'Forwarded: no (only the fork needs it)\n'
            'Last-Update: 2026-11-23\nFeature: %s\nTest: %s\n\n' % (
                description, WHO, feature, test))


def diff_of(before, edits):
    """The diff, in the queue's form, that `edits` make of `before`.

    :param before: {path: text}; changed in place to what it is after
    """
    with tempfile.TemporaryDirectory() as scratch:
        sides = pathlib.Path(scratch) / 'old', pathlib.Path(scratch) / 'new'
        for path, changes in edits.items():
            after = _edited(before[path], changes)
            for side, text in zip(sides, (before[path], after)):
                (side / path).parent.mkdir(parents=True, exist_ok=True)
                (side / path).write_text(text)
            before[path] = after
        return series.diff(*sides, edits)


def create(root, releases):
    """Put the repository of the small fork into the new folder `root`."""
    root = pathlib.Path(root)
    files = dict(FILES)
    files['upstream.toml'] = (
        '# What the fork stands on.\n\nname = "nova"\n\npinned = "%s"\n\n'
        'hot = [\n    "%s",\n]\n' % (PINNED, MANAGER)
        + ''.join('\n' + release_table(releases, version)
                  for version in releases.sha256))
    files['patches/series'] = SERIES
    tree = dict(NOVA)
    for name, (feature, description, test, edits) in SEAMS.items():
        files['patches/' + name] = (
            header(feature, description, test) + diff_of(tree, edits))
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    made = FakeFork(root, releases)
    made.git('init', '--quiet', '--initial-branch=main')
    made.commit('The fork')
    return made


def release_table(releases, version):
    """The [[release]] of upstream.toml."""
    artifact = releases.artifact[version]
    return '[[release]]\nversion = "%s"\nsha256 = "%s"\n%s' % (
        version, releases.sha256[version],
        '' if artifact == 'sdist' else 'artifact = "%s"\n' % artifact)


class FakeFork:
    """A repository of the fork that a test may alter at will."""

    def __init__(self, root, releases):
        self.root = pathlib.Path(root)
        self.upstream = releases

    def copy(self, root):
        shutil.copytree(self.root, root, symlinks=True)
        return FakeFork(root, self.upstream)

    @property
    def fork(self):
        """The repository as the modules under test see it, read anew."""
        return Fork(self.root)

    def path(self, name):
        return self.root / name

    def read(self, name):
        return self.path(name).read_bytes().decode()

    def write(self, name, text):
        self.path(name).parent.mkdir(parents=True, exist_ok=True)
        self.path(name).write_bytes(text.encode())

    def edit(self, name, old, new):
        """Replace the only `old` in the file."""
        self.write(name, _edited(self.read(name), [(old, new)]))

    def remove(self, name):
        self.path(name).unlink()

    def add_release(self, version, changes=None, artifact='sdist'):
        """Let upstream release `version`; see FakeUpstream.release().

        The releases are the session's: take a version no other test has.
        """
        self.upstream.release(version, changes, artifact)
        self.write('upstream.toml', self.read('upstream.toml') + '\n'
                   + release_table(self.upstream, version))

    def add_patch(self, name, feature, edits, *, description='A new seam',
                  test='nova.tests.unit.test_version.VersionTestCase'):
        """Add a patch to the end of the series and of its feature's list.

        :param edits: {path: [(old, new), ...]}, on top of the series
        """
        fork = self.fork
        with tempfile.TemporaryDirectory() as folder:
            upstream.unpack(fork.upstream.pinned, folder)
            for patch in fork.series:
                subprocess.run(['patch', '-p1', '--quiet'], cwd=folder,
                               input=patch.diff_text, text=True, check=True)
            before = {path: (pathlib.Path(folder) / path).read_text()
                      for path in edits}
        self.write('patches/' + name,
                   header(feature, description, test)
                   + diff_of(before, edits))
        self.write('patches/series',
                   self.read('patches/series') + name + '\n')
        seams = fork.features.get(feature).patches
        self.edit('features.toml', '    "%s",\n' % seams[-1],
                  '    "%s",\n    "%s",\n' % (seams[-1], name))

    def git(self, *args):
        """Run git in the repository; its output, stripped."""
        return subprocess.run(
            ['git', '-c', 'user.name=Tester', '-c', 'user.email=t@example.org',
             '-c', 'commit.gpgsign=false', *args], cwd=self.root, text=True,
            check=True, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT).stdout.strip()

    def commit(self, message='A change'):
        self.git('add', '--all')
        self.git('commit', '--quiet', '-m', message)

    @property
    def status(self):
        """What `git status` says is changed: '' when nothing is."""
        return self.git('status', '--porcelain')
