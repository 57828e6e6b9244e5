"""make release: what it does, and when it refuses."""

import pytest

from patchqueue import releasing
from patchqueue.errors import ForkError

TAG = 'mycompany-2024.1.1'

# Stands in for the real target, which takes half an hour.
MAKEFILE = '''\
test:
\tmkdir -p dist
\ttouch dist/nova-api_29.4.0+mycompany2024.1.1-1_all.deb
\ttouch dist/nova-29.4.0-1.mycompany.2024.1.1.el9.src.rpm
\ttouch dist/nova-29.4.0-py3-none-any.whl
\ttouch dist/python3-osc-mycompany-metrics_2024.1.1-1_all.deb
\ttouch dist/python-osc-mycompany-metrics-2024.1.1-1.el9.src.rpm
\ttouch dist/python3-osc-mycompany-metrics-2024.1.1-1.el9.noarch.rpm
\ttouch dist/osc_mycompany_metrics-2024.1.1-py3-none-any.whl
'''


@pytest.fixture
def ready(fake, monkeypatch):
    for name in ('AUTHOR', 'COMMITTER'):
        monkeypatch.setenv('GIT_%s_NAME' % name, 'Tester')
        monkeypatch.setenv('GIT_%s_EMAIL' % name, 't@example.org')
    fake.write('Makefile', MAKEFILE)
    fake.write('packaging/deb/nova/control', 'Package: nova-api\n')
    fake.write('packaging/rpm/openstack-nova.spec.in', 'Name: nova\n')
    fake.commit()
    return fake


def test_the_tested_commit_is_tagged_with_the_changes(ready):
    releasing.release(ready.fork)
    assert ready.git('tag', '--points-at', 'HEAD') == TAG
    assert 'First release.' in ready.git('tag', '-n9', TAG)


def test_a_dirty_checkout_is_refused(ready):
    ready.write('nova/compute/hooks.py', '# Changed.\n')
    with pytest.raises(ForkError, match='(?s)not committed.*hooks.py'):
        releasing.release(ready.fork)
    assert ready.git('tag') == ''


def test_a_file_that_the_users_configuration_hides_is_refused(
        ready, monkeypatch, tmp_path):
    (tmp_path / 'gitconfig').write_text('[status]\nshowUntrackedFiles = no\n')
    monkeypatch.setenv('GIT_CONFIG_GLOBAL', str(tmp_path / 'gitconfig'))
    ready.write('nova/compute/more.py', '# More.\n')
    with pytest.raises(ForkError, match='more.py'):
        releasing.release(ready.fork)


@pytest.mark.parametrize('flags', ['', 'i'])
def test_failing_tests_are_refused(ready, monkeypatch, flags):
    monkeypatch.setenv('MAKEFLAGS', flags)
    ready.write('Makefile', MAKEFILE + '\texit 1\n')
    ready.commit()
    with pytest.raises(ForkError, match='"make test" failed'):
        releasing.release(ready.fork)
    assert ready.git('tag') == ''


def test_without_an_identity_it_is_refused_before_the_tests(
        ready, monkeypatch):
    for name in ('AUTHOR', 'COMMITTER'):
        monkeypatch.setenv('GIT_%s_NAME' % name, '')
    with pytest.raises(ForkError, match='(?i)ident'):
        releasing.release(ready.fork)
    assert not ready.fork.dist.exists()


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


@pytest.mark.parametrize('step, message', [
    ('echo "# More." >> README', 'not committed'),
    ('git commit --quiet --allow-empty -m more', 'HEAD has moved'),
])
def test_a_checkout_that_changes_on_the_way_is_refused(ready, step, message):
    ready.write('Makefile', MAKEFILE + '\t%s\n' % step)
    ready.commit()
    with pytest.raises(ForkError, match=message):
        releasing.release(ready.fork)
    assert ready.git('tag') == ''
