"""What users see of each feature, on whichever cloud."""

from client import Refused
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
            self, cloud, server):
        hosts = {cloud.host(server('web')) for _ in cloud.hosts}
        assert hosts == set(cloud.hosts)
        with pytest.raises(Refused, match='Error creating server'):
            server('web')
        failed, = cloud.openstack(
            'server', 'list', '--status', 'ERROR', parse=True)
        assert 'No valid host' in cloud.show(failed['ID'])['fault']['message']
        cloud.openstack('server', 'delete', '--wait', failed['ID'])

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
