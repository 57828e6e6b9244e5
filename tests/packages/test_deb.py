"""The DEB packages: what is in them, and how they behave once installed.

They are installed into a clean Debian 12 (deb_root.py), in which a cloud of
the installed services then boots a server (deb_cloud.py). Without root, or
without a mirror of Debian 12, only what is in them is tested.
"""

import concurrent.futures
import contextlib
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import uuid

import pytest

import built_debs
import deb_cloud
import deb_root
from patchqueue import deb
from patchqueue import errors
from patchqueue import fork as fork_module
from patchqueue import patches
from patchqueue import release
from patchqueue import tree
from patchqueue import upstream

PACKAGES = built_debs.PACKAGES
# The openstack plug-in, from a source of its own.
CLIENT = 'python3-osc-mycompany-metrics'
# The commands without --version.
SILENT = ('nova-rootwrap', 'nova-rootwrap-daemon', 'nova-api-wsgi',
          'nova-metadata-wsgi')

FORK = fork_module.Fork()
CACHE = FORK.build / 'deb-tests'


def output(*command, **how):
    return subprocess.run([str(word) for word in command], check=True,
                          text=True, capture_output=True, **how).stdout


@pytest.fixture(scope='session')
def version():
    """The version that the packages must have on this distribution."""
    try:
        return FORK.release.deb_version(deb.suffix())
    except errors.ForkError as error:
        pytest.skip(str(error))


@pytest.fixture(scope='session')
def built(version):
    """The path of each of our binary packages in dist/, by its name."""
    return built_debs.novas_debs(FORK)


@pytest.fixture(scope='session')
def everything(built):
    """All packages in dist/, the libraries' among them."""
    return built_debs.all_debs(FORK)


@pytest.fixture(scope='session')
def client_package(everything):
    found, = [path for path in everything if path.name.startswith(CLIENT)]
    return found


def upstream_file(path):
    with tempfile.TemporaryDirectory() as folder:
        upstream.unpack(FORK.upstream.pinned, folder, only=[path])
        return (pathlib.Path(folder) / path).read_bytes()


def files_of(package):
    """The files of a package: path to the mode that tar shows."""
    found = {}
    for line in output('dpkg-deb', '--contents', package).splitlines():
        mode, _, _, _, _, path = line.split(None, 5)
        if not mode.startswith('d'):
            found[path.partition(' -> ')[0][1:]] = mode
    return found


def control_file(package, name):
    done = subprocess.run(['dpkg-deb', '--info', package, name], text=True,
                          capture_output=True)
    return done.stdout if done.returncode == 0 else ''


@pytest.fixture(scope='module')
def unpacked(built, version, tmp_path_factory):
    folder = tmp_path_factory.mktemp('source') / 'nova'
    name = 'nova_%s.dsc' % version.partition(':')[2]
    output('dpkg-source', '--no-check', '-x', FORK.dist / name, folder)
    return folder


class TestSourcePackage:

    def test_the_orig_tarball_is_upstreams_sdist(self, built):
        path = FORK.dist / ('nova_%s.orig.tar.gz'
                            % FORK.release.deb_upstream_version)
        assert upstream.sha256(path) == FORK.upstream.pinned.sha256

    def test_unpacked_alone_it_is_the_fork(self, unpacked, tmp_path):
        tree.materialise(FORK, tmp_path / 'fork')
        found = [line for line in tree.differences(
            unpacked, tmp_path / 'fork') if ': debian/' not in line]
        assert found == []

    def test_it_has_a_patch_for_each_feature(self, unpacked):
        assert patches.series_names(unpacked / 'debian/patches') == [
            feature.name + '.patch' for feature in FORK.features
            if FORK.files_of(feature) or feature.patches]

    def test_its_changelog_is_that_of_the_fork(self, unpacked):
        assert (unpacked / 'debian/changelog').read_text() == (
            release.debian_changelog(
                release.load(FORK.root / 'CHANGES.mycompany'), deb.suffix()))

    def test_built_elsewhere_it_gives_the_same_bytes(self, unpacked, built):
        # Another folder, another time zone, and a mask that hides files.
        subprocess.run(
            ['dpkg-buildpackage', '--no-sign', '--build=binary'],
            cwd=unpacked, check=True, umask=0o077, capture_output=True,
            env={'PATH': deb_root.PATH, 'HOME': str(unpacked.parent),
                 'TZ': 'Asia/Tokyo', 'LC_ALL': 'C.UTF-8'})
        differ = [name for name, path in built.items()
                  if (unpacked.parent / path.name).read_bytes()
                  != path.read_bytes()]
        assert differ == []


