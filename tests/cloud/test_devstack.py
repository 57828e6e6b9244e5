"""devstack/local.conf, as far as it can be checked without DevStack."""

import pathlib
import re
import subprocess

from patchqueue import history
from patchqueue.fork import Fork
import pytest

LOCAL_CONF = pathlib.Path(__file__).parents[2] / 'devstack' / 'local.conf'

# Reads a nova.conf, and says which of its options Nova does not know.
_UNKNOWN = '''
import sys
import nova.conf
from oslo_config import cfg, iniparser
CONF = nova.conf.CONF
CONF(["--config-file", sys.argv[1]], project="nova")
sections = cfg.ConfigParser(sys.argv[1], {})
sections.parse()
for group, options in sections.sections.items():
    for name in options:
        try:
            (CONF if group == "DEFAULT" else CONF[group])[name]
        except cfg.NoSuchOptError:
            print("[%s] %s" % (group, name))
'''


@pytest.fixture(scope='module')
def sections():
    """The text of each section, by its name in double brackets."""
    _head, *rest = re.split(r'(?m)^\[\[(.*)\]\]$', LOCAL_CONF.read_text())
    return dict(zip(rest[::2], rest[1::2]))


@pytest.fixture
def localrc(sections, tmp_path):
    """A function that evaluates an expression with the local settings."""

    def evaluate(expression):
        done = subprocess.run(
            ['bash', '-euc', 'disable_service() { :; }; DEST=/opt/stack;%s\n'
             'echo "%s"' % (sections['local|localrc'], expression)],
            text=True, capture_output=True)
        assert done.returncode == 0 and not done.stderr, done.stderr
        return done.stdout.strip()

    return evaluate


def test_it_has_the_sections_that_devstack_reads(sections):
    assert list(sections) == ['local|localrc', 'post-config|$NOVA_CONF']


def test_nova_knows_its_options(sections, tmp_path):
    fork = Fork()
    conf = tmp_path / 'nova.conf'
    text, number = re.subn(r'(?m)^#(?=\S)', '',
                           sections['post-config|$NOVA_CONF'])
    # Those that are commented out are there as well.
    assert number
    conf.write_text(text)
    done = subprocess.run(
        [fork.python, '-W', 'ignore', '-c', _UNKNOWN, conf], cwd=fork.tree,
        text=True, capture_output=True)
    assert (done.returncode, done.stdout) == (0, ''), done.stderr


def test_several_nova_computes_have_the_driver_of_which_there_are_several(
        localrc):
    assert int(localrc('$NUMBER_FAKE_NOVA_COMPUTE')) > 1
    # DevStack reads the number for no other.
    assert localrc('$VIRT_DRIVER') == 'fake'


def test_the_branch_that_it_names_can_be_cloned(localrc, tmp_path):
    fork = Fork()
    folder = tmp_path / 'branch'
    history.export(fork, folder)
    assert localrc('$NOVA_REPO') == 'file://%s/build/branch' % localrc('$FORK')
    subprocess.run(
        ['git', 'clone', '--quiet', '--branch', localrc('$NOVA_BRANCH'),
         'file://%s' % folder, tmp_path / 'nova'], check=True)
    for path in fork.overlay:
        assert (tmp_path / 'nova' / path).read_bytes() == (
            fork.root / path).read_bytes()
