"""What users of the cloud of real services see of each feature.

Those on the fake nodes, and those of the CMDB, are the stories of the embedded
cloud.
"""

import concurrent.futures
import os
import re
import subprocess

from client import DEVCLOUD
from client import Refused
from process import until
import pytest
from real import STARTED
from stories import CMDBStories
from stories import Stories


class TestStories(Stories):
    pass


@pytest.fixture(scope='module')
def guest(cloud):
    name = cloud.create('guest', image='guest', network='private')
    yield name
    cloud.openstack('server', 'delete', '--wait', name)


class TestGuest:
    """A guest in QEMU, that burns a fifth of a processor."""

    def test_it_has_the_address_and_the_name_that_nova_says(
            self, cloud, guest):
        def console():
            text = cloud.openstack('console', 'log', 'show', guest)
            return text if 'guest-is-ready' in text else None

        text = until('the guest is ready', console, seconds=300, pause=1)
        assert cloud.host(guest) == 'node1'
        (address,), = cloud.show(guest)['addresses'].values()
        assert 'guest-address %s' % address in text
        assert re.search(r'(?m)^guest-metadata %s' % guest, text)

    def test_its_metrics_are_between_what_virsh_says_before_and_after(
            self, cloud, guest):
        self._new_sample(cloud, guest)
        before = self._virsh(cloud, guest)
        # The next may have been taken before virsh was asked.
        self._new_sample(cloud, guest)
        sample = self._new_sample(cloud, guest)
        after = self._virsh(cloud, guest)
        assert before < sample['cpu_time_ns'] < after
        # What it burns, and what its clock and idle processor cost QEMU. On a
        # busy machine it gets less, or its rounds take longer.
        assert 10 < sample['cpu_utilisation'] < 50
        assert 'panic' not in cloud.openstack(
            'console', 'log', 'show', guest)

    @staticmethod
    def _sample(cloud, guest):
        return cloud.openstack('server', 'metrics', 'show', guest, parse=True)

    def _new_sample(self, cloud, guest):
        old = self._sample(cloud, guest)['sampled_at']

        def newer():
            found = self._sample(cloud, guest)
            return found['sampled_at'] != old and found

        return until('a new sample', newer, pause=1)

    @staticmethod
    def _virsh(cloud, guest):
        """The nanoseconds of processor time that libvirt says it has used."""
        name = cloud.show(guest)['OS-EXT-SRV-ATTR:instance_name']
        said = cloud.control('run', 'virsh', 'domstats', name, '--cpu-total')
        return int(re.search(r'cpu\.time=(\d+)', said)[1])


class TestFakeNodes:

    def test_a_server_has_an_address_there_and_keeps_it_when_it_moves(
            self, cloud, server):
        name = server('small', network='private')
        before = cloud.show(name)
        (address,), = before['addresses'].values()
        assert address.startswith('10.20.0.')
        cloud.openstack('server', 'migrate', '--wait', name)
        cloud.openstack('server', 'resize', 'confirm', name)
        after = cloud.show(name)
        assert after['addresses'] == before['addresses']
        assert after['OS-EXT-SRV-ATTR:host'] != (
            before['OS-EXT-SRV-ATTR:host'])
        ports = cloud.openstack('port', 'list', '--server', name, parse=True)
        port = cloud.openstack('port', 'show', ports[0]['ID'], parse=True)
        assert port['binding_vif_type'] == 'bridge'
        assert port['binding_host_id'] == after['OS-EXT-SRV-ATTR:host']

    def test_a_snapshot_is_an_image_that_a_server_can_be_made_of(
            self, cloud, server):
        name = server('small')
        cloud.openstack('server', 'image', 'create', '--name', 'snapshot',
                        '--wait', name)
        try:
            assert cloud.show(server('small', image='snapshot'))['image']
        finally:
            cloud.openstack('image', 'delete', 'snapshot')


class TestCMDB(CMDBStories):
    pass


