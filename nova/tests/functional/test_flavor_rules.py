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

"""Flavor rules through the API, as users and operators meet them."""

import os
import shutil
import tempfile
from unittest import mock

from oslo_config import cfg
from oslo_db import exception as db_exc

from nova.compute import api as compute_api
from nova.compute import flavor_rules
from nova.compute.flavor_rules import cache
from nova.compute.flavor_rules import rules
from nova.compute.flavor_rules import store
from nova import context as nova_context
from nova.db.api import api as api_db_api
from nova.db.api import models as api_models
from nova.network import neutron
from nova import objects
from nova.policies import flavor_rules as policies
from nova import test
from nova.tests import fixtures as nova_fixtures
from nova.tests.functional.api import client
from nova.tests.functional import integrated_helpers

CONF = cfg.CONF

IMAGE = nova_fixtures.GlanceFixture.image1['id']


class _RulesMixin:

    def _use_rules(self):
        # The rules of a worker are kept for the life of its process, and
        # tests share one.
        patcher = mock.patch.object(flavor_rules, '_CACHE', cache.Cache())
        patcher.start()
        self.addCleanup(patcher.stop)
        self.flags(use_database=True, refresh_interval=0,
                   group='flavor_rules')
        self.project_id = self.api_fixture.project_id

    def _rule(self, project_id=None, allow=None, deny=()):
        store.save([rules.Entry(project_id or self.project_id, allow, deny)])

    def _exempt(self, name, role):
        self.policy.set_rules({name: 'role:%s' % role}, overwrite=False)

    def _refused(self, function, *args, status=403):
        """Call what must be refused, and return the error's message."""
        error = self.assertRaises(
            client.OpenStackApiException, function, *args)
        self.assertEqual(status, error.response.status_code, str(error))
        kind = {400: 'badRequest', 403: 'forbidden',
                503: 'serviceUnavailable'}[status]
        body = error.response.json()
        self.assertEqual([kind], list(body))
        self.assertEqual(status, body[kind]['code'])
        return body[kind]['message']


