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

import configparser
import os
import subprocess
import sys

import fixtures
from oslo_config import cfg

import nova
from nova import test
from nova import vendor_release
from nova import version

RELEASE = '[Nova]\npackage = mycompany-2024.1.1\n'


_SHOW_VERSION = """
import sys

from nova import config
from nova import vendor_release

vendor_release._ETC = sys.argv[1]
config.parse_args(["nova-compute", "--version"])
"""


class _VersionFixture(fixtures.Fixture):
    """Upstream's module keeps what it has read: start and end with nothing."""

    def _setUp(self):
        self.useFixture(fixtures.MonkeyPatch('nova.version.loaded', False))
        self.useFixture(fixtures.MonkeyPatch(
            'nova.version.NOVA_PACKAGE', None))
        self.useFixture(fixtures.MockPatchObject(
            version.version_info, 'version_string',
            return_value='29.4.0'))
        # No release file of this machine gets in between.
        self.useFixture(fixtures.MonkeyPatch(
            'oslo_config.cfg.ConfigOpts.find_file', lambda conf, name: None))
        self.prefix = self.useFixture(fixtures.TempDir()).path
        self.useFixture(fixtures.MonkeyPatch('sys.prefix', self.prefix))

    def install_release_file(self):
        folder = os.path.join(self.prefix, 'etc', 'nova')
        os.makedirs(folder)
        path = os.path.join(folder, 'release')
        with open(path, 'w') as stream:
            stream.write(RELEASE)
        return path


class ReleaseFileTestCase(test.NoDBTestCase):
    """What version.version_string_with_package() reports."""

    def setUp(self):
        super().setUp()
        self.version = self.useFixture(_VersionFixture())

    def test_without_a_release_file_it_is_upstreams_version(self):
        self.assertEqual('29.4.0', version.version_string_with_package())

    def test_the_release_file_of_a_virtual_environment_is_found(self):
        self.version.install_release_file()
        self.assertEqual('29.4.0-mycompany-2024.1.1',
                         version.version_string_with_package())

    def test_a_release_file_beside_the_configuration_comes_first(self):
        self.version.install_release_file()
        path = self.useFixture(fixtures.TempDir()).join('release')
        with open(path, 'w') as stream:
            stream.write('[Nova]\npackage = other-1\n')
        self.useFixture(fixtures.MonkeyPatch(
            'oslo_config.cfg.ConfigOpts.find_file', lambda conf, name: path))
        self.assertEqual('29.4.0-other-1',
                         version.version_string_with_package())

    def test_product_and_vendor_stay_upstreams(self):
        self.version.install_release_file()
        self.assertEqual('OpenStack Nova', version.product_string())
        self.assertEqual('OpenStack Foundation', version.vendor_string())


class VersionStringTestCase(test.NoDBTestCase):
    """vendor_release.version_string(), asked before there is configuration."""

    def setUp(self):
        super().setUp()
        self.version = self.useFixture(_VersionFixture())
        self.etc = self.useFixture(fixtures.TempDir()).path
        self.useFixture(fixtures.MonkeyPatch(
            'nova.vendor_release._ETC', self.etc))

        def find_file(conf, name):
            raise cfg.NotInitializedError()

        self.useFixture(fixtures.MonkeyPatch(
            'oslo_config.cfg.ConfigOpts.find_file', find_file))

    def test_the_file_of_the_packages_is_found(self):
        with open(os.path.join(self.etc, 'release'), 'w') as stream:
            stream.write(RELEASE)
        self.assertEqual('29.4.0-mycompany-2024.1.1',
                         vendor_release.version_string())

    def test_the_file_of_a_virtual_environment_is_found(self):
        self.version.install_release_file()
        self.assertEqual('29.4.0-mycompany-2024.1.1',
                         vendor_release.version_string())

    def test_a_directory_of_that_name_is_no_release_file(self):
        os.mkdir(os.path.join(self.etc, 'release'))
        self.assertEqual('29.4.0', vendor_release.version_string())

    def test_without_a_release_file_it_is_upstreams_version(self):
        self.assertEqual('29.4.0', vendor_release.version_string())

    def test_the_configuration_is_still_searched_afterwards(self):
        vendor_release.version_string()
        path = self.version.install_release_file()
        self.useFixture(fixtures.MonkeyPatch(
            'oslo_config.cfg.ConfigOpts.find_file', lambda conf, name: path))
        self.assertEqual('mycompany-2024.1.1', version.package_string())


class VersionOptionTestCase(test.NoDBTestCase):
    """What --version prints, in every command: all call config.parse_args."""

    def test_it_is_the_vendors_release(self):
        # In an interpreter of its own, whose command line is not parsed yet.
        etc = self.useFixture(fixtures.TempDir())
        with open(etc.join('release'), 'w') as stream:
            stream.write(RELEASE)
        done = subprocess.run(
            [sys.executable, '-c', _SHOW_VERSION, etc.path], text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertEqual(
            version.version_info.version_string() + '-mycompany-2024.1.1\n',
            done.stdout, done.stderr)


class InstallationTestCase(test.NoDBTestCase):

    def test_the_release_file_is_installed(self):
        setup = configparser.ConfigParser()
        setup.read(os.path.join(
            os.path.dirname(nova.__file__), os.pardir, 'setup.cfg'))
        self.assertIn('etc/nova/release',
                      setup['files']['data_files'].split())