class TestClientSourcePackage:

    def test_built_elsewhere_it_gives_the_same_bytes(
            self, client_package, tmp_path):
        version = output('dpkg-deb', '--field', client_package,
                         'Version').strip()
        output('dpkg-source', '--no-check', '-x', FORK.dist / (
            'python-osc-mycompany-metrics_%s.dsc' % version),
            tmp_path / 'client')
        subprocess.run(
            ['dpkg-buildpackage', '--no-sign', '--build=binary'],
            cwd=tmp_path / 'client', check=True, umask=0o077,
            capture_output=True,
            env={'PATH': deb_root.PATH, 'HOME': str(tmp_path),
                 'TZ': 'Asia/Tokyo', 'LC_ALL': 'C.UTF-8'})
        assert (tmp_path / client_package.name).read_bytes() == (
            client_package.read_bytes())


class TestContents:

    def test_every_package_has_the_version_of_the_fork(self, built, version):
        found = {name: output('dpkg-deb', '--field', path, 'Version').strip()
                 for name, path in built.items()}
        assert found == dict.fromkeys(PACKAGES, version)

    def test_every_file_of_the_fork_is_in_it(self, built):
        installed = files_of(built['python3-nova'])
        ours = ['/usr/lib/python3/dist-packages/' + path
                for path in FORK.overlay if path.startswith('nova/')
                and not path.startswith('nova/tests/')]
        assert ours and not set(ours) - set(installed)

    def test_every_file_of_upstream_is_in_it(self, built):
        installed = files_of(built['python3-nova'])
        theirs = ['/usr/lib/python3/dist-packages/' + path
                  for path in upstream.paths(FORK.upstream.pinned)
                  if path.startswith('nova/')
                  and not path.startswith('nova/tests/')]
        assert len(theirs) > 500 and not set(theirs) - set(installed)

    def test_the_release_file_is_replaced_by_every_upgrade(self, built):
        # A conffile would stay as it is once somebody has touched it.
        package = built['nova-common']
        assert '/etc/nova/release' not in control_file(package, 'conffiles')
        assert files_of(package)['/etc/nova/release'].startswith('l')

    def test_no_package_has_upstreams_changelog(self, built):
        assert not [path for package in built.values()
                    for path in files_of(package)
                    if re.search(r'/changelog\.gz$', path)]

    def test_a_service_is_not_started_by_its_installation(self, built):
        script = control_file(built['nova-conductor'], 'postinst')
        assert 'deb-systemd-invoke try-restart' in script
        assert not re.search(r'deb-systemd-invoke (start|restart)', script)


@contextlib.contextmanager
def debian(packages):
    """A clean Debian 12, our packages in a folder of it."""
    if os.getuid() != 0:
        pytest.skip('only root can make a Debian system and enter it')
    try:
        with deb_root.System(CACHE) as system:
            system.apt('update')
            system.packages = system.add_packages(packages)
            yield system
    except deb_root.Missing as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope='module')
def system(everything):
    """A clean Debian 12 with all our packages installed."""
    with debian(everything) as system:
        system.apt('install', *system.packages)
        system.installed = system.files()
        yield system


