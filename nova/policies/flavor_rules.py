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

# Named beside upstream's own os_compute_api:servers:* rules, because that is
# where an operator looks for what may be done to servers. Upstream has no
# rule of these names in any release up to 34.0.0.
CREATE_ANY_FLAVOR = 'os_compute_api:servers:create:any_flavor'
RESIZE_ANY_FLAVOR = 'os_compute_api:servers:resize:any_flavor'

flavor_rules_policies = [
    policy.DocumentedRuleDefault(
        name=CREATE_ANY_FLAVOR,
        check_str=base.RULE_NOBODY,
        description="""Create a server with a flavor that the flavor rules do
not allow its project, and see all flavors when ``[flavor_rules]
hide_from_listing`` is set. Nobody may, unless the policy file says so.

This has an effect only when ``[flavor_rules]`` is configured. Every server
created by it is logged.""",
        operations=[
            {'method': 'POST', 'path': '/servers'},
            {'method': 'GET', 'path': '/flavors'},
            {'method': 'GET', 'path': '/flavors/detail'},
        ],
        scope_types=['project']),
    policy.DocumentedRuleDefault(
        name=RESIZE_ANY_FLAVOR,
        check_str=base.RULE_NOBODY,
        description="""Resize a server to a flavor that the flavor rules do
not allow its project. Nobody may, unless the policy file says so.

This has an effect only when ``[flavor_rules]`` is configured. Every use is
logged.""",
        operations=[
            {'method': 'POST', 'path': '/servers/{server_id}/action (resize)'},
        ],
        scope_types=['project']),
]


def list_rules():
    return flavor_rules_policies
