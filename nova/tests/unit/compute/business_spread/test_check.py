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

import datetime
from unittest import mock

from oslo_utils.fixture import uuidsentinel as uuids
from oslo_utils import timeutils

from nova.compute.business_spread import check
from nova.compute import task_states
from nova.compute import vm_states
from nova import context as nova_context
from nova import exception
from nova import objects
from nova import test


class CheckTestCase(test.NoDBTestCase):

    def setUp(self):
        super().setUp()
        self.context = nova_context.get_admin_context()
        self.manager = mock.Mock(host='here')
        self.manager._get_nodename.return_value = 'node'
        self.web = self._flavor(business_tag='web', business_max_per_host='1')
        self.here, self.migrations = [], []
        for owner, name, found in (
            (objects.InstanceList, 'get_by_host_and_node', self.here),
            (objects.MigrationList, 'get_in_progress_by_host_and_node',
             self.migrations),
        ):
            patcher = mock.patch.object(owner, name, return_value=found)
            patcher.start()
            self.addCleanup(patcher.stop)

    @staticmethod
    def _flavor(**extra_specs):
        return objects.Flavor(extra_specs=extra_specs)

    def _instance(self, name, flavor=None, vm_state=vm_states.ACTIVE,
                  task_state=None, here=True, **kwargs):
        instance = objects.Instance(
            self.context, uuid=getattr(uuids, name),
            flavor=flavor or self.web, vm_state=vm_state,
            task_state=task_state, host='here' if here else 'there',
            node='node' if here else 'its-node', old_flavor=None,
            new_flavor=None, updated_at=None,
            created_at=timeutils.utcnow(with_timezone=True))
        instance.update(kwargs)
        if here:
            self.here.append(instance)
        return instance

    def _building(self, name, **kwargs):
        return self._instance(name, vm_state=vm_states.BUILDING, **kwargs)

    def _migration(self, instance, kind='live-migration', incoming=True,
                   created_at=None):
        ends = [('there', 'its-node'), ('here', 'node')]
        source, dest = ends if incoming else reversed(ends)
        migration = objects.Migration(
            instance_uuid=instance.uuid, migration_type=kind,
            source_compute=source[0], source_node=source[1],
            dest_compute=dest[0], dest_node=dest[1], updated_at=None,
            created_at=created_at or timeutils.utcnow(with_timezone=True))
        self.migrations.append(migration)
        patcher = mock.patch.object(
            objects.Instance, 'get_by_uuid', return_value=instance)
        patcher.start()
        self.addCleanup(patcher.stop)

    def _passes(self, instance):
        try:
            check.check(self.manager, self.context, instance)
            return True
        except check.BusinessSpreadViolation:
            return False

    def test_a_server_without_a_tag_asks_nothing(self):
        instance = self._building('a', flavor=self._flavor())
        check.check(self.manager, self.context, instance)
        objects.InstanceList.get_by_host_and_node.assert_not_called()

    def test_a_server_does_not_count_itself(self):
        self.assertTrue(self._passes(self._building('a')))

    def test_the_limit_is_kept(self):
        self._instance('old')
        self.assertFalse(self._passes(self._building('a')))

    def test_other_tags_do_not_count(self):
        self._instance('old', flavor=self._flavor(business_tag='Web'))
        self._instance('older', flavor=self._flavor())
        self.assertTrue(self._passes(self._building('a')))

    def test_the_limit_is_that_of_the_server_that_comes(self):
        self._instance('old')
        self.assertTrue(self._passes(self._building('a', flavor=self._flavor(
            business_tag='web', business_max_per_host='2'))))

    def test_of_two_that_contend_the_first_gets_the_place(self):
        # Both have claimed, so both see each other.
        first, second = self._building('a'), self._building('b')
        self.assertTrue(self._passes(first))
        self.assertFalse(self._passes(second))

    def test_of_two_that_contend_either_may_be_first(self):
        first, second = self._building('a'), self._building('b')
        self.assertTrue(self._passes(second))
        self.assertFalse(self._passes(first))

    def test_who_was_refused_takes_no_place_from_others(self):
        self._instance('old')
        refused = self._building('a')
        self.assertFalse(self._passes(refused))
        self.here.pop(0)
        # It is still claimed here when the next one comes.
        self.assertTrue(self._passes(self._building('b')))

    def test_the_place_of_a_failed_build_is_free_again(self):
        failed = self._building('a')
        self.assertTrue(self._passes(failed))
        self.here.remove(failed)
        self.assertTrue(self._passes(self._building('b')))

    def test_a_server_that_has_arrived_still_counts(self):
        first = self._building('a')
        self.assertTrue(self._passes(first))
        first.vm_state = vm_states.ACTIVE
        self.assertFalse(self._passes(self._building('b')))
        self.assertFalse(self._passes(self._building('c')))

    def test_a_server_that_can_be_checked_twice_passes_twice(self):
        coming = self._instance('a', here=False)
        self._migration(coming)
        self.assertTrue(self._passes(coming))
        self.assertTrue(self._passes(coming))

    def test_an_admitted_migration_counts_and_another_does_not(self):
        coming = self._instance('a', here=False)
        self._migration(coming)
        # It has not been checked here yet, and will be.
        self.assertTrue(self._passes(self._building('b')))
        self.assertFalse(self._passes(coming))

    def test_a_migration_from_before_the_start_counts(self):
        old = timeutils.utcnow(with_timezone=True) - datetime.timedelta(days=1)
        self._migration(self._instance('a', here=False), created_at=old)
        self.assertFalse(self._passes(self._building('b')))

    def test_a_resize_counts_with_the_flavor_it_will_have(self):
        old = timeutils.utcnow(with_timezone=True) - datetime.timedelta(days=1)
        plain = self._instance('a', flavor=self._flavor(), here=False,
                               new_flavor=self.web)
        self._migration(plain, 'resize', created_at=old)
        self.assertFalse(self._passes(self._building('b')))

    def test_a_resize_that_loses_the_tag_does_not_count(self):
        old = timeutils.utcnow(with_timezone=True) - datetime.timedelta(days=1)
        self._migration(
            self._instance('a', here=False, new_flavor=self._flavor()),
            'resize', created_at=old)
        self.assertTrue(self._passes(self._building('b')))

    def test_the_place_of_a_resize_that_may_be_reverted_is_kept(self):
        gone = self._instance(
            'a', flavor=self._flavor(), here=False, old_flavor=self.web,
            vm_state=vm_states.RESIZED)
        self._migration(gone, 'resize', incoming=False)
        self.assertFalse(self._passes(self._building('b')))

    def test_a_server_that_is_gone_meanwhile_does_not_count(self):
        self._migration(self._instance('a', here=False))
        objects.Instance.get_by_uuid.side_effect = (
            exception.InstanceNotFound(instance_id='a'))
        self.assertTrue(self._passes(self._building('b')))

    def test_an_unshelved_server_counts_once_it_is_admitted(self):
        unshelved = self._instance(
            'a', vm_state=vm_states.SHELVED_OFFLOADED,
            task_state=task_states.SPAWNING)
        other = self._building('b')
        self.assertTrue(self._passes(unshelved))
        self.assertFalse(self._passes(other))

    def test_a_resize_that_finds_no_place_leaves_the_server_as_it_is(self):
        self._instance('old')
        instance = self._instance('a', flavor=self._flavor(), here=False)
        error = self.assertRaises(
            exception.InstanceFaultRollback, check.check_resize, self.manager,
            self.context, instance, self.web, 'node')
        self.assertIn('Host here already holds 1 servers with the business '
                      'tag web, and at most 1 are allowed',
                      str(error.inner_exception))

    def test_a_tag_that_cannot_be_used_is_refused(self):
        self.assertFalse(self._passes(self._building(
            'a', flavor=self._flavor(business_tag=' web'))))

    def test_a_refusal_is_what_each_caller_looks_for(self):
        self._instance('old')
        try:
            check.check(self.manager, self.context, self._building('a'))
        except exception.GroupAffinityViolation as error:
            self.assertIsInstance(error, exception.RescheduledException)
            self.assertTrue(error.kwargs['reason'])
        else:
            self.fail('it was not refused')
