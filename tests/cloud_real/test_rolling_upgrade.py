"""A cloud of stock Nova becomes one of the fork, and stock Nova's again.

It is done as doc/operator/install.md says. Servers are created and deleted
all the while, and a guest runs in QEMU; none may be lost.
"""

import contextlib
import re

from client import Refused
from load import API
from load import Load
from process import until
import pytest
from real import Real
from real import STARTED

CONTROLLER = ('nova-conductor', 'nova-scheduler', 'nova-api')
#: The services of the compute nodes, by their hosts.
COMPUTES = {'fake1': 'nova-compute-fake1', 'fake2': 'nova-compute-fake2',
            'node1': 'nova-compute'}


class Site:
    """The cloud, and what its operator does.

    :ivar fork: the name of the Nova that stock is replaced with
    :ivar load: a Load
    :ivar kept: names of the servers that are there from the beginning
    """

    def __init__(self, cloud):
        self.cloud = cloud
        self.fork = cloud.nova or 'tree'
        self.api = API(cloud)
        cloud.openstack('quota', 'set', '--instances', '50', '--cores', '50',
                        'admin')
        self.kept = [cloud.create('small'), cloud.create('small'),
                     cloud.create('guest', image='guest', network='private')]
        flavor, image = (
            cloud.openstack(kind, 'show', name, parse=True)['id']
            for kind, name in (('flavor', 'small'), ('image', cloud.image)))
        self.load = Load(self.api, {
            'flavorRef': flavor, 'imageRef': image, 'networks': 'none'})
        self.load.start()

    def manage(self, nova, *words):
        return self.cloud.control('nova-manage', '--from', nova, *words)

    def replace(self, service, nova):
        """Install another Nova on a controller, which restarts a service."""
        self._restart(service, 'replace', service, nova)

    def restart(self, service):
        self._restart(service, 'restart', service)

    def _restart(self, service, *words):
        before = len(STARTED.findall(self.cloud.log_of(service)))
        with self.load.during(' '.join(words)):
            self.cloud.control(*words)
            if service == 'nova-api':
                until('nova-api answers', self._answers)
            else:
                until('%s has started' % service, lambda: len(
                    STARTED.findall(self.cloud.log_of(service))) > before)

    def _answers(self):
        done = self.load.attempt('GET', '/flavors')
        return done and done[0] == 200

    def replace_compute(self, host, nova):
        self._restart_compute(host, 'replace', COMPUTES[host], nova)

    def restart_compute(self, host):
        self._restart_compute(host, 'restart', COMPUTES[host])

    def _restart_compute(self, host, *words):
        """Do it while nothing is built there."""
        self.cloud.openstack(
            'compute', 'service', 'set', '--disable', '--disable-reason',
            'upgrade', host, 'nova-compute')
        building = self._servers('status=BUILD')

        def idle():
            return not any(
                one['OS-EXT-STS:task_state']
                for one in self._servers('host=' + host).values()
            ) and not set(building) & set(self._servers('status=BUILD'))

        until('nothing is going on on ' + host, idle, pause=1)
        self._restart(COMPUTES[host], *words)
        # It is a call to the service: it waits until that takes calls.
        self.cloud.openstack('compute', 'service', 'set', '--enable', host,
                             'nova-compute')

    def _servers(self, query=''):
        status, body = self.api.ask(
            'GET', '/servers/detail?all_tenants=1&' + query)
        assert status == 200, body
        return {one['id']: one for one in body['servers']}

    def servers(self):
        """All that there are, by id."""
        return self._servers()

    def versions(self):
        """What each service but the API said when it was last started."""
        return {name: STARTED.findall(self.cloud.log_of(name))[-1]
                for name in (*CONTROLLER[:2], *COMPUTES.values())}

    def metrics_status(self):
        """What the API answers who wants the guest's metrics.

        The others are forgotten by the fake driver when it is restarted.
        """
        server_id = self.cloud.show(self.kept[2])['id']
        return self.api.ask('GET', '/servers/%s/metrics' % server_id)[0]

    def guest(self):
        """What libvirt says of its guests: names, ids, processor time."""
        said = self.cloud.control('run', 'virsh', 'list')
        name, = re.findall(r'(?m)^ +\d+ +(\S+) +running', said)
        stats = self.cloud.control('run', 'virsh', 'domstats', name,
                                   '--cpu-total')
        return (name, self.cloud.control('run', 'virsh', 'domid', name),
                int(re.search(r'cpu\.time=(\d+)', stats)[1]))