class EnforcementTestCase(
        _RulesMixin, integrated_helpers._IntegratedTestBase):

    REQUIRES_LOCKING = False
    CAST_AS_CALL = False
    microversion = 'latest'
    other_project = 'd5b2d8a7ee6f44cf9b2a0e0aea2ddd8c'

    def setUp(self):
        self.flags(compute_driver='fake.MediumFakeDriver')
        super().setUp()
        self._use_rules()
        self._start_compute('host2')
        self.small = self._create_flavor(id='small', name='s1.small')
        self.large = self._create_flavor(id='large', name='s1.large')

    def _request(self, flavor_ref, **kwargs):
        return {'server': dict({
            'name': 'server', 'imageRef': IMAGE, 'flavorRef': flavor_ref,
            'networks': 'none'}, **kwargs)}

    def _create(self, flavor_ref='small'):
        server = self.api.post_server(self._request(flavor_ref))
        return self._wait_for_state_change(server, 'ACTIVE')

    def _written(self):
        """How many rows a create has left in the API database."""
        @api_db_api.context_manager.reader
        def count(context):
            return [context.session.query(table).count() for table in (
                api_models.BuildRequest, api_models.InstanceMapping,
                api_models.RequestSpec)]
        return count(nova_context.get_admin_context())

    # The ways to a new flavor.

    def test_create_is_refused_and_names_flavor_and_project(self):
        self._rule(deny=['s1.large'])
        message = self._refused(
            self.api.post_server, self._request('large'))
        self.assertEqual(
            'FlavorNotAllowed: flavor s1.large (large) is not allowed for '
            'project %s.' % self.project_id, message)
        self._create('small')

    def test_create_by_url_is_refused(self):
        self._rule(deny=['s1.large'])
        self._refused(self.api.post_server, self._request(
            'http://cloud.example/v2.1/flavors/large'))

    def test_create_with_a_number_as_reference_is_refused(self):
        self._create_flavor(id='4242', name='s1.number')
        self._rule(deny=['4242'])
        for microversion in ('2.1', 'latest'):
            self.api.microversion = microversion
            request = self._request(4242)
            if microversion == '2.1':
                request['server'].pop('networks')
            self._refused(self.api.post_server, request)

    def test_create_of_several_servers_is_refused(self):
        self._rule(deny=['s1.large'])
        self._refused(self.api.post_server, self._request(
            'large', min_count=2, max_count=3))
        self.assertEqual([], self.api.get_servers())

    def test_create_through_os_volumes_boot_is_refused(self):
        self._rule(deny=['s1.large'])
        self._refused(self.api.api_post, '/os-volumes_boot',
                      self._request('large'))

    def test_create_in_the_legacy_api_is_refused(self):
        self._rule(deny=['s1.large'])
        self.api.microversion = None
        self.api.base_url = self.api.base_url.replace('v2.1', 'v2')
        request = self._request('large')
        del request['server']['networks']
        self._refused(self.api.post_server, request)

    def test_resize_is_refused(self):
        server = self._create('small')
        self._rule(deny=['s1.large'])
        message = self._refused(
            self.api.post_server_action, server['id'],
            {'resize': {'flavorRef': 'large'}})
        self.assertIn('flavor s1.large (large) is not allowed', message)
        self.assertEqual('ACTIVE', self.api.get_server(server['id'])['status'])

    def test_a_resize_is_checked_with_the_project_of_the_server(self):
        server = self._create('small')
        self._rule(deny=['s1.large'])
        self.admin_api.project_id = self.other_project
        message = self._refused(
            self.admin_api.post_server_action, server['id'],
            {'resize': {'flavorRef': 'large'}})
        self.assertIn('project %s.' % self.project_id, message)

    def test_an_administrator_is_not_held_to_own_project_in_a_resize(self):
        server = self._create('small')
        self._rule(self.other_project, allow=[])
        self.admin_api.project_id = self.other_project
        self.admin_api.post_server_action(
            server['id'], {'resize': {'flavorRef': 'large'}})
        self._wait_for_state_change(server, 'VERIFY_RESIZE')

    def test_a_resize_to_a_flavor_that_is_not_there_says_so(self):
        server = self._create('small')
        action = {'resize': {'flavorRef': 'nowhere'}}
        self._rule(deny=['s1.large'])
        ours = self._refused(self.api.post_server_action, server['id'],
                             action, status=400)
        self.flags(use_database=False, group='flavor_rules')
        upstreams = self._refused(self.api.post_server_action, server['id'],
                                  action, status=400)
        self.assertEqual(upstreams, ours)

    # What keeps its flavor.

    def test_what_keeps_its_flavor_is_not_checked(self):
        server = self._create('small')
        self._rule(allow=[])

        self._rebuild_server(server, IMAGE)
        self._shelve_server(server)
        server = self._unshelve_server(server)

        self.api = self.admin_api
        self._migrate_server(server)
        server = self._confirm_resize(server)
        server = self._live_migrate(server)
        self.assertEqual('s1.small', server['flavor']['original_name'])

    def test_an_evacuated_server_keeps_its_flavor(self):
        server = self._create('small')
        self._rule(allow=[])
        source = server['OS-EXT-SRV-ATTR:host']
        service = self.computes[source].service_ref
        self.computes[source].stop()
        service.forced_down = True
        service.save()
        server = self._evacuate_server(server)
        self.assertNotEqual(source, server['OS-EXT-SRV-ATTR:host'])
        self.assertEqual('s1.small', server['flavor']['original_name'])

    def test_a_resize_can_be_reverted_to_a_flavor_now_denied(self):
        server = self._create('small')
        self._resize_server(server, 'large')
        self._rule(allow=['s1.large'])
        server = self._revert_resize(server)
        self.assertEqual('s1.small', server['flavor']['original_name'])

    def test_a_resize_to_a_flavor_now_denied_can_be_confirmed(self):
        server = self._create('small')
        self._resize_server(server, 'large')
        self._rule(allow=['s1.small'])
        server = self._confirm_resize(server)
        self.assertEqual('s1.large', server['flavor']['original_name'])

    # When it is checked.

    def test_a_refusal_comes_before_any_other_work(self):
        server = self._create('small')
        self._rule(deny=['s1.large'])
        before = self._written()
        with mock.patch.object(
            compute_api.API, 'create', side_effect=AssertionError,
        ), mock.patch.object(
            compute_api.API, 'resize', side_effect=AssertionError,
        ), mock.patch.object(
            objects.Quotas, 'check_deltas', side_effect=AssertionError,
        ), mock.patch.object(
            self.glance, 'show', side_effect=AssertionError,
        ), mock.patch.object(
            neutron, 'get_client', side_effect=AssertionError,
        ), mock.patch(
            'nova.volume.cinder.API.get', new=mock.Mock(
                side_effect=AssertionError),
        ):
            self._refused(self.api.post_server, self._request(
                'large', networks=[{'port': self.neutron.port_1['id']}],
                block_device_mapping_v2=[{
                    'boot_index': 0, 'source_type': 'volume',
                    'destination_type': 'volume',
                    'uuid': self.cinder.IMAGE_BACKED_VOL}]))
            self._refused(self.api.post_server_action, server['id'],
                          {'resize': {'flavorRef': 'large'}})
        self.assertEqual(before, self._written())

    def test_who_may_not_create_is_told_nothing_of_the_rules(self):
        self._rule(deny=['s1.large'])
        self.policy.set_rules(
            {'os_compute_api:servers:create': '!'}, overwrite=False)
        message = self._refused(self.api.post_server, self._request('large'))
        self.assertIn("Policy doesn't allow", message)
        self.assertNotIn('FlavorNotAllowed', message)

    # Who is exempt, and what is said of it.

    def test_a_role_can_be_exempted_from_the_rules_for_creating(self):
        self._rule(deny=['s1.large'])
        self._exempt(policies.CREATE_ANY_FLAVOR, 'member')
        with self.assertLogs('nova.compute.flavor_rules', 'INFO') as logs:
            server = self._create('large')
        self.assertIn('exempted action=create project=%s user=fake' %
                      self.project_id, logs.output[0])
        self._refused(self.api.post_server_action, server['id'],
                      {'resize': {'flavorRef': 'large'}})

    def test_a_role_can_be_exempted_from_the_rules_for_resizing(self):
        server = self._create('small')
        self._rule(deny=['s1.large'])
        self._exempt(policies.RESIZE_ANY_FLAVOR, 'member')
        self._resize_server(server, 'large')
        self._refused(self.api.post_server, self._request('large'))

    def test_an_administrator_is_not_exempt_by_default(self):
        self._rule(deny=['s1.large'])
        self._refused(self.admin_api.post_server, self._request('large'))

    def test_a_refusal_leaves_an_audit_line(self):
        self._rule(deny=['s1.l*'])
        with self.assertLogs('nova.compute.flavor_rules', 'INFO') as logs:
            self._refused(self.api.post_server, self._request('large'))
        self.assertEqual([
            "INFO:nova.compute.flavor_rules:Flavor rules: refused "
            "action=create project=%s user=fake flavor='s1.large' "
            "flavorid='large' by the project's entry in the database: deny "
            "pattern 's1.l*'" % self.project_id], logs.output)

    def test_the_name_of_a_private_flavor_is_not_given_away(self):
        self._create_flavor(id='secret-id', name='s1.secret', is_public=False)
        server = self._create('small')
        self._rule(allow=['s1.small'])
        message = self._refused(
            self.api.post_server_action, server['id'],
            {'resize': {'flavorRef': 'secret-id'}})
        self.assertIn('flavor secret-id is not allowed', message)

    # Flavors that change.

    def test_rules_follow_what_a_flavor_is_called_now(self):
        """A flavor deleted and made again with its id, and a renamed one.

        Nova renames no flavor; an operator deletes it and makes it again.
        """
        self._rule(deny=['s1.large'])
        self._refused(self.api.post_server, self._request('large'))
        self.admin_api.delete_flavor('large')
        self._refused(self.api.post_server, self._request('large'),
                      status=400)
        self._create_flavor(id='large', name='s2.large')
        self._create('large')
        self._rule(deny=['large'])
        self._refused(self.api.post_server, self._request('large'))

    def test_a_name_of_another_script_is_matched(self):
        self._create_flavor(id='umlaut', name='gro\u00df.\u00fcber')
        self._rule(deny=['*.u\u0308ber'])
        message = self._refused(
            self.api.post_server, self._request('umlaut'))
        self.assertIn('gro\u00df.\u00fcber', message)

    # When the rules cannot be told.

    def test_no_server_gets_through_when_the_rules_cannot_be_read(self):
        server = self._create('small')
        self.flags(database_max_age=0, group='flavor_rules')
        before = self._written()
        with mock.patch.object(
                store, 'read', side_effect=RuntimeError('no database')):
            message = self._refused(
                self.api.post_server, self._request('small'), status=503)
            self.assertIn('It cannot be told now which flavors project %s '
                          'may use' % self.project_id, message)
            self._refused(self.api.post_server_action, server['id'],
                          {'resize': {'flavorRef': 'large'}}, status=503)
        self.assertEqual(before, self._written())

    def test_no_server_gets_through_when_the_flavor_cannot_be_read(self):
        self._rule(deny=['s1.large'])
        self._refused(self.api.post_server, self._request('large'))
        with mock.patch(
            'nova.objects.flavor.Flavor._flavor_get_by_flavor_id_from_db',
            side_effect=db_exc.DBConnectionError,
        ):
            self._refused(self.api.post_server, self._request('small'),
                          status=503)


