"""The RPMs: built here, installed into an empty root, run by Python 3.9.

Not tested here: their scriptlets on a real systemd, and that RDO's
repositories provide what they require.
"""

import configparser
import fcntl
import hashlib
import os
import pathlib
import re
import threading

import checkout
import pytest

from patchqueue import release
from patchqueue import rpm

RDO_NAMES = {
    'openstack-nova', 'openstack-nova-api', 'openstack-nova-common',
    'openstack-nova-compute', 'openstack-nova-conductor',
    # Ours, in the manner of RDO.
    'openstack-nova-cmdb-agent',
    'openstack-nova-novncproxy', 'openstack-nova-scheduler',
    'openstack-nova-serialproxy', 'openstack-nova-spicehtml5proxy',
    'python3-nova', 'python3-nova-tests'}

# They are no programs of oslo.config, and know no --version.
WITHOUT_VERSION = {'nova-api-wsgi', 'nova-metadata-wsgi', 'nova-rootwrap',
                   'nova-rootwrap-daemon'}

SITE = 'usr/lib/python3.9/site-packages'


@pytest.fixture(scope='session')
def built(tmp_path_factory):
    """A folder with the packages, built from the checkout."""
    folder = tmp_path_factory.mktemp('built')
    checkout.run(checkout.ROOT / 'tools' / 'build-rpm.sh', folder)
    return folder


@pytest.fixture(scope='session')
def source(built):
    found, = built.glob('openstack-nova-*.src.rpm')
    return found


@pytest.fixture(scope='session')
def packages(built):
    """The path of each package that is no source package, by its name."""
    return {query(path, '%{NAME}'): path
            for path in sorted(built.glob('*nova*.noarch.rpm'))}


@pytest.fixture(scope='session')
def client_package(built):
    """The openstack plug-in, from a source package of its own."""
    found, = built.glob('python3-osc-mycompany-metrics-*.noarch.rpm')
    return found


@pytest.fixture(scope='session')
def unpacked(source, tmp_path_factory):
    """The files of the source package."""
    folder = tmp_path_factory.mktemp('source')
    checkout.run('rpm', '--install', '--nodeps', '--define',
                 '_topdir %s' % folder, source)
    return folder


def query(path, form):
    return checkout.run('rpm', '--query', '--package', '--queryformat', form,
                        path).stdout


def files(path):
    """Of each file of a package: its mode, owner, group and flags."""
    form = ('[%{FILENAMES}|%{FILEMODES:octal}|%{FILEUSERNAME}|'
            '%{FILEGROUPNAME}|%{FILEFLAGS:fflags}\n]')
    rows = [line.split('|') for line in query(path, form).splitlines()]
    return {row[0]: (row[1][-4:], *row[2:]) for row in rows}


class Root:
    """A root folder with the packages, and a Python 3.9 to run them."""

    def __init__(self, path, python):
        self.path = path
        self.python = python
        self.home = path / 'root'

    def rpm(self, *arguments):
        checkout.run('rpm', '--root', self.path, *arguments)

    def run(self, *arguments, check=True, **environment):
        """Run Python on the root's nova, with the root's /etc."""
        command = ('mount --bind %s/etc /etc && exec "$@"' % self.path)
        return checkout.run(
            'unshare', '--map-root-user', '--mount', 'sh', '-ec', command,
            'sh', self.python, '-s', *arguments, check=check, cwd=self.home,
            HOME=str(self.home), PYTHONPATH=str(self.path / SITE),
            PYTHONDONTWRITEBYTECODE='1', **environment)

    def command(self, name, *arguments, **environment):
        return self.run(self.path / 'usr' / 'bin' / name, *arguments,
                        **environment)


@pytest.fixture(scope='session')
def python39():
    said = checkout.run(checkout.ROOT / 'tools' / 'python39.sh', 'nova')
    return said.stdout.strip()


def install(packages, path, python):
    root = Root(path, python)
    root.rpm('--initdb')
    root.home.mkdir(exist_ok=True)
    root.rpm('--install', '--nodeps', '--noscripts', *packages.values())
    return root


@pytest.fixture(scope='session')
def root(packages, python39, tmp_path_factory):
    return install(packages, tmp_path_factory.mktemp('root'), python39)


