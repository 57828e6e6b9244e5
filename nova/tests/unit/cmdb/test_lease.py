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

from unittest import mock

from nova.cmdb import lease
from nova import test


class LeaseTestCase(test.TestCase):

    def setUp(self):
        super().setUp()
        self.now = 1000.0
        self.useFixture(test.fixtures.MockPatchObject(
            lease.time, 'monotonic', side_effect=lambda: self.now))
        self.first, self.second = lease.Lease(), lease.Lease()

    def test_one_of_two_gets_it(self):
        self.assertTrue(self.first.acquire())
        self.assertFalse(self.second.acquire())
        self.first.release(done=True)
        self.assertTrue(self.second.acquire())

    def test_one_of_two_that_find_no_row_gets_it(self):
        with mock.patch.object(lease, '_read', return_value=None):
            self.assertTrue(self.first.acquire())
            self.assertFalse(self.second.acquire())

    def test_one_of_two_that_see_it_free_gets_it(self):
        self.first.acquire()
        self.first.release(done=True)
        free = lease._read(self.first._context)
        with mock.patch.object(lease, '_read', return_value=free):
            self.assertTrue(self.first.acquire())
            self.assertFalse(self.second.acquire())

    def test_that_of_a_dead_holder_is_taken_over(self):
        self.first.acquire()
        self.assertFalse(self.second.acquire())
        self.now += lease.LEASE - 1
        self.assertFalse(self.second.acquire())
        self.now += 1
        self.assertTrue(self.second.acquire())
        # Should it live after all, it stops.
        self.assertRaises(lease.Lost, self.first.renew)

    def test_that_of_a_living_holder_is_not(self):
        self.first.acquire()
        for _ in range(20):
            self.assertFalse(self.second.acquire())
            self.now += lease.LEASE / 3
            self.first.renew()

    def test_signs_of_life_are_as_few_as_will_do(self):
        self.first.acquire()
        with mock.patch.object(lease, '_renew', return_value=True) as renew:
            for _ in range(100):
                self.now += 0.1
                self.first.renew()
        self.assertEqual(2, renew.call_count)

    def test_one_that_was_lost_is_not_released(self):
        self.first.acquire()
        self.second.acquire()
        self.now += lease.LEASE
        self.assertTrue(self.second.acquire())
        self.first.release(done=True)
        self.assertIsNone(self.first.idle_for())
        self.second.renew()

    def test_all_know_when_the_last_one_ended(self):
        self.assertIsNone(self.second.idle_for())
        self.first.acquire()
        self.first.release(done=False)
        self.assertIsNone(self.second.idle_for())
        self.first.acquire()
        self.first.release(done=True)
        self.assertLess(self.second.idle_for(), 60)
