"""The embedded cloud, and what its users see of each feature."""

import urllib.error
import urllib.request

import pytest

from stories import Stories


class TestStories(Stories):
    pass


class TestControl:

    def test_a_second_start_says_that_it_runs_already(self, cloud):
        text = cloud.control('start')
        assert 'runs already' in text
        assert str(cloud.folder / 'clouds.yaml') in text

    def test_nobody_gets_in_without_a_token(self, cloud):
        url, = {endpoint['URL'] for endpoint in self._endpoints(cloud)
                if endpoint['Type'] == 'compute'}
        with pytest.raises(urllib.error.HTTPError, match='401'):
            urllib.request.urlopen(url + '/servers', timeout=30)

    @staticmethod
    def _endpoints(cloud):
        return [{'Type': item['Type'], 'URL': item['Endpoints'][0]['url']}
                for item in cloud.openstack('catalog', 'list', parse=True)]