# The source package.

def test_the_source_package_holds_upstreams_sdist_unchanged(unpacked, fork):
    pinned = fork.upstream.pinned
    sdist = unpacked / 'SOURCES' / ('nova-%s.tar.gz' % pinned.version)
    digest = hashlib.sha256(sdist.read_bytes()).hexdigest()
    assert digest == pinned.sha256


def test_the_patches_are_the_plain_series_in_its_order(unpacked, fork):
    spec = (unpacked / 'SPECS' / 'openstack-nova.spec').read_text()
    named = re.findall(r'(?m)^Patch\d+:\s+(\S+)$', spec)
    assert named == ['%s.patch' % feature.name for feature in fork.features
                     if fork.files_of(feature) or feature.patches]
    for name in named:
        assert (unpacked / 'SOURCES' / name).exists()


def test_the_spec_has_no_place_left_to_fill_in(unpacked):
    spec = (unpacked / 'SPECS' / 'openstack-nova.spec').read_text()
    assert not re.findall(r'@\w+@', spec)


def test_rebuilt_alone_the_source_package_gives_the_same(
        built, source, tmp_path):
    alone = tmp_path / 'alone'
    alone.mkdir()
    (alone / source.name).write_bytes(source.read_bytes())
    checkout.run(checkout.ROOT / 'tools' / 'build-rpm.sh',
                 '--rebuild', alone / source.name, tmp_path / 'out')
    assert digests(tmp_path / 'out', '*.noarch.rpm') == digests(
        built, '*nova*.noarch.rpm')


def test_a_build_elsewhere_gives_the_same_bytes(built, tmp_path):
    elsewhere = checkout.copy(tmp_path / 'a' / 'longer' / 'path')
    tools = checkout.ROOT / 'build' / 'venv' / 'tools' / 'bin' / 'python'
    python = checkout.run(checkout.ROOT / 'tools' / 'python39.sh', 'build')
    checkout.run(tools, '-m', 'patchqueue.rpm', '--python',
                 python.stdout.strip(), tmp_path / 'out', umask=0o077,
                 TZ='Asia/Kolkata', PYTHONPATH=str(elsewhere / 'tools'),
                 FORK_ROOT=str(elsewhere))
    assert digests(tmp_path / 'out', '*.rpm') == digests(built, '*.rpm')


def digests(folder, pattern):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in folder.glob(pattern)}


# The folder that rpmbuild works in, which anyone may write beside.

class Shared:
    """A folder in place of /tmp, in which builds have their link and lock."""

    def __init__(self, folder):
        self.build = folder / 'checkout' / 'build'
        self.tmp = folder / 'tmp'
        self.tmp.mkdir()
        self.topdir = self.tmp / 'rpmbuild'
        self.lock = self.tmp / ('rpmbuild.%d.lock' % os.geteuid())

    def use(self):
        with rpm.Topdir(self, 'source') as topdir:
            assert self.topdir.resolve() == topdir.real
            (self.topdir / 'written').touch()


@pytest.fixture
def shared(tmp_path, monkeypatch):
    made = Shared(tmp_path)
    monkeypatch.setattr(rpm, '_TOPDIR', made.topdir)
    return made


def test_a_build_leaves_its_lock_only_open_to_its_user_only(shared):
    shared.use()
    assert list(shared.tmp.iterdir()) == [shared.lock]
    assert shared.lock.stat().st_mode & 0o777 == 0o600


def test_the_lock_of_another_user_is_not_in_the_way(shared):
    # Folders: not to be opened, as another's file, but not by root either.
    shared.topdir.with_suffix('.lock').mkdir()
    shared.topdir.with_suffix('.%d.lock' % (os.geteuid() + 1)).mkdir()
    shared.use()
    shared.use()


def test_a_lock_that_is_a_link_is_not_followed(shared, tmp_path):
    shared.lock.symlink_to(tmp_path / 'elsewhere')
    with pytest.raises(rpm.ForkError, match='must be a file of ours'):
        shared.use()
    assert not (tmp_path / 'elsewhere').exists()