class TestInstalled:

    def test_every_package_is_configured(self, system, version):
        said = system.run('dpkg-query', '-W', '-f',
                          '${Package} ${Version} ${db:Status-Status}\n',
                          *PACKAGES).stdout
        assert sorted(said.splitlines()) == sorted(
            '%s %s installed' % (name, version) for name in PACKAGES)

    def test_the_distributions_openstack_has_the_metrics_commands(
            self, system, client_package):
        said = system.run('openstack', 'server', 'metrics', 'watch', '--help',
                          user='nova').stdout
        assert '--interval <seconds>' in said
        version = system.run('dpkg-query', '-W', '-f', '${Version}',
                             CLIENT).stdout
        assert version.startswith(FORK.release.tag.partition('-')[2] + '-')

    def test_user_nova_cannot_log_in(self, system):
        entry = system.run('getent', 'passwd', 'nova').stdout.strip()
        assert entry.split(':')[5:] == ['/var/lib/nova', '/usr/sbin/nologin']

    def test_user_nova_may_use_kvm_and_libvirt(self, system):
        groups = system.run('id', '-Gn', 'nova').stdout.split()
        assert {'nova', 'kvm', 'libvirt'} <= set(groups)

    def test_only_nova_reads_the_configuration_with_its_passwords(
            self, system):
        assert system.run('stat', '-c', '%U %G %a', '/etc/nova/nova.conf'
                          ).stdout.strip() == 'root nova 640'

    def test_every_command_shows_the_release(self, system, built):
        commands = sorted(
            os.path.basename(path) for package in built.values()
            for path in files_of(package) if path.startswith('/usr/bin/'))
        commands = [name for name in commands if name not in SILENT]
        # Half of the time they wait: for Python to read its files.
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            said = dict(zip(commands, pool.map(
                lambda name: system.run(name, '--version', user='nova')
                .stdout.splitlines()[-1], commands)))
        assert said == dict.fromkeys(commands, FORK.release.full)

    def test_nova_manage_version_shows_the_release(self, system):
        said = system.run('nova-manage', 'version', user='nova').stdout
        assert said.splitlines()[-1] == FORK.release.full

    def test_nova_manage_as_root_leaves_no_log_that_nova_cannot_write(
            self, system):
        system.run('nova-manage', 'version')
        assert list(system.path('/var/log/nova').iterdir()) == []

    @staticmethod
    def _units(system):
        units = [path for path in system.installed if re.fullmatch(
            r'/usr/lib/systemd/system/nova-.*\.service', path)]
        assert units
        return units

    def test_systemd_tells_no_worker_to_end(self, system):
        # Its parent does; told twice it drops what it is doing.
        said = system.run('grep', '--files-without-match',
                          '^KillMode=mixed$', *self._units(system),
                          check=False)
        assert said.stdout == ''

    def test_systemd_accepts_every_unit(self, system):
        units = self._units(system)
        done = system.run('systemd-analyze', 'verify', '--man=no', *units)
        assert [line for line in done.stdout.splitlines()
                if 'nova-' in line] == []

    def test_sudo_accepts_its_rules(self, system):
        system.run('visudo', '-c', '-f', '/etc/sudoers.d/nova-compute')

    def test_user_nova_may_start_the_privileged_helper(self, system):
        # The socket is not there: the helper starts, looks for it, and ends.
        done = self._as_root(
            system, 'nova-rootwrap', '/etc/nova/rootwrap.conf',
            'privsep-helper', '--config-file', '/etc/nova/nova.conf',
            '--config-file', '/etc/nova/nova-compute.conf',
            '--privsep_context', 'vif_plug_ovs.privsep.vif_plug',
            '--privsep_sock_path', '/tmp/none')
        assert 'sock.connect' in done.stdout

    def test_rootwrap_runs_nothing_else(self, system):
        done = self._as_root(
            system, 'nova-rootwrap', '/etc/nova/rootwrap.conf', 'id')
        assert 'Unauthorized command' in done.stdout

    def test_sudo_runs_nothing_else(self, system):
        assert 'a password is required' in self._as_root(system, 'id').stdout

    def _as_root(self, system, *command):
        return system.run('sudo', '-n', *command, user='nova', check=False)


@pytest.fixture(scope='module')
def cloud(system, tmp_path_factory):
    """A cloud of the installed services, all of them started."""
    system.apt('install', 'python3-placement', 'rabbitmq-server')
    cloud = deb_cloud.Cloud(system, tmp_path_factory.mktemp('logs'))
    cloud.configure()
    cloud.start_infrastructure()
    cloud.databases = cloud.make_databases()
    cloud.start_services()
    return cloud


@pytest.fixture(scope='module')
def server(cloud):
    return cloud.boot()


