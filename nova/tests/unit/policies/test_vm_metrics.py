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

import fixtures
from oslo_utils.fixture import uuidsentinel as uuids

from nova.api.openstack.compute import vm_metrics
from nova.compute import vm_states
from nova.policies import vm_metrics as policies
from nova.tests.unit.api.openstack import fakes
from nova.tests.unit import fake_instance
from nova.tests.unit.policies import base


class VMMetricsPolicyTestCase(base.BasePolicyTest):
    """Whom the default policies let in, as a 2024.1 cloud enforces them."""

    without_deprecated_rules = True

    def setUp(self):
        super().setUp()
        self.flags(enforce_scope=True, group='oslo_policy')
        self.controller = vm_metrics.VMMetricsController()
        self.req = fakes.HTTPRequest.blank('')
        self.host_req = fakes.HTTPRequest.blank('?host=host1')
        instance = fake_instance.fake_instance_obj(
            self.project_member_context, project_id=self.project_id,
            uuid=uuids.server, host=None, vm_state=vm_states.STOPPED)
        self.useFixture(fixtures.MockPatchObject(
            self.controller._compute_api, '_get_instance',
            return_value=instance))
        self.useFixture(fixtures.MockPatch(
            'nova.compute.vm_metrics.servers.get_page',
            return_value=([], [])))

    def test_readers_of_the_project_and_admins_may_show(self):
        self.common_policy_auth(
            self.project_reader_or_admin_with_scope_no_legacy, policies.SHOW,
            self.controller.show, self.req, uuids.server)

    def test_the_action_asks_the_same_policy(self):
        self.common_policy_auth(
            self.project_reader_or_admin_with_scope_no_legacy, policies.SHOW,
            self.controller._get_metrics, self.req, uuids.server,
            body={'get_metrics': None})

    def test_only_admins_may_list_a_host(self):
        self.common_policy_auth(
            {self.legacy_admin_context, self.project_admin_context},
            policies.LIST_ALL_PROJECTS, self.controller.index, self.host_req)