def test_a_lock_that_another_user_has_put_there_is_refused(
        shared, monkeypatch):
    us = os.geteuid()
    monkeypatch.setattr(os, 'geteuid', lambda: us + 1)
    shared.topdir.with_suffix('.%d.lock' % (us + 1)).touch()
    with pytest.raises(rpm.ForkError, match='another user has made it'):
        shared.use()


def test_the_link_of_a_killed_build_is_replaced(shared, tmp_path):
    (tmp_path / 'old').mkdir()
    shared.topdir.symlink_to(tmp_path / 'old')
    shared.use()
    assert not list((tmp_path / 'old').iterdir())


def test_the_link_of_another_user_is_neither_followed_nor_removed(
        shared, tmp_path, monkeypatch):
    (tmp_path / 'theirs').mkdir()
    shared.topdir.symlink_to(tmp_path / 'theirs')
    us = os.geteuid()
    with monkeypatch.context() as patched:
        patched.setattr(rpm, '_locked', lambda: os.open(
            os.devnull, os.O_RDONLY))
        patched.setattr(os, 'geteuid', lambda: us + 1)
        with pytest.raises(rpm.ForkError, match='of user %d' % us):
            shared.use()
    assert os.readlink(shared.topdir) == str(tmp_path / 'theirs')
    assert not list((tmp_path / 'theirs').iterdir())


def test_a_folder_where_the_link_belongs_is_not_written_into(shared):
    shared.topdir.mkdir()
    with pytest.raises(rpm.ForkError, match='Found: drwx'):
        shared.use()
    assert not list(shared.topdir.iterdir())


def test_a_second_build_waits_and_leaves_the_firsts_folder(
        shared, monkeypatch):
    waits, flock = threading.Event(), fcntl.flock

    def told(*args):
        waits.set()
        flock(*args)

    with rpm.Topdir(shared, 'source') as first:
        (first.real / 'written').touch()
        monkeypatch.setattr(fcntl, 'flock', told)
        second = threading.Thread(target=shared.use)
        second.start()
        assert waits.wait(60)
        assert (first.real / 'written').exists()
    second.join(60)
    assert list(shared.tmp.iterdir()) == [shared.lock]


# The openstack plug-in.

def test_the_plug_in_has_the_version_of_the_fork(client_package, fork):
    assert query(client_package, '%{VERSION}') == (
        fork.release.tag.partition('-')[2])


def test_the_openstack_command_finds_the_installed_plug_in(
        client_package, tmp_path):
    python = checkout.run(checkout.ROOT / 'tools' / 'python39.sh',
                          'client').stdout.strip()
    root = Root(tmp_path, python)
    root.rpm('--initdb')
    root.home.mkdir(exist_ok=True)
    root.rpm('--install', '--nodeps', client_package)
    said = checkout.run(
        python, '-s', '-m', 'openstackclient.shell', 'server', 'metrics',
        'watch', '--help', cwd=root.home, HOME=str(root.home),
        PYTHONPATH=str(root.path / SITE), PYTHONDONTWRITEBYTECODE='1').stdout
    assert '--interval <seconds>' in said


# The packages' metadata.

def test_the_packages_have_rdos_names(packages):
    assert set(packages) == RDO_NAMES


def test_version_and_release_are_those_of_changes(packages, source, fork):
    expected = '%d:%s-%s.el9' % (release.EPOCH, fork.release.upstream,
                                 fork.release.rpm_release)
    for path in (source, *packages.values()):
        assert query(path, '%{EPOCH}:%{VERSION}-%{RELEASE}') == expected


def test_an_update_of_rdos_packages_is_older_than_ours(packages):
    ours = query(packages['python3-nova'], '%{EPOCH}:%{VERSION}-%{RELEASE}')
    said = checkout.run('rpm', '--eval', '%%{lua:print(rpm.vercmp("%s", '
                        '"1:29.99.0-1.el9"))}' % ours)
    assert said.stdout.strip() == '1'


def test_the_changelog_is_that_of_changes(packages, fork):
    entries = release.load(fork.root / 'CHANGES.mycompany')
    form = '[* %{CHANGELOGTIME:day} %{CHANGELOGNAME}\n%{CHANGELOGTEXT}\n\n]'
    said = query(packages['openstack-nova-common'], form)
    assert said.strip() == release.rpm_changelog(entries).replace(
        '%%', '%').strip()


