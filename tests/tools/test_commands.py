"""The scripts in tools/: their help, and what they say when they cannot."""

import os
import pathlib
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).parents[2]
SCRIPTS = sorted(p.name for p in (ROOT / 'tools').glob('*.sh')
                 if os.access(p, os.X_OK))


@pytest.mark.parametrize('name', SCRIPTS)
def test_help_says_how_to_call_it(name):
    done = subprocess.run([ROOT / 'tools' / name, '--help'], text=True,
                          stdout=subprocess.PIPE, check=True)
    assert done.stdout.startswith('usage: tools/%s' % name)
    assert len(done.stdout.splitlines()) >= 3


@pytest.mark.parametrize('words', [
    ['run', 'df', '-h'], ['nova-manage', 'db', '--help']])
def test_the_help_of_a_command_that_is_run_is_that_commands(tmp_path, words):
    shutil.copytree(ROOT / 'tools', tmp_path / 'tools')
    cloud = tmp_path / 'build/venv/cloud/bin'
    cloud.mkdir(parents=True)
    (cloud / 'python').write_text('#!/bin/sh\necho "$@"\n')
    (cloud / 'python').chmod(0o755)
    done = subprocess.run([tmp_path / 'tools/cloud-real.sh', *words],
                          text=True, stdout=subprocess.PIPE, check=True)
    assert done.stdout.rstrip().endswith(' '.join(words))


@pytest.mark.parametrize('run', sorted(ROOT.glob('benchmarks/*/run')))
def test_a_benchmark_says_how_to_call_it(run):
    done = subprocess.run([run, '--help'], text=True, stdout=subprocess.PIPE,
                          check=True)
    assert done.stdout.startswith('usage: %s' % run.relative_to(ROOT))


@pytest.mark.parametrize('name', ['', 'flavour_rules'])
def test_bench_wants_one_of_the_benchmarks_that_are_there(name):
    done = subprocess.run(['make', '-C', ROOT, 'bench', 'NAME=%s' % name],
                          text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    assert done.returncode == 2
    assert 'there is: flavor_rules hooks metrics scheduling' in done.stdout


def test_make_help_lists_every_target():
    done = subprocess.run(['make', '-C', ROOT, 'help'], text=True,
                          stdout=subprocess.PIPE, check=True)
    targets = [line.partition(':')[0]
               for line in (ROOT / 'Makefile').read_text().splitlines()
               if line[:1].isalpha() and ':' in line]
    for target in targets:
        assert '  make %s ' % target in done.stdout


def test_clean_keeps_what_may_hold_work(tmp_path):
    shutil.copytree(ROOT / 'tools', tmp_path / 'tools',
                    ignore=shutil.ignore_patterns('__pycache__'))
    for name in ('build/tree/x', 'build/branch/x', 'build/venv/x', 'dist/x'):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()

    def left():
        return sorted(str(path.relative_to(tmp_path)) for folder in (
            'build', 'dist') for path in tmp_path.glob(folder + '/*'))

    subprocess.run([tmp_path / 'tools' / 'clean.sh'], check=True)
    assert left() == ['build/branch', 'build/tree']
    subprocess.run([tmp_path / 'tools' / 'clean.sh', '--all'], check=True)
    assert left() == []


@pytest.fixture
def bare(tmp_path):
    """A copy of the tools on a machine where no package is installed."""
    shutil.copytree(ROOT / 'tools', tmp_path / 'tools',
                    ignore=shutil.ignore_patterns('__pycache__'))
    programs = tmp_path / 'bin'
    programs.mkdir()
    for name, text in (('dpkg-query', 'exit 1'), ('id', 'echo 1000'),
                       ('sudo', 'exit 1'),
                       ('apt-get', 'echo "$*" >> %s/apt' % tmp_path)):
        (programs / name).write_text('#!/bin/sh\n%s\n' % text)
        (programs / name).chmod(0o755)
    return tmp_path


def setup(bare, *parts):
    return subprocess.run(
        [bare / 'tools' / 'setup.sh', *parts], text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        # No virtual environment is made: system packages are what counts.
        env=dict(os.environ, FORK_PYTHON='false',
                 PATH='%s:%s' % (bare / 'bin', os.environ['PATH'])))


@pytest.mark.parametrize('part, package', [
    ('tools', 'quilt'), ('nova', 'python3-dev'),
    ('services', 'mariadb-server-core'), ('packages', 'debhelper')])
def test_without_root_and_sudo_setup_says_what_to_install(bare, part,
                                                          package):
    done = setup(bare, part)
    assert done.returncode == 1
    line = done.stdout.splitlines()[-1]
    assert line.startswith('    apt-get install --no-install-recommends ')
    assert package in line.split()
    assert not (bare / 'apt').exists()


def test_with_sudo_setup_installs_what_is_missing(bare):
    (bare / 'bin' / 'sudo').write_text('#!/bin/sh\nshift\nexec "$@"\n')
    setup(bare, 'tools')
    update, install = (bare / 'apt').read_text().splitlines()
    assert update.startswith('update')
    assert install.startswith('install') and 'quilt' in install.split()


def test_an_unknown_part_is_refused(bare):
    done = setup(bare, 'nvoa')
    assert done.returncode == 2
    assert 'nothing is called nvoa' in done.stdout


def test_clean_ends_every_cloud_before_its_folder_goes(tmp_path):
    shutil.copytree(ROOT / 'tools', tmp_path / 'tools',
                    ignore=shutil.ignore_patterns('__pycache__'))
    names = ['cloud', 'cloud-real', 'mine', 'tempest/stock/cloud']
    for script in ('cloud', 'cloud-real'):
        (tmp_path / 'tools' / (script + '.sh')).write_text(
            '#!/bin/sh\necho "%s ${CLOUD:-}: $*" >> "%s"\n'
            % (script, tmp_path / 'said'))
    for name in names:
        folder = tmp_path / 'build' / name
        folder.mkdir(parents=True)
        (folder / 'pid').touch()
    subprocess.run([tmp_path / 'tools' / 'clean.sh'], check=True)
    assert sorted((tmp_path / 'said').read_text().splitlines()) == [
        'cloud : stop', *('cloud-real %s: stop' % name
                          for name in names[1:])]
