"""The wheel: what pip builds from the repository, installed and run."""

import configparser
import hashlib
import re
import sys
import zipfile

import checkout
import pytest

from patchqueue import build_backend
from patchqueue import toml


@pytest.fixture(scope='session')
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp('wheel')
    checkout.run(checkout.ROOT / 'tools' / 'build-wheel.sh', folder)
    found, = folder.glob('nova-*')
    return found


@pytest.fixture(scope='session')
def contents(wheel):
    """The bytes of each file in the wheel, by its path."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope='session')
def installed(wheel, tmp_path_factory):
    """A virtual environment with the wheel and what it needs."""
    folder = tmp_path_factory.mktemp('venv')
    checkout.run(sys.executable, '-m', 'venv', folder)
    checkout.run(folder / 'bin' / 'pip', 'install', '--quiet',
                 '--disable-pip-version-check', '--constraint',
                 checkout.ROOT / 'constraints.txt', wheel)
    return folder


def test_the_wheel_has_upstreams_name_and_version(wheel, contents, fork):
    version = fork.upstream.pinned.version
    assert wheel.name == 'nova-%s-py3-none-any.whl' % version
    metadata = contents['nova-%s.dist-info/METADATA' % version].decode()
    assert re.search(r'(?m)^Version: (.*)$', metadata)[1] == version


def test_each_of_our_files_is_in_the_wheel(contents, fork):
    # As with upstream's, the pages and samples of the API are in no package.
    ours = [path for path in fork.overlay if path.startswith('nova/')]
    assert ours
    for path in ours:
        assert contents[path] == (fork.root / path).read_bytes(), path


def test_each_file_a_seam_edits_is_in_the_wheel_with_the_edit(contents, fork):
    edited = [(part.path, line.value) for patch in fork.series
              for part in patch.diff if part.path.startswith('nova/')
              for hunk in part for line in hunk if line.is_added]
    assert edited
    for path, line in edited:
        assert line in contents[path].decode(), path


def test_the_release_file_is_in_the_wheel(contents, fork):
    assert contents['nova-%s.data/data/etc/nova/release' % (
        fork.upstream.pinned.version)].decode() == fork.release.release_file


def test_our_entry_points_are_in_the_wheel(contents, fork):
    points = configparser.ConfigParser(delimiters='=')
    points.optionxform = str
    points.read_string(contents['nova-%s.dist-info/entry_points.txt' % (
        fork.upstream.pinned.version)].decode())
    assert points['nova.api.extra_spec_validators']['mycompany'] == (
        'nova.api.validation.extra_specs.mycompany')


def test_the_same_source_gives_the_same_bytes(wheel, tmp_path):
    elsewhere = checkout.copy(tmp_path / 'a' / 'longer' / 'path')
    checkout.run(sys.executable, '-m', 'pip', 'wheel', '--quiet', '--no-deps',
                 elsewhere, '--wheel-dir', tmp_path / 'out', umask=0o077,
                 TZ='Asia/Kolkata', SOURCE_DATE_EPOCH='1')
    built, = (tmp_path / 'out').iterdir()
    assert digest(built) == digest(wheel)


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_installed_wheel_reports_the_vendors_release(installed, fork):
    for name in ('nova-manage', 'nova-api', 'nova-compute'):
        said = checkout.run(installed / 'bin' / name, '--version')
        assert said.stdout.strip() == fork.release.full


def test_the_installed_wheel_makes_a_database(installed, tmp_path):
    made = tmp_path / 'api.sqlite'
    checkout.run(installed / 'bin' / 'nova-manage', 'api_db', 'sync',
                 OS_API_DATABASE__CONNECTION='sqlite:///%s' % made)
    assert made.stat().st_size > 0


def test_what_the_wheel_is_built_with_is_pinned_as_for_the_tools():
    project = toml.load(checkout.ROOT / 'pyproject.toml')
    tools = (checkout.ROOT / 'tools' / 'requirements.txt').read_text()
    pinned = [line for line in project['build-system']['requires']
              if '==' in line and ';' not in line]
    assert pinned
    for line in pinned:
        assert line in tools.splitlines()


def test_an_editable_install_is_refused_with_the_other_way(tmp_path):
    checkout.run(sys.executable, '-m', 'venv', tmp_path)
    done = checkout.run(tmp_path / 'bin' / 'pip', 'install', '--no-deps',
                        '--editable', checkout.ROOT, check=False)
    assert done.returncode != 0
    assert 'tools/setup.sh nova' in done.stdout + done.stderr


def test_an_sdist_is_refused_with_where_the_source_is():
    with pytest.raises(SystemExit, match='tools/series.sh'):
        build_backend.build_sdist('dist')


def test_a_mistake_in_the_queue_is_reported_without_a_traceback(tmp_path):
    broken = checkout.copy(tmp_path / 'fork')
    (broken / 'patches' / 'series').write_text('missing.patch\n')
    done = checkout.run(sys.executable, '-m', 'pip', 'wheel', '--no-deps',
                        broken, '--wheel-dir', tmp_path, check=False)
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert 'error: ' in said and 'missing.patch' in said
    assert 'Traceback' not in said