def test_all_packages_of_a_host_are_of_one_release(packages):
    exact = ' = %s' % query(packages['python3-nova'],
                            '%{EPOCH}:%{VERSION}-%{RELEASE}')
    for name, path in packages.items():
        for line in query(path, '[%{REQUIRENEVRS}\n]').splitlines():
            if line.startswith(('openstack-nova', 'python3-nova')):
                assert line.endswith(exact), (name, line)


def test_each_requirement_of_upstream_is_required(packages, unpacked):
    required = query(packages['python3-nova'], '[%{REQUIRENEVRS}\n]')
    required = required.splitlines()
    assert 'python(abi) = 3.9' in required
    # A bound of three numbers, of two because of a zero, and of one.
    assert 'python3.9dist(oslo-concurrency) >= 5.0.1' in required
    assert 'python3.9dist(oslo-config) >= 8.6' in required
    assert 'python3.9dist(os-traits) >= 3' in required


def test_a_requirement_becomes_what_el9_packages_provide():
    assert rpm.requirements(
        '# A comment\n\n'
        'Zope.Interface>=4.0.0,!=4.2.0 # ZPL\n'
        'retrying!=1.3.0,>=1.3.3\n'
        'six\n').replace('%{python3_version}', '3.9').split('\n') == [
        'Requires:       python3.9dist(zope-interface) >= 4',
        'Conflicts:      python3.9dist(zope-interface) = 4.2',
        'Requires:       python3.9dist(retrying) >= 1.3.3',
        'Requires:       python3.9dist(six)']


@pytest.mark.parametrize('line', [
    'six<2', 'six~=1.0', "six>=1.0;python_version<'3'", '-r other.txt'])
def test_a_requirement_of_another_form_is_refused(line):
    with pytest.raises(rpm.ForkError, match='requirements.txt'):
        rpm.requirements(line)


# The packages' files.

def test_the_python_files_lie_where_el9s_python_looks(packages):
    for name in ('python3-nova', 'python3-nova-tests'):
        for path in files(packages[name]):
            assert path.startswith(('/' + SITE + '/nova',
                                    '/usr/share/licenses/')), path
    names = files(packages['python3-nova'])
    version = query(packages['python3-nova'], '%{VERSION}')
    assert '/%s/nova-%s-py3.9.egg-info/entry_points.txt' % (
        SITE, version) in names


def test_the_compiled_files_are_python_39s(root):
    compiled = list(root.path.glob(SITE + '/nova/**/*.pyc'))
    assert compiled
    magic = root.run('-c', 'import importlib.util as u; '
                     'print(u.MAGIC_NUMBER.hex())').stdout.strip()
    assert {path.read_bytes()[:4].hex() for path in compiled} == {magic}
    assert {path.name.split('.')[1] for path in compiled} == {'cpython-39'}


def test_each_of_our_files_is_in_the_packages(packages, fork):
    everything = {path for name in packages for path in files(packages[name])}
    ours = [path for path in fork.overlay if path.startswith('nova/')]
    assert ours
    for path in ours:
        assert '/%s/%s' % (SITE, path) in everything


def test_tests_are_in_their_own_package_only(packages):
    inside = '/%s/nova/tests/' % SITE
    assert not [p for p in files(packages['python3-nova']) if inside in p]
    assert inside + '__init__.py' in files(packages['python3-nova-tests'])


def test_configuration_is_readable_by_nova_and_writable_by_root_only(packages):
    of = files(packages['openstack-nova-common'])
    for name in ('nova.conf', 'api-paste.ini', 'rootwrap.conf'):
        assert of['/etc/nova/' + name] == ('0640', 'root', 'nova', 'cn')
    assert of['/etc/sudoers.d/nova'] == ('0440', 'root', 'root', 'cn')


def test_only_state_and_logs_belong_to_user_nova(packages):
    owned = {path for name in packages
             for path, (_, owner, _, _) in files(packages[name]).items()
             if owner != 'root'}
    assert {'/var/lib/nova', '/var/log/nova'} <= owned
    assert all(path.startswith(('/var/lib/nova', '/var/log/nova'))
               for path in owned)


