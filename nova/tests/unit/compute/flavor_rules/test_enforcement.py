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

"""What has no place in the functional tests: what is said and asked when."""

from unittest import mock

from nova.api.openstack import wsgi
from nova.compute import flavor_rules
from nova.compute.flavor_rules import cache
from nova.compute.flavor_rules import rules
from nova.compute import flavors
from nova import context as nova_context
from nova import exception
from nova import objects
from nova import test

PROJECT = 'a1b2c3d4e5f64718a9b0c1d2e3f40516'


class EnforcementTestCase(test.NoDBTestCase):

    def setUp(self):
        super().setUp()
        self.context = nova_context.RequestContext('user', PROJECT)
        self.flavor = objects.Flavor(
            name='m1', flavorid='id', is_public=True, disabled=False)
        self.known = rules.RuleSet([rules.Entry(PROJECT, deny=('m1',))])
        self.get_rules = self._patch(
            flavor_rules._CACHE, 'get', return_value=self.known)
        self.look_up = self._patch(
            flavors, 'get_flavor_by_flavor_id', return_value=self.flavor)

    def _patch(self, *args, **kwargs):
        patcher = mock.patch.object(*args, **kwargs)
        self.addCleanup(patcher.stop)
        return patcher.start()

    def _get(self):
        return flavor_rules.get_allowed_flavor(
            'id', ctxt=self.context, read_deleted='no')

    def test_without_configuration_nothing_is_asked(self):
        self.assertIs(self.flavor, self._get())
        flavor_rules.check_resize(
            self.context, objects.Instance(project_id=PROJECT), 'id')
        self.get_rules.assert_not_called()
        self.look_up.assert_called_once()

    def test_policy_is_asked_only_when_a_rule_refuses(self):
        self.flags(use_database=True, group='flavor_rules')
        with mock.patch.object(
                nova_context.RequestContext, 'can',
                return_value=False) as can:
            self.flavor.name = 'm2'
            self._get()
            can.assert_not_called()
            self.flavor.name = 'm1'
            self.assertRaises(flavor_rules.FlavorNotAllowed, self._get)
            can.assert_called_once_with(
                'os_compute_api:servers:create:any_flavor',
                target={'project_id': PROJECT, 'user_id': 'user'},
                fatal=False)

    def test_the_rules_come_before_the_flavor(self):
        # A flavor is in the same database: if that hangs, the user is to be
        # told so within the time for the rules.
        self.flags(use_database=True, group='flavor_rules')
        self.get_rules.side_effect = cache.RulesUnavailable('no database')
        self.assertRaises(flavor_rules.FlavorRulesUnavailable, self._get)
        self.look_up.assert_not_called()

    def test_a_flavor_that_is_not_there_is_upstreams_answer(self):
        self.flags(use_database=True, group='flavor_rules')
        self.look_up.side_effect = exception.FlavorNotFound(flavor_id='id')
        self.assertRaises(exception.FlavorNotFound, self._get)

    def test_a_flavor_named_like_its_id_is_not_named_twice(self):
        self.flags(use_database=True, group='flavor_rules')
        self.flavor.flavorid = 'm1'
        error = self.assertRaises(flavor_rules.FlavorNotAllowed, self._get)
        self.assertIn('flavor m1 is not allowed', str(error))

    def test_a_fault_of_the_rules_passes_what_the_api_expects(self):
        @wsgi.expected_errors(400)
        def method():
            raise flavor_rules.FlavorRulesUnavailable(project_id=PROJECT)

        def call():
            with wsgi.ResourceExceptionHandler():
                method()

        fault = self.assertRaises(wsgi.Fault, call)
        self.assertEqual(503, fault.status_int)