class TestCloud:
    """In this order: the last ones end what the first ones use."""

    @pytest.mark.parametrize('command', [
        'api_db sync', 'cell_v2 map_cell0', 'db sync'])
    def test_nova_manage_makes_the_databases(self, cloud, command):
        assert cloud.databases[command].returncode == 0

    @pytest.mark.parametrize('name', deb_cloud.SERVICES)
    def test_the_service_runs_as_nova(self, cloud, name):
        assert cloud.processes[name].user() == int(
            cloud.system.run('id', '-u', 'nova').stdout)

    @pytest.mark.parametrize('name', deb_cloud.SERVICES)
    def test_the_service_logs_to_its_file(self, cloud, name):
        text = cloud.system.path('/var/log/nova/%s.log' % name).read_text()
        assert FORK.release.full in text or name == 'nova-api'

    def test_a_server_becomes_active(self, cloud, server):
        assert server['status'] == 'ACTIVE', cloud.log('nova-compute')

    def test_the_server_is_on_the_compute_node(self, server):
        assert server['OS-EXT-SRV-ATTR:host'] == 'node1'

    def test_the_server_can_be_deleted(self, cloud, server):
        assert cloud.delete(server)

    def test_logs_rotate_under_a_running_service(self, cloud):
        system = cloud.system
        system.run('logrotate', '-f', '/etc/logrotate.d/nova-common')
        rotated = system.path('/var/log/nova/nova-compute.log.1')
        assert rotated.stat().st_size > 0
        # The service writes on, into the file that was emptied.
        cloud.processes['nova-compute'].stop(signal.SIGTERM)
        log = system.path('/var/log/nova/nova-compute.log').read_text()
        assert log and '\0' not in log

    @pytest.mark.parametrize('name', ['nova-conductor', 'nova-scheduler',
                                      'nova-api'])
    def test_the_service_ends_when_it_is_told(self, cloud, name):
        assert cloud.processes[name].stop(signal.SIGTERM) == 0


class TestRemoved:
    """Last: nothing is installed in the system after it."""

    def test_a_removal_leaves_the_configuration(self, system):
        before = system.path('/etc/nova/nova.conf').read_text()
        system.apt('remove', *PACKAGES)
        assert system.path('/etc/nova/nova.conf').read_text() == before

    def test_a_purge_leaves_no_file_of_ours(self, system):
        system.apt('purge', *PACKAGES)
        # Also what they made when they were installed and while they ran.
        ours = re.compile(
            r'/(etc|usr/share|var/lib|var/log|run/lock)/nova(/|$)|'
            r'.*/dist-packages/nova(/|-)|.*/nova-[a-z0-9-]+\.service|'
            r'/etc/(sudoers|logrotate)\.d/nova-|/usr/bin/nova-|'
            r'/usr/share/doc/(python3-)?nova(-|$)')
        assert any(ours.match(path) for path in system.installed)
        assert [path for path in sorted(system.files())
                if ours.match(path)] == []

    def test_installed_again_it_works(self, system):
        system.apt('install', *system.packages)
        said = system.run('nova-manage', 'version', user='nova').stdout
        assert said.splitlines()[-1] == FORK.release.full

    def test_a_purge_keeps_the_disks_of_servers(self, system):
        disk = '/var/lib/nova/instances/%s/disk' % uuid.uuid4()
        system.write(disk, 'data')
        system.apt('purge', *PACKAGES)
        assert system.path(disk).read_text() == 'data'


class TestTakeover:
    """The distribution's packages are replaced by ours, as apt does it."""

    @pytest.fixture(scope='class')
    @classmethod
    def debians(cls, everything):
        with debian(everything) as system:
            system.apt('install', 'nova-api', 'nova-conductor')
            conf = system.path('/etc/nova/nova.conf')
            conf.write_text(conf.read_text() + '# of this cloud\n')
            # One that asks about a file fails: nobody answers here.
            system.apt('install', *(
                path for path in system.packages if re.search(
                    r'/(python3-|nova-(common|api|conductor)_)', path)))
            yield system

    def test_every_package_is_ours(self, debians, version):
        said = debians.run('dpkg-query', '-W', '-f', '${Version}\n',
                           'python3-nova', 'nova-common', 'nova-api',
                           'nova-conductor').stdout
        assert set(said.split()) == {version}

    def test_the_clouds_configuration_stays(self, debians):
        text = debians.path('/etc/nova/nova.conf').read_text()
        assert text.endswith('# of this cloud\n')

    def test_the_paste_configuration_is_that_of_the_release(self, debians):
        assert debians.path('/etc/nova/api-paste.ini').read_bytes() == (
            upstream_file('etc/nova/api-paste.ini'))

    def test_user_nova_is_root_on_compute_nodes_only(self, debians):
        assert not debians.path('/etc/sudoers.d/nova-common').exists()

    def test_nova_manage_shows_the_release(self, debians):
        said = debians.run('nova-manage', 'version', user='nova').stdout
        assert said.splitlines()[-1] == FORK.release.full
