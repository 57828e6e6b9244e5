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

from oslo_policy import policy

from nova.policies import base

# Named beside upstream's os_compute_api:servers:* rules, because that is where
# an operator looks. Upstream has no rule of these names up to 34.0.0.
SHOW = 'os_compute_api:servers:metrics:show'
LIST = 'os_compute_api:servers:metrics:list'
LIST_ALL_PROJECTS = 'os_compute_api:servers:metrics:list:all_projects'

vm_metrics_policies = [
    policy.DocumentedRuleDefault(
        name=SHOW,
        check_str=base.PROJECT_READER_OR_ADMIN,
        description="Show the live metrics of a server",
        operations=[
            {'method': 'GET', 'path': '/servers/{server_id}/metrics'},
            {'method': 'POST',
             'path': '/servers/{server_id}/action (get_metrics)'},
        ],
        scope_types=['project']),
    policy.DocumentedRuleDefault(
        name=LIST,
        check_str=base.PROJECT_READER_OR_ADMIN,
        description="List the live metrics of the servers of one's project",
        operations=[{'method': 'GET', 'path': '/servers/metrics'}],
        scope_types=['project']),
    policy.DocumentedRuleDefault(
        name=LIST_ALL_PROJECTS,
        check_str=base.ADMIN,
        description="""List the live metrics of the servers of another project
(``project_id``) or of all servers on a host (``host``)""",
        operations=[{'method': 'GET', 'path': '/servers/metrics'}],
        scope_types=['project']),
]


def list_rules():
    return vm_metrics_policies
