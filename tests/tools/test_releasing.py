"""make release: what it does, and when it refuses."""

import pytest

from patchqueue import releasing
from patchqueue.errors import ForkError

TAG = 'mycompany-2024.1.1'

# Stands in for the real targets, which take half an hour; notes their order.
MAKEFILE = '''\
check test:
\techo $@ >> build/ran
packages:
\techo $@ >> build/ran
\tmkdir -p dist
\ttouch dist/nova_29.4.0+mycompany2024.1.1-1_all.deb
\ttouch dist/nova-29.4.0-1.mycompany.2024.1.1.noarch.rpm
\ttouch dist/nova-29.4.0-py3-none-any.whl
'''


@pytest.fixture
def ready(fake, monkeypatch):
    for name in ('AUTHOR', 'COMMITTER'):
        monkeypatch.setenv('GIT_%s_NAME' % name, 'Tester')
        monkeypatch.setenv('GIT_%s_EMAIL' % name, 't@example.org')
    fake.path('build').mkdir(exist_ok=True)
    fake.write('Makefile', MAKEFILE)
    fake.commit()
    return fake


def test_checks_packages_and_tests_run_before_the_tag(ready):
    releasing.release(ready.fork)
    assert ready.read('build/ran').split() == ['check', 'packages', 'test']
    assert ready.git('tag', '--points-at', 'HEAD') == TAG
    assert 'First release.' in ready.git('tag', '-n9', TAG)


def test_a_dirty_checkout_is_refused(ready):
    ready.write('nova/compute/hooks.py', '# Changed.\n')
    with pytest.raises(ForkError, match='(?s)not committed.*hooks.py'):
        releasing.release(ready.fork)
    assert ready.git('tag') == ''


@pytest.mark.parametrize('target', ['check', 'packages', 'test'])
def test_a_failing_step_is_refused(ready, target):
    ready.write('Makefile', MAKEFILE.replace('check test:', 'check test: #')
                + '\n%s: fail\nfail:\n\texit 1\n' % target)
    ready.commit()
    with pytest.raises(ForkError, match='"make %s" failed' % target):
        releasing.release(ready.fork)
    assert ready.git('tag') == ''


def test_a_release_that_is_tagged_is_refused(ready):
    ready.git('tag', '-am', 'x', TAG)
    with pytest.raises(ForkError, match='is tagged already'):
        releasing.release(ready.fork)


def test_packages_of_another_release_are_refused(ready):
    ready.fork.dist.mkdir()
    (ready.fork.dist / 'old+mycompany2024.1.0.deb').touch()
    with pytest.raises(ForkError, match='is not of ' + TAG):
        releasing.release(ready.fork)
    assert ready.git('tag') == ''


def test_a_checkout_that_changes_on_the_way_is_refused(ready):
    ready.write('Makefile', MAKEFILE.replace(
        'check test:\n', 'check test:\n\techo "# More." >> README\n'))
    ready.commit()
    with pytest.raises(ForkError, match='not committed'):
        releasing.release(ready.fork)
    assert ready.git('tag') == ''