class DormantTestCase(integrated_helpers._IntegratedTestBase):
    """With none of the options set."""

    REQUIRES_LOCKING = False

    def test_rules_in_the_database_have_no_effect_and_are_not_read(self):
        store.save([rules.Entry(rules.DEFAULT, allow=[])])
        with mock.patch.object(store, 'read', side_effect=AssertionError):
            server = self._create_server()
            self.assertEqual('ACTIVE', server['status'])
            self.assertNotEqual([], self.api.get_flavors())


class ListingTestCase(_RulesMixin, test.TestCase):

    REQUIRES_LOCKING = False

    def setUp(self):
        super().setUp()
        self.policy = self.useFixture(nova_fixtures.RealPolicyFixture())
        self.api_fixture = self.useFixture(
            nova_fixtures.OSAPIFixture(api_version='v2.1'))
        self.api = self.api_fixture.api
        self._use_rules()
        for number in range(10):
            self.api_fixture.admin_api.post_flavor({'flavor': {
                'id': 'id%d' % number, 'name': 'f%d' % number, 'ram': 1,
                'vcpus': 1, 'disk': 0}})
        self._rule(allow=['f2', 'f3', 'f7'])

    def _ids(self, path='/flavors', api=None):
        return [flavor['id'] for flavor in
                (api or self.api).api_get(path).body['flavors']]

    def _hide(self):
        self.flags(hide_from_listing=True, group='flavor_rules')

    def test_the_list_is_upstreams_unless_the_option_is_set(self):
        ours = [self.api.api_get(path).body
                for path in ('/flavors', '/flavors/detail?limit=4')]
        self.flags(use_database=False, group='flavor_rules')
        self.assertEqual(ours, [
            self.api.api_get(path).body
            for path in ('/flavors', '/flavors/detail?limit=4')])
        self.assertIn('id0', self._ids())

    def test_flavors_that_a_project_may_not_use_are_hidden(self):
        shown = self.api.api_get('/flavors').body['flavors']
        detailed = self.api.api_get('/flavors/detail').body['flavors']
        self._hide()
        allowed = ('id2', 'id3', 'id7')
        self.assertEqual(
            [flavor for flavor in shown if flavor['id'] in allowed],
            self.api.api_get('/flavors').body['flavors'])
        self.assertEqual(
            [flavor for flavor in detailed if flavor['id'] in allowed],
            self.api.api_get('/flavors/detail').body['flavors'])

    def test_pages_are_full_and_end_with_the_last_allowed_flavor(self):
        self._hide()
        for size in (1, 2, 3, 4):
            found, path = [], '/flavors?limit=%d' % size
            while path:
                body = self.api.api_get(path).body
                found.append([flavor['id'] for flavor in body['flavors']])
                links = body.get('flavors_links', [])
                path = links[0]['href'].split('v2.1')[1] if links else None
            self.assertEqual(['id2', 'id3', 'id7'], sum(found, []))
            self.assertTrue(all(len(page) == size for page in found[:-1]))

    def test_pages_of_the_api_itself_are_gone_through(self):
        self.flags(max_limit=3, group='api')
        self._hide()
        self.assertEqual(['id2', 'id3', 'id7'], self._ids())
        self.assertEqual(['id7'], self._ids('/flavors?limit=1&marker=id3'))

    def test_order_and_filters_hold_among_the_shown(self):
        self._hide()
        self.assertEqual(
            ['id7', 'id3'],
            self._ids('/flavors?sort_key=name&sort_dir=desc&limit=2'))
        self.assertEqual([], self._ids('/flavors?minRam=2'))

    def test_a_hidden_flavor_is_shown_by_its_id(self):
        self._hide()
        self.assertEqual('f0', self.api.get_flavor('id0')['name'])

    def test_an_administrator_sees_all(self):
        self._hide()
        self.assertIn('id0', self._ids(api=self.api_fixture.admin_api))

    def test_who_may_create_with_any_flavor_sees_all(self):
        self._hide()
        self._exempt(policies.CREATE_ANY_FLAVOR, 'member')
        self.assertIn('id0', self._ids())

    def test_another_project_sees_what_it_may_use(self):
        self._hide()
        self.api.project_id = 'd5b2d8a7ee6f44cf9b2a0e0aea2ddd8c'
        self._rule(self.api.project_id, deny=['f0', 'f1'])
        ids = self._ids()
        self.assertIn('id9', ids)
        self.assertNotIn('id0', ids)

    def test_a_marker_that_is_not_there_is_refused_as_before(self):
        self._hide()
        self._refused(self._ids, '/flavors?marker=nowhere', status=400)

    def test_nothing_is_listed_when_the_rules_cannot_be_read(self):
        self._hide()
        self.flags(database_max_age=0, group='flavor_rules')
        with mock.patch.object(
                store, 'read', side_effect=RuntimeError('no database')):
            self._refused(self._ids, status=503)


class StartTestCase(test.TestCase):

    REQUIRES_LOCKING = False

    def setUp(self):
        super().setUp()
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        self.path = os.path.join(folder, 'rules.yaml')
        self.flags(rules_file=self.path, group='flavor_rules')
        patcher = mock.patch.object(flavor_rules, '_CACHE', cache.Cache())
        patcher.start()
        self.addCleanup(patcher.stop)

    def _start(self):
        return self.useFixture(nova_fixtures.OSAPIFixture(api_version='v2.1'))

    def test_the_api_does_not_start_with_a_broken_rules_file(self):
        with open(self.path, 'w') as stream:
            stream.write('version: 1\ndefualt: {}\n')
        error = self.assertRaises(
            flavor_rules.InvalidFlavorRules, self._start)
        self.assertIn("%s, line 2: unknown key 'defualt'" % self.path,
                      str(error))

    def test_the_api_does_not_start_without_its_rules_file(self):
        error = self.assertRaises(
            flavor_rules.InvalidFlavorRules, self._start)
        self.assertIn(self.path, str(error))

    def test_the_api_starts_with_a_good_rules_file(self):
        with open(self.path, 'w') as stream:
            stream.write('version: 1\n')
        self.assertNotEqual([], self._start().api.get_flavors())
