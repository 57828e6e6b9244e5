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

from nova import test
from nova.virt import vm_metrics


def _reading(at, run=1, vcpus=2, cpu=None, vcpu_times=None, disks=None,
             interfaces=None):
    return vm_metrics.Reading(
        at=at, sampled_at='2026-11-25T15:41:18.123456Z', run=run, vcpus=vcpus,
        cpu_time_ns=cpu, vcpu_times_ns=vcpu_times or {}, memory_bytes={},
        disks=disks or {}, interfaces=interfaces or {})


def _disk(read_bytes, backing='/a'):
    return {'vda': vm_metrics.Device({'read_bytes': read_bytes}, backing)}


class MetricsTestCase(test.NoDBTestCase):

    def _cpu(self, now, before):
        return vm_metrics.metrics('id', now, before)['cpu']

    def _read_rate(self, now, before):
        (disk,) = vm_metrics.metrics('id', now, before)['disks']
        return disk['read_bytes_per_second']

    def test_a_first_reading_has_counters_and_no_rates(self):
        metrics = vm_metrics.metrics('id', _reading(
            5, cpu=7, vcpu_times={0: 3}, disks=_disk(9)))
        self.assertIsNone(metrics['window_seconds'])
        self.assertEqual(
            {'vcpus': 2, 'utilisation': None, 'time_ns': 7, 'per_vcpu': [
                {'id': 0, 'utilisation': None, 'time_ns': 3}]},
            metrics['cpu'])
        self.assertEqual(9, metrics['disks'][0]['read_bytes'])
        self.assertIsNone(metrics['disks'][0]['read_bytes_per_second'])

    def test_utilisation_is_percent_of_all_vcpus_over_the_window(self):
        cpu = self._cpu(
            _reading(12, cpu=4 * 10 ** 9, vcpu_times={0: 3 * 10 ** 9}),
            _reading(4, cpu=0, vcpu_times={0: 0}))
        self.assertEqual((25, 37.5), (
            cpu['utilisation'], cpu['per_vcpu'][0]['utilisation']))

    def test_utilisation_is_at_most_all_vcpus(self):
        self.assertEqual(100, self._cpu(
            _reading(1, cpu=3 * 10 ** 9), _reading(0, cpu=0))['utilisation'])

    def test_an_idle_guest_is_at_0_and_not_unknown(self):
        self.assertEqual(0, self._cpu(
            _reading(1, cpu=3), _reading(0, cpu=3))['utilisation'])

    def test_what_is_not_told_is_unknown(self):
        metrics = vm_metrics.metrics(
            'id', _reading(1, vcpus=None, disks=_disk(None)),
            _reading(0, vcpus=None, disks=_disk(None)))
        self.assertEqual((None, None, None), (
            metrics['cpu']['utilisation'], metrics['cpu']['time_ns'],
            metrics['memory']['rss_bytes']))
        self.assertEqual((None, None), (
            metrics['disks'][0]['read_bytes'],
            metrics['disks'][0]['read_bytes_per_second']))

    def test_a_restarted_guest_starts_anew(self):
        metrics = vm_metrics.metrics(
            'id', _reading(10, run=2, cpu=9, disks=_disk(9)),
            _reading(0, run=1, cpu=3, disks=_disk(3)))
        self.assertIsNone(metrics['window_seconds'])
        self.assertIsNone(metrics['cpu']['utilisation'])
        self.assertIsNone(metrics['disks'][0]['read_bytes_per_second'])

    def test_more_vcpus_leave_only_the_old_ones_known(self):
        cpu = self._cpu(
            _reading(1, vcpus=2, cpu=10 ** 9, vcpu_times={
                0: 5 * 10 ** 8, 1: 10 ** 8}),
            _reading(0, vcpus=1, cpu=0, vcpu_times={0: 0}))
        self.assertIsNone(cpu['utilisation'])
        self.assertEqual(
            [50, None], [vcpu['utilisation'] for vcpu in cpu['per_vcpu']])

    def test_a_counter_that_started_again_is_unknown_for_the_window(self):
        self.assertIsNone(self._read_rate(
            _reading(1, disks=_disk(2)), _reading(0, disks=_disk(3))))

    def test_another_disk_of_the_same_name_is_not_compared(self):
        self.assertIsNone(self._read_rate(
            _reading(1, disks=_disk(3, '/b')),
            _reading(0, disks=_disk(2, '/a'))))

    def test_a_new_disk_does_not_make_others_unknown(self):
        disks = vm_metrics.metrics(
            'id',
            _reading(2, disks=dict(_disk(8), vdb=vm_metrics.Device(
                {'read_bytes': 5}))),
            _reading(0, disks=_disk(2)))['disks']
        self.assertEqual([3, None], [
            disk['read_bytes_per_second'] for disk in disks])

    def test_a_clock_that_stands_still_gives_no_rates(self):
        self.assertIsNone(self._read_rate(
            _reading(1, disks=_disk(3)), _reading(1, disks=_disk(2))))


class SourceTestCase(test.NoDBTestCase):

    def test_a_driver_that_is_not_listed_has_none(self):
        source = vm_metrics.source_of(object())
        self.assertRaises(NotImplementedError, source.get, ['id'])

    def test_a_subclass_has_that_of_its_driver(self):
        class Mine:
            pass

        class Derived(Mine):
            pass

        name = '%s.%s' % (Mine.__module__, Mine.__qualname__)
        self.stub_out('nova.virt.vm_metrics._SOURCES',
                      {name: 'nova.virt.fake_vm_metrics.FakeSource'})
        self.assertEqual(
            'FakeSource', type(vm_metrics.source_of(Derived())).__name__)
