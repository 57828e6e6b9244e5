"""What users see of each feature, on whichever cloud."""

import contextlib
import re

from client import Refused
from process import until
import pytest


class Stories:
    """
    The fixtures are cloud, a client.Cloud whose hosts have the fake driver,
    and server, a function that makes a server.
    """

    def test_a_server_boots_is_resized_moved_and_deleted(self, cloud, server):
        name = server('small')
        host = cloud.host(name)
        cloud.openstack('server', 'resize', '--flavor', 'large', '--wait',
                        name)
        cloud.openstack('server', 'resize', 'confirm', name)
        assert cloud.show(name)['flavor']['name'] == 'large'
        # No host may take its own server again.
        assert cloud.host(name) != host

    def test_servers_of_a_business_are_spread_until_no_host_is_left(
            self, cloud, server, one_per_host):
        hosts = {cloud.host(server(one_per_host)) for _ in cloud.hosts}
        assert hosts == set(cloud.hosts)
        with pytest.raises(Refused) as refused:
            server(one_per_host)
        failed = re.search(r'Error creating server: (\S+)',
                           str(refused.value))[1]
        assert 'No valid host' in cloud.show(failed)['fault']['message']
        cloud.openstack('server', 'delete', '--wait', failed)

    def test_a_project_is_refused_a_flavor_at_create_and_at_resize(
            self, cloud, server):
        # The administrator's project has no rule.
        with pytest.raises(Refused, match='FlavorNotAllowed.*HTTP 403'):
            cloud.create('gold', user='devcloud-demo')
        name = cloud.create('small', user='devcloud-demo')
        with pytest.raises(Refused, match='FlavorNotAllowed.*HTTP 403'):
            cloud.openstack('server', 'resize', '--flavor', 'gold', name,
                            user='devcloud-demo')
        shown = cloud.openstack('server', 'show', name, parse=True,
                                user='devcloud-demo')
        assert shown['flavor']['name'] == 'small'
        cloud.openstack('server', 'delete', '--wait', name,
                        user='devcloud-demo')
        server('gold')

    def test_a_user_sees_what_a_server_uses(self, cloud, server):
        name = cloud.create('small', user='devcloud-demo')
        found = cloud.openstack('server', 'metrics', 'show', name, parse=True,
                                user='devcloud-demo')
        assert found['server_id'] == cloud.openstack(
            'server', 'show', name, parse=True, user='devcloud-demo')['id']
        assert 0 < found['cpu_utilisation'] <= 100
        assert found['memory_allocated_bytes'] == 512 * 1024 ** 2
        # Others' servers are in nobody's list.
        server('small')
        listed = cloud.openstack('server', 'metrics', 'list', parse=True,
                                 user='devcloud-demo')
        assert [row['Name'] for row in listed] == [name]
        cloud.openstack('server', 'stop', name, user='devcloud-demo')
        with pytest.raises(Refused, match='HTTP 409'):
            for _ in range(20):
                cloud.openstack('server', 'metrics', 'show', name,
                                user='devcloud-demo')
        cloud.openstack('server', 'delete', '--wait', name,
                        user='devcloud-demo')


class CMDBStories:
    """What those see of servers who look into the CMDB."""

    def test_a_record_follows_its_server_from_create_to_delete(
            self, cloud, server):
        name = server('small')
        server_id = cloud.show(name)['id']
        first = cloud.host(server_id)
        self._until(cloud, server_id, name=name, host=first, flavor='small')
        cloud.openstack('server', 'set', '--name', name + '-new', name)
        self._until(cloud, server_id, name=name + '-new')
        cloud.openstack('server', 'set', '--name', name, server_id)
        self._until(cloud, server_id, name=name)
        cloud.openstack('server', 'resize', '--flavor', 'large', '--wait',
                        name)
        second = self._confirmed(cloud, name)
        assert second != first
        self._until(cloud, server_id, host=second, flavor='large')
        cloud.openstack('server', 'migrate', '--wait', name)
        third = self._confirmed(cloud, name)
        assert third != second
        self._until(cloud, server_id, name=name, host=third, flavor='large')

    @staticmethod
    def _confirmed(cloud, name):
        """Confirm a resize, which is done in the background; its host."""
        cloud.openstack('server', 'resize', 'confirm', name)

        def active():
            shown = cloud.show(name)
            return shown['status'] == 'ACTIVE' and shown

        return until('the server is active', active, pause=1)[
            'OS-EXT-SRV-ATTR:host']

    def test_a_deleted_server_has_no_record(self, cloud):
        name = cloud.create('small')
        server_id = cloud.show(name)['id']
        self._until(cloud, server_id, name=name)
        cloud.openstack('server', 'delete', '--wait', name)
        self._until_gone(cloud, server_id)

    def test_what_happens_while_it_is_down_is_in_it_afterwards(
            self, cloud, server):
        kept, doomed = server('small'), cloud.create('small')
        kept_id, doomed_id = (cloud.show(one)['id'] for one in (kept, doomed))
        self._until(cloud, doomed_id, name=doomed)
        self._until(cloud, kept_id, name=kept)
        with self._down(cloud):
            cloud.openstack('server', 'set', '--name', 'renamed', kept)
            cloud.openstack('server', 'delete', '--wait', doomed)
            made = server('small')
            made_id = cloud.show(made)['id']
        try:
            self._until(cloud, kept_id, name='renamed')
            self._until(cloud, made_id, name=made)
            self._until_gone(cloud, doomed_id)
        finally:
            cloud.openstack('server', 'set', '--name', kept, kept_id)

    @staticmethod
    def _until(cloud, server_id, **wanted):
        """Wait until the record has these fields."""
        def agrees():
            found = cloud.records().get(server_id, {})
            return all(found.get(key) == value
                       for key, value in wanted.items())

        until('the record of %s has %s' % (server_id, wanted), agrees,
              seconds=120, pause=0.5)

    @staticmethod
    def _until_gone(cloud, server_id):
        until('the record is gone',
              lambda: server_id not in cloud.records(), seconds=120,
              pause=0.5)

    @staticmethod
    @contextlib.contextmanager
    def _down(cloud):
        cloud.control('stop-service', 'cmdb')
        try:
            with pytest.raises(OSError):
                cloud.records()
            yield
        finally:
            cloud.control('start-service', 'cmdb')