def test_no_file_is_writable_by_others_or_has_a_special_bit(packages):
    for name in packages:
        for path, (mode, _, _, _) in files(packages[name]).items():
            assert mode in ('0755', '0750', '0644', '0640', '0440'), path


def test_no_file_names_the_machine_that_built_it(root):
    for words in ('nova-mycompany-rpmbuild', str(checkout.ROOT)):
        found = checkout.run('grep', '-rlF', words, root.path / 'etc',
                             root.path / 'usr', check=False)
        assert found.stdout == ''


def test_commands_are_started_with_el9s_python(root):
    for path in (root.path / 'usr' / 'bin').iterdir():
        first = path.read_text().splitlines()[0]
        assert first == '#!/usr/bin/python3 -s', path.name


def test_each_unit_starts_a_command_of_its_own_package_as_nova(packages):
    seen = []
    for name, path in packages.items():
        for unit in files(path):
            if not unit.endswith('.service'):
                continue
            seen.append(unit)
            text = read(path, unit)
            command = re.search(r'(?m)^ExecStart=(\S+)', text)[1]
            assert command in files(path), unit
            assert re.search(r'(?m)^User=nova$', text), unit
            # A worker that is told to end twice drops what it is doing.
            assert re.search(r'(?m)^KillMode=mixed$', text), unit
            assert unit.startswith(
                '/usr/lib/systemd/system/openstack-nova-')
            # Made known to systemd, and stopped before it is removed.
            for script in ('POSTIN', 'PREUN', 'POSTUN'):
                assert os.path.basename(unit) in query(
                    path, '%%{%s}' % script), (unit, script)
    assert len(seen) == 10


def test_the_scriptlets_are_shell_that_can_be_parsed(packages):
    seen = 0
    for path in packages.values():
        for script in ('PREIN', 'POSTIN', 'PREUN', 'POSTUN'):
            text = query(path, '%%{%s}' % script)
            if text != '(none)':
                seen += 1
                checkout.run('sh', '-n', '-c', text)
                # A macro that was not there.
                assert '%' not in text
    assert seen == 2 + 3 * 8


def read(path, name):
    """The text of one file of a package."""
    return checkout.run('sh', '-ec', 'rpm2cpio "$1" | cpio --quiet '
                        '--extract --to-stdout ".$2"', 'sh', path, name).stdout


def test_translations_are_where_gettext_looks(root):
    found = list(root.path.glob('usr/share/locale/*/LC_MESSAGES/nova.mo'))
    assert found
    assert not list(root.path.glob(SITE + '/nova/locale'))


# What is installed runs.

def test_the_nova_that_runs_is_the_one_in_the_root(root):
    said = root.run('-c', 'import nova; print(nova.__file__)')
    assert said.stdout.strip() == str(root.path / SITE / 'nova/__init__.py')


def test_every_command_reports_the_vendors_release(root, fork):
    names = {path.name for path in (root.path / 'usr' / 'bin').iterdir()}
    assert WITHOUT_VERSION < names
    for name in sorted(names - WITHOUT_VERSION):
        said = root.command(name, '--version')
        assert said.stdout.strip() == fork.release.full, name


def test_nova_manage_version_reports_the_vendors_release(root, fork):
    said = root.command('nova-manage', 'version')
    assert fork.release.full in said.stdout.splitlines()


def test_the_databases_are_made_from_the_installed_files(root, tmp_path):
    def database(name):
        return 'sqlite:///%s/%s.sqlite' % (tmp_path, name)

    settings = {
        'OS_API_DATABASE__CONNECTION': database('api'),
        'OS_DATABASE__CONNECTION': database('main'),
        'OS_DEFAULT__STATE_PATH': str(tmp_path)}
    root.command('nova-manage', 'api_db', 'sync', **settings)
    root.command('nova-manage', 'cell_v2', 'map_cell0',
                 '--database_connection', database('cell0'), **settings)
    root.command('nova-manage', 'db', 'sync', **settings)
    said = root.command('nova-manage', 'cell_v2', 'list_cells', **settings)
    assert 'cell0' in said.stdout
    for name in ('api', 'main', 'cell0'):
        assert (tmp_path / (name + '.sqlite')).stat().st_size > 0