class TestControl:

    def test_all_services_run(self, cloud):
        states = {line.split()[0]: line.split()[1]
                  for line in cloud.control('status').splitlines()}
        assert set(states.values()) == {'RUNNING'}
        assert {'keystone', 'neutron-server', 'nova-compute-fake2',
                'nova-cmdb-agent', 'rabbitmq'} < set(states)

    def test_a_second_start_says_that_it_runs_already(self, cloud):
        assert 'runs already' in cloud.control('start')

    def test_a_restarted_fake_node_takes_servers_again(
            self, cloud, server, one_per_host):
        # A server that was sent there meanwhile would end in ERROR.
        service = 'fake1', 'nova-compute'
        cloud.openstack('compute', 'service', 'set', '--disable', *service)
        cloud.control('restart', 'nova-compute-fake1')
        # It waits for the answer of the service.
        cloud.openstack('compute', 'service', 'set', '--enable', *service)
        # One host each: the other alone would not do.
        assert {cloud.host(server(one_per_host))
                for _ in cloud.hosts} == set(cloud.hosts)

    def test_an_unknown_service_is_refused_with_those_that_there_are(
            self, cloud):
        with pytest.raises(Refused, match="no service 'nova'.*nova-compute"):
            cloud.control('restart', 'nova')

    def test_nova_is_the_release_of_the_fork_from_where_it_was_asked_for(
            self, cloud):
        assert {STARTED.findall(cloud.log_of(name))[-1] for name in (
            'nova-conductor', 'nova-scheduler', 'nova-compute',
            'nova-compute-fake1', 'nova-compute-fake2')} == {
                cloud.fork.release.full}
        if cloud.nova == 'packages':
            pids = re.findall(r'(?m)^nova-\S+ +RUNNING +pid (\d+)',
                              cloud.control('status'))
            assert {cloud.control('run', 'readlink', '/proc/%s/root' % pid)
                    for pid in pids} == {
                        '%s\n' % (cloud.folder / 'nova-root')}

    def test_stock_nova_has_no_place_in_it(self, cloud):
        with pytest.raises(Refused, match='the features are on'):
            cloud.control('replace', 'nova-scheduler', 'stock')
        with pytest.raises(Refused, match='end it first'):
            cloud.control('start', '--from', 'stock')

    def test_another_nova_is_refused_with_those_that_there_are(self, cloud):
        with pytest.raises(Refused, match="invalid choice: 'debian'.*tree"):
            cloud.control('start', '--from', 'debian')
        with pytest.raises(Refused, match="no service 'glance'.*nova-api"):
            cloud.control('replace', 'glance', 'tree')

    def test_what_the_caller_works_with_is_another_matter(
            self, cloud, tmp_path):
        # The embedded cloud's clouds.yaml has an entry of the same name.
        other = tmp_path / 'clouds.yaml'
        other.write_text((cloud.folder / 'clouds.yaml').read_text().replace(
            cloud.url('keystone'), 'http://127.0.0.1:1'))
        build = cloud.fork.build
        said = subprocess.run(
            [build / 'venv/cloud/bin/python', '-W', 'ignore', '-c', """
import pathlib
import control, contents, settings
of = settings.Settings(pathlib.Path('%s'), pathlib.Path('%s'))
print(contents.Contents(of).connect().config.get_auth_args()['auth_url'])
""" % (cloud.folder, build)], cwd=DEVCLOUD / 'real', text=True, check=True,
            stdout=subprocess.PIPE,
            env=dict(os.environ, OS_CLIENT_CONFIG_FILE=str(other))).stdout
        assert said.strip() == cloud.url('keystone') + '/v3'

    def test_the_logs_that_there_are_are_named(self, cloud):
        with pytest.raises(Refused, match="no log of 'nova'.*nova-compute"):
            cloud.control('logs', 'nova')

    def test_of_two_restarts_one_waits_for_the_other(self, cloud):
        with concurrent.futures.ThreadPoolExecutor() as pool:
            both = [pool.submit(cloud.control, 'restart', name)
                    for name in ('nova-conductor', 'nova-cmdb-agent')]
            said = [one.result() for one in both]
        assert sum('waiting for it' in text for text in said) == 1
        assert 'STOPPED' not in cloud.control('status')

    def test_its_bridges_are_not_the_machines(self, cloud):
        def links(*words):
            return subprocess.run(words, text=True, check=True,
                                  capture_output=True).stdout

        inside = cloud.control('run', 'ip', '-brief', 'link')
        assert re.search(r'(?m)^brq', inside)
        assert not re.search(r'(?m)^(brq|uplink)',
                             links('ip', '-brief', 'link'))
