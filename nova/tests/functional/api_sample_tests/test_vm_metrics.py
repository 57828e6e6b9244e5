#    Licensed under the Apache License, Version 2.0 (the "License"); you may
#    not use this file except in compliance with the License. You may obtain
#    a copy of the License at
#
#         http://www.apache.org/licenses/LICENSE-2.0
#
#    Unless required by applicable law or agreed to in writing, software
#    distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
#    WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
#    License for the specific language governing permissions and limitations
#    under the License.

import jsonschema
from oslo_serialization import jsonutils

from nova.api.openstack.compute.schemas import vm_metrics as schema
from nova.tests import fixtures as nova_fixtures
from nova.tests.functional.api_sample_tests import test_servers


class VMMetricsSamplesJsonTest(test_servers.ServersSampleBase):

    sample_dir = 'server-metrics'

    def setUp(self):
        super().setUp()
        # The fake driver counts the traffic of this port.
        self.server_id = self._create_server(networks=[
            {'port': nova_fixtures.NeutronFixture.port_1['id']}])['id']

    def test_show(self):
        response = self._do_get('servers/%s/metrics' % self.server_id)
        self._verify_response(
            'server-metrics-get-resp', {'id': self.server_id}, response, 200)
        self._verify_schema(schema.show_response, 'server-metrics-get-resp')

    def test_the_action(self):
        response = self._do_post(
            'servers/%s/action' % self.server_id,
            'server-action-get-metrics', {})
        self._verify_response(
            'server-metrics-get-resp', {'id': self.server_id}, response, 200)

    def test_list(self):
        stopped = self._stop_server(self._create_server())
        response = self._do_get('servers/metrics?limit=2')
        self._verify_response(
            'servers-metrics-list-resp',
            {'id': self.server_id, 'uuid': stopped['id']}, response, 200)
        self._verify_schema(schema.list_response, 'servers-metrics-list-resp')

    def _verify_schema(self, wanted, name):
        """The sample is an answer as the schema of answers has it."""
        with open(self._get_sample(name), 'rb') as sample:
            jsonschema.validate(jsonutils.load(sample), wanted)