@pytest.fixture(scope='module')
def site(fork, request):
    cloud = Real(fork, fork.build / 'cloud-upgrade')
    # One that was left by a run that was killed.
    cloud.control('stop')
    with contextlib.ExitStack() as ends:
        ends.callback(cloud.control, 'stop')
        cloud.begin('stock')
        # Packages are built for it, which takes its time.
        cloud.control('nova-manage', '--from', cloud.nova or 'tree',
                      'version', seconds=1800)
        site = Site(cloud)
        # Also of a story that has failed.
        ends.callback(site.load.end)
        site.failures = request.session.testsfailed
        yield site


@pytest.fixture(scope='module')
def release(fork, site):
    """Ours, as the services and commands say it."""
    return fork.release.full


@pytest.fixture(scope='module')
def stock_release(fork):
    return fork.upstream.pinned.version


@pytest.fixture(scope='module')
def guest(site):
    """What it was at the beginning."""
    return site.guest()


class TestStory:
    """In this order: each goes on from where the one before has ended."""

    @pytest.fixture(autouse=True)
    def after_the_one_before(self, site, request):
        if request.session.testsfailed > site.failures:
            pytest.skip('one before it has failed')

    def test_stock_runs(self, site, stock_release, guest):
        assert set(site.versions().values()) == {stock_release}
        assert site.metrics_status() == 404
        assert site.manage('stock', 'version').split()[-1] == stock_release
        assert 'mycompany' not in site.manage('stock', 'db', 'version')
        with pytest.raises(Refused, match='stock Nova has no features'):
            site.cloud.control('features', 'on')
        site.load.goes_on()

    def test_the_fork_syncs_the_databases_under_it(self, site, release):
        assert site.manage(site.fork, 'version').split()[-1] == release
        with site.load.during('the sync'):
            site.manage(site.fork, 'api_db', 'sync')
            site.manage(site.fork, 'db', 'sync')
        for which in ('api_db', 'db'):
            assert 'mycompany' in site.manage(site.fork, which, 'version')
        site.load.goes_on()

    def test_the_controllers_services_are_replaced(
            self, site, release, stock_release):
        for service in CONTROLLER:
            site.replace(service, site.fork)
        versions = site.versions()
        assert {versions.pop(name) for name in CONTROLLER[:2]} == {release}
        assert set(versions.values()) == {stock_release}
        # The node is stock's.
        assert site.metrics_status() == 501
        site.load.goes_on()

    def test_the_compute_nodes_are_replaced(self, site, release, guest):
        for host in COMPUTES:
            site.replace_compute(host, site.fork)
            site.load.goes_on()
        assert set(site.versions().values()) == {release}
        until('the node has metrics', lambda: site.metrics_status() == 200,
              seconds=90, pause=1)
        assert site.guest()[:2] == guest[:2]

    def test_the_features_are_turned_on(self, site):
        cloud = site.cloud
        site.manage(site.fork, 'db', 'online_data_migrations')
        cloud.control('replace', 'nova-cmdb-agent', site.fork)
        cloud.control('features', 'on')
        for service in ('nova-scheduler', 'nova-api'):
            site.restart(service)
        for host in COMPUTES:
            site.restart_compute(host)
        site.load.goes_on()

    def test_the_features_work(self, site):
        cloud = site.cloud
        site.kept += [cloud.create('web') for _ in cloud.hosts]
        on = {cloud.host(name) for name in site.kept[-2:]}
        assert on == set(cloud.hosts)
        with pytest.raises(Refused) as refused:
            cloud.create('web')
        failed = re.search(r'Error creating server: (\S+)',
                           str(refused.value))[1]
        cloud.openstack('server', 'delete', '--wait', failed)
        with pytest.raises(Refused, match='FlavorNotAllowed'):
            cloud.create('gold', user='devcloud-demo')
        ids = {cloud.show(name)['id'] for name in site.kept}
        until('the CMDB knows the servers', lambda: ids <= set(
            cloud.records()), seconds=120, pause=1)

    def test_the_features_are_turned_off(self, site):
        site.cloud.openstack(
            'flavor', 'unset', 'web', '--property', 'mycompany:business_tag',
            '--property', 'mycompany:business_max_per_host')
        site.cloud.control('features', 'off')
        site.restart('nova-scheduler')
        # Both hosts have one already.
        site.kept.append(site.cloud.create('web'))
        site.load.goes_on()

    def test_the_compute_nodes_are_stocks_again(
            self, site, release, stock_release, guest):
        for host in COMPUTES:
            site.replace_compute(host, 'stock')
        versions = site.versions()
        assert {versions.pop(name) for name in CONTROLLER[:2]} == {release}
        assert set(versions.values()) == {stock_release}
        site.load.goes_on()

    def test_the_controllers_services_are_stocks_again(
            self, site, stock_release):
        site.cloud.control('replace', 'nova-cmdb-agent', 'stock')
        for service in reversed(CONTROLLER):
            site.replace(service, 'stock')
        assert set(site.versions().values()) == {stock_release}
        assert site.metrics_status() == 404
        site.load.goes_on()

    def test_nothing_is_lost(self, site, guest):
        load, cloud = site.load, site.cloud
        load.end()
        assert load.errors == []
        kept = {cloud.show(name)['id'] for name in site.kept}
        found = site.servers()
        assert set(found) == kept | load.there
        assert {one['status'] for one in found.values()} == {'ACTIVE'}
        assert len(load.gone) > 20
        assert {site.api.ask('GET', '/servers/' + one)[0]
                for one in load.gone} == {404}
        name, number, used = guest
        assert site.guest()[:2] == (name, number)
        assert site.guest()[2] > used

    def test_only_a_restart_of_the_api_has_let_requests_go_unanswered(
            self, site):
        print('\n'.join(site.load.refused + site.load.dropped))
        assert [text for text in site.load.refused if not text.startswith(
            ('replace nova-api', 'restart nova-api'))] == []

    def test_placement_has_what_the_servers_use(self, site):
        # It fails when there are allocations without a server.
        site.manage('stock', 'placement', 'audit', '--verbose')

    def test_stocks_commands_work_on_the_databases(self, site):
        site.manage('stock', 'api_db', 'sync')
        site.manage('stock', 'db', 'sync')
        # It ends with 1 when it has archived something.
        with pytest.raises(Refused) as ended:
            site.manage('stock', 'db', 'archive_deleted_rows',
                        '--until-complete', '--all-cells', '--verbose')
        archived = re.search(r'cell1\.instances\s*\|\s*(\d+)',
                             str(ended.value))
        # Some failed, and were deleted, on purpose.
        assert int(archived[1]) >= len(site.load.gone)
        site.manage('stock', 'db', 'purge', '--all', '--all-cells')

    def test_a_server_of_the_forks_can_be_resized_and_deleted(self, site):
        cloud, name = site.cloud, site.kept[-1]
        cloud.openstack('server', 'resize', '--flavor', 'large', '--wait',
                        name)
        cloud.openstack('server', 'resize', 'confirm', name)
        until('it is active', lambda: cloud.show(name)['status'] == 'ACTIVE',
              pause=1)
        cloud.openstack('server', 'delete', '--wait', *site.kept)