def test_our_entry_points_are_found(root):
    said = root.run('-c', (
        'from importlib import metadata\n'
        'for e in metadata.entry_points()["nova.api.extra_spec_validators"]:\n'
        '    if e.name == "mycompany": print(e.load().__name__)\n'))
    assert said.stdout.strip() == 'nova.api.validation.extra_specs.mycompany'


def test_the_options_of_nova_dist_conf_are_novas(root):
    path = root.path / 'usr/share/nova/nova-dist.conf'
    presets = configparser.ConfigParser(default_section=None)
    presets.read(path)
    names = [(section, name) for section in presets.sections()
             for name in presets[section]]
    assert names
    said = root.run('-c', (
        'import sys\n'
        'import nova.conf, nova.config\n'
        'from oslo_concurrency import lockutils\n'
        'CONF = nova.conf.CONF\n'
        'nova.config.parse_args([sys.argv[0]],\n'
        '    default_config_files=[sys.argv[1]], configure_db=False,\n'
        '    init_rpc=False)\n'
        'for word in sys.argv[2:]:\n'
        '    section, name = word.split("/")\n'
        '    group = CONF if section == "DEFAULT" else CONF[section]\n'
        '    print(group[name])\n'), path, *['/'.join(n) for n in names])
    assert said.stdout.splitlines()[-len(names):] == [
        presets[section][name] for section, name in names]


def test_an_upgrade_renews_the_release_file_and_keeps_edited_settings(
        packages, python39, fork, tmp_path):
    root = install(packages, tmp_path / 'root', python39)
    etc = root.path / 'etc' / 'nova'
    (etc / 'release').write_text('[Nova]\npackage = stale\n')
    (etc / 'nova.conf').write_text('[DEFAULT]\nmy_ip = 192.0.2.1\n')
    root.rpm('--upgrade', '--replacepkgs', '--nodeps', '--noscripts',
             packages['openstack-nova-common'])
    assert (etc / 'release').read_text() == fork.release.release_file
    assert 'my_ip = 192.0.2.1' in (etc / 'nova.conf').read_text()


# Enough of RDO's packages to be upgraded.
RDO_SPEC = """
Name: openstack-nova-common
Epoch: 1
Version: 29.2.0
Release: 1.el9
Summary: What RDO has in its package
License: Apache-2.0
BuildArch: noarch
%description
%{summary}
%install
mkdir -p %{buildroot}/etc/nova
for name in nova.conf policy.json release; do
    echo RDO > %{buildroot}/etc/nova/$name
done
%files
%config(noreplace) /etc/nova/nova.conf
%config(noreplace) /etc/nova/policy.json
/etc/nova/release
"""


def test_an_upgrade_of_rdos_packages_keeps_what_was_edited(
        packages, python39, fork, tmp_path):
    spec = tmp_path / 'rdo.spec'
    spec.write_text(RDO_SPEC)
    checkout.run('rpmbuild', '-bb', '--define', '_topdir %s/top' % tmp_path,
                 spec)
    rdos, = (tmp_path / 'top' / 'RPMS' / 'noarch').glob('*.rpm')
    root = install({'rdo': rdos}, tmp_path / 'root', python39)
    etc = root.path / 'etc' / 'nova'
    for name in ('nova.conf', 'policy.json'):
        (etc / name).write_text('edited')
    root.rpm('--upgrade', '--nodeps', '--noscripts',
             packages['openstack-nova-common'])
    for name in ('nova.conf', 'policy.json'):
        assert (etc / name).read_text() == 'edited'
    assert (etc / 'release').read_text() == fork.release.release_file
    said = checkout.run('rpm', '--root', root.path, '--query',
                        '--queryformat', '%{EPOCH}', 'openstack-nova-common')
    assert said.stdout == str(release.EPOCH)


# The Python that builds and runs them.

def test_without_another_python_39_debian_11s_is_used():
    said = checkout.run(checkout.ROOT / 'tools' / 'python39.sh',
                        PATH='/usr/sbin:/usr/bin:/sbin:/bin',
                        FORK_PYTHON39='')
    python = pathlib.Path(said.stdout.strip())
    version = checkout.run(python, '--version').stdout
    assert version.startswith('Python 3.9.')
