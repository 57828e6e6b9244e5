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


import os

import fixtures

from nova.tests.functional import integrated_helpers
from nova import version


class VendorReleaseTestCase(integrated_helpers.ProviderUsageBaseTestCase):
    """What a service says about itself when it starts."""

    compute_driver = 'fake.FakeDriver'

    def setUp(self):
        prefix = self.useFixture(fixtures.TempDir()).path
        os.makedirs(os.path.join(prefix, 'etc', 'nova'))
        with open(os.path.join(prefix, 'etc', 'nova', 'release'),
                  'w') as stream:
            stream.write('[Nova]\npackage = mycompany-2024.1.1\n')
        # Read anew, and forgotten afterwards.
        for name, value in (('loaded', False), ('NOVA_PACKAGE', None)):
            self.useFixture(fixtures.MonkeyPatch(
                'nova.version.' + name, value))
        self.useFixture(fixtures.MonkeyPatch('sys.prefix', prefix))
        self.useFixture(fixtures.MonkeyPatch(
            'oslo_config.cfg.ConfigOpts.find_file', lambda conf, name: None))
        super().setUp()

    def test_the_start_log_names_the_vendors_release(self):
        self._start_compute('host1')
        self.assertIn(
            'Starting compute node (version %s-mycompany-2024.1.1)'
            % version.version_info.version_string(),
            self.stdlog.logger.output)
