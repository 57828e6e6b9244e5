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

import subprocess
import sys
from unittest import mock

from oslo_config import cfg
from stevedore import extension

from nova.api.validation.extra_specs import mycompany as extra_specs
from nova.cmdb.drivers import http
from nova.cmdb.drivers import netbox
from nova.cmdb import hook
from nova.conf import mycompany as conf
from nova.conf import opts
from nova import policies
from nova.policies import mycompany as our_policies
from nova import test

# Runs in an interpreter of its own: nova.conf registers options when it is
# imported, which has happened here long ago.
_IMPORT_NOVA_CONF = """
import sys
import types

fake = types.ModuleType('nova.conf.mycompany')
fake.register_opts = lambda conf: print('registered on', type(conf).__name__)
sys.modules['nova.conf.mycompany'] = fake
import nova.conf
"""


class OptionsTestCase(test.NoDBTestCase):

    def test_nova_conf_registers_our_options(self):
        done = subprocess.run(
            [sys.executable, '-c', _IMPORT_NOVA_CONF], text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertEqual((0, 'registered on ConfigOpts\n'),
                         (done.returncode, done.stdout), done.stderr)

    def test_the_options_of_every_module_are_registered(self):
        option = cfg.BoolOpt('answer')
        module = mock.Mock(
            register_opts=lambda conf: conf.register_opt(option))
        known = cfg.ConfigOpts()
        with mock.patch.object(conf, '_MODULES', (module,)):
            conf.register_opts(known)
        self.assertIn('answer', known)

    def test_the_sample_file_can_be_made(self):
        # The generator fails on a module of nova.conf without list_opts.
        self.assertIn('DEFAULT', dict(opts.list_opts()))


class PoliciesTestCase(test.NoDBTestCase):

    def test_the_rules_of_every_module_are_listed(self):
        rule = mock.sentinel.rule
        module = mock.Mock(list_rules=lambda: [rule])
        with mock.patch.object(our_policies, '_MODULES', (module,)):
            self.assertIn(rule, list(policies.list_rules()))


class EntryPointsTestCase(test.NoDBTestCase):

    def test_the_validators_of_our_extra_specs_are_loaded(self):
        found = extension.ExtensionManager('nova.api.extra_spec_validators')
        self.assertIs(extra_specs, found['mycompany'].plugin)

    def test_the_drivers_of_cmdbs_are_loaded(self):
        found = extension.ExtensionManager('nova.cmdb.drivers')
        self.assertIs(http.HTTPDriver, found['http'].plugin)
        self.assertIs(netbox.NetBoxDriver, found['netbox'].plugin)

    def test_the_hook_for_the_cmdb_is_loaded(self):
        found = extension.ExtensionManager('nova.compute.hooks')
        self.assertIs(hook.CMDBHook, found['cmdb'].plugin)
