"""The embedded cloud, and what its users see of each feature."""

import urllib.error
import urllib.request

import pytest

from client import Refused
from stories import CMDBStories
from stories import Stories


class TestStories(Stories):
    pass


class TestCMDB(CMDBStories):
    pass


class TestControl:

    def test_a_second_start_says_that_it_runs_already(self, cloud):
        text = cloud.control('start')
        assert 'runs already' in text
        assert str(cloud.folder / 'clouds.yaml') in text

    def test_a_service_within_the_process_is_not_stopped(self, cloud):
        with pytest.raises(Refused, match="'nova-compute'.*expected: cmdb"):
            cloud.control('stop-service', 'nova-compute')

    def test_nobody_gets_in_without_a_token(self, cloud):
        url, = {endpoint['URL'] for endpoint in self._endpoints(cloud)
                if endpoint['Type'] == 'compute'}
        with pytest.raises(urllib.error.HTTPError, match='401'):
            urllib.request.urlopen(url + '/servers', timeout=30)

    @staticmethod
    def _endpoints(cloud):
        return [{'Type': item['Type'], 'URL': item['Endpoints'][0]['url']}
                for item in cloud.openstack('catalog', 'list', parse=True)]
