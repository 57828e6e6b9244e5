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

import threading
import time
from unittest import mock

import fixtures

from nova import test
from nova.tests.fixtures import libvirt as fakelibvirt
from nova.tests.fixtures import vm_metrics as metrics_fixtures
from nova.virt import fake
from nova.virt.libvirt import driver as libvirt_driver
from nova.virt.libvirt import vm_metrics as libvirt_metrics
from nova.virt import vm_metrics

UUID = '5f705771-dc8a-48e0-b7f8-d0ba3ab5a2a6'

# What libvirt 9.0 tells of a guest with two vCPUs, in part.
STATS = {
    'state.state': 1,
    'cpu.time': 8000000000,
    'balloon.current': 131072,
    'balloon.maximum': 262144,
    'balloon.rss': 204800,
    'balloon.usable': 65536,
    'vcpu.current': 2,
    'vcpu.maximum': 4,
    'vcpu.0.state': 1,
    'vcpu.0.time': 5000000000,
    'vcpu.2.state': 1,
    'net.count': 1,
    'net.0.name': 'tapce531f90-19',
    'net.0.rx.bytes': 1000,
    'net.0.rx.pkts': 10,
    'net.0.rx.errs': 0,
    'net.0.rx.drop': 1,
    'net.0.tx.bytes': 2000,
    'net.0.tx.pkts': 20,
    'net.0.tx.errs': 0,
    'net.0.tx.drop': 0,
    'block.count': 2,
    'block.0.name': 'vda',
    'block.0.path': '/disk',
    'block.0.rd.reqs': 11,
    'block.0.rd.bytes': 4096,
    'block.0.wr.reqs': 12,
    'block.0.wr.bytes': 8192,
    'block.0.fl.reqs': 13,
    'block.1.name': 'sda',
}


def _end(sampler, conf):
    """Let the thread of a sampler end."""
    thread = sampler._thread
    conf.stop_after = conf.sample_interval = 0
    with sampler._changed:
        sampler._called_at = 0
        sampler._changed.notify_all()
    if thread is not None:
        thread.join(60)


class ReadStatsTestCase(test.NoDBTestCase):

    def _metrics(self, stats):
        return vm_metrics.metrics(
            UUID, libvirt_metrics.read_stats(stats, 1, 0.0, ''))

    def test_memory_is_in_bytes(self):
        self.assertEqual(
            {'allocated_bytes': 256 << 20, 'balloon_bytes': 128 << 20,
             'rss_bytes': 200 << 20, 'usable_bytes': 64 << 20},
            self._metrics(STATS)['memory'])

    def test_vcpus_have_libvirts_numbers(self):
        self.assertEqual(
            {'vcpus': 2, 'utilisation': None, 'time_ns': 8000000000,
             'per_vcpu': [
                 {'id': 0, 'utilisation': None, 'time_ns': 5000000000},
                 {'id': 2, 'utilisation': None, 'time_ns': None}]},
            self._metrics(STATS)['cpu'])

    def test_a_disk_without_a_medium_has_no_counters(self):
        vda, sda = self._metrics(STATS)['disks']
        self.assertEqual(
            ('vda', 4096, 11, 8192, 12, 13),
            (vda['device'], vda['read_bytes'], vda['read_requests'],
             vda['write_bytes'], vda['write_requests'],
             vda['flush_requests']))
        self.assertEqual(
            ('sda', None), (sda['device'], sda['read_bytes']))

    def test_an_interface_has_all_counters(self):
        (interface,) = self._metrics(STATS)['interfaces']
        self.assertEqual(
            ('tapce531f90-19', 1000, 10, 0, 1, 2000, 20, 0, 0),
            (interface['device'], interface['rx_bytes'],
             interface['rx_packets'], interface['rx_errors'],
             interface['rx_drops'], interface['tx_bytes'],
             interface['tx_packets'], interface['tx_errors'],
             interface['tx_drops']))

    def test_what_a_busy_guest_does_not_tell_is_unknown(self):
        metrics = self._metrics({'state.state': 1, 'cpu.time': 7})
        self.assertEqual(
            (None, 7, [], None, [], []),
            (metrics['cpu']['vcpus'], metrics['cpu']['time_ns'],
             metrics['cpu']['per_vcpu'], metrics['memory']['rss_bytes'],
             metrics['disks'], metrics['interfaces']))


class SourceTestCase(test.NoDBTestCase):

    def setUp(self):
        super().setUp()
        self.useFixture(fakelibvirt.LibvirtFixture())
        self.libvirt = self.useFixture(metrics_fixtures.DomainStatsFixture())
        self.libvirt.stats = STATS
        self.driver = libvirt_driver.LibvirtDriver(fake.FakeVirtAPI())
        connection = self.driver._host.get_connection()
        for uuid in (UUID, '5f705771-dc8a-48e0-b7f8-d0ba3ab5a2a7'):
            connection.defineXML('''<domain type='qemu'>
                <name>guest-%s</name><uuid>%s</uuid>
                <memory unit='KiB'>262144</memory><vcpu>2</vcpu>
                <os><type machine='pc'>hvm</type></os>
                <devices></devices></domain>''' % (uuid[-1], uuid))
            self.driver._host._get_domain(mock.Mock(uuid=uuid)).create()
        self.source = vm_metrics.source_of(self.driver)
        self.conf = mock.Mock(
            sample_interval=60, stop_after=60, sample_timeout=60)
        self.useFixture(fixtures.MonkeyPatch(
            'nova.virt.libvirt.vm_metrics.CONF',
            mock.Mock(vm_metrics=self.conf)))
        self.addCleanup(_end, self.source._sampler, self.conf)

    def test_all_guests_are_read_with_one_call_that_waits_for_none(self):
        for _ in range(3):
            self.assertEqual({UUID}, set(self.source.get([UUID])))
        self.assertEqual([(63, 1 | 1 << 29)], self.libvirt.calls)

    def test_a_server_without_a_guest_is_left_out(self):
        self.assertEqual({}, self.source.get(['no-such-guest']))

    def test_a_hypervisor_without_statistics_has_no_metrics(self):
        self.libvirt.error = fakelibvirt.make_libvirtError(
            fakelibvirt.libvirtError, 'not supported',
            error_code=fakelibvirt.VIR_ERR_NO_SUPPORT)
        self.assertRaises(NotImplementedError, self.source.get, [UUID])

    def test_a_libvirt_that_is_down_is_unavailable_and_not_notified(self):
        error = fakelibvirt.make_libvirtError(
            fakelibvirt.libvirtError, 'down',
            error_code=fakelibvirt.VIR_ERR_SYSTEM_ERROR)
        with mock.patch.object(self.driver._host, '_get_connection',
                               side_effect=error), \
                mock.patch('nova.rpc.get_notifier') as notifier:
            self.assertRaises(vm_metrics.SamplesUnavailable,
                              self.source.get, [UUID])
        notifier.assert_not_called()


class SamplerTestCase(test.NoDBTestCase):

    def setUp(self):
        super().setUp()
        self.conf = mock.Mock(
            sample_interval=60, stop_after=60, sample_timeout=60)
        self.useFixture(fixtures.MonkeyPatch(
            'nova.virt.libvirt.vm_metrics.CONF',
            mock.Mock(vm_metrics=self.conf)))
        self.reads = 0
        self.error = None
        self.may_return = threading.Event()
        self.may_return.set()
        self.sampler = libvirt_metrics.Sampler(self._read)
        self.addCleanup(_end, self.sampler, self.conf)
        self.addCleanup(self.may_return.set)

    def _read(self):
        self.reads += 1
        sample = {'guest': self.reads}
        self.may_return.wait()
        if self.error is not None:
            raise self.error
        return sample

    def _wait(self, condition):
        deadline = time.monotonic() + 60
        while not condition():
            self.assertLess(time.monotonic(), deadline, 'waited in vain')
            time.sleep(0.01)

    def test_nothing_is_read_until_somebody_asks(self):
        self.assertIsNone(self.sampler._thread)
        self.assertEqual(0, self.reads)

    def test_the_first_answer_waits_for_one_sample_only(self):
        self.assertEqual(({'guest': 1}, {}), self.sampler.get())

    def test_however_many_ask_there_is_one_read_per_interval(self):
        for _ in range(5):
            self.sampler.get()
        self.assertEqual(1, self.reads)

    def test_sampling_goes_on_while_somebody_asks(self):
        self.conf.sample_interval = 0.2
        self.sampler.get()
        self._wait(lambda: self.reads >= 4)
        last, before = self.sampler.get()
        self.assertEqual(1, last['guest'] - before['guest'])

    def test_sampling_stops_by_itself_and_starts_anew(self):
        self.conf.sample_interval = 0.2
        self.conf.stop_after = 0.8
        self.sampler.get()
        self._wait(lambda: self.sampler._thread is None)
        self.assertGreater(self.reads, 1)
        reads = self.reads
        self.assertEqual(({'guest': reads + 1}, {}), self.sampler.get())

    def test_while_a_read_hangs_no_request_starts_another(self):
        self.conf.sample_timeout = 0.05
        self.may_return.clear()
        for _ in range(5):
            self.assertRaises(
                vm_metrics.SamplesUnavailable, self.sampler.get)
        self.assertEqual(1, self.reads)

    def test_a_read_that_has_hung_for_long_is_not_waited_for(self):
        self.conf.sample_timeout = 0.05
        self.may_return.clear()
        self.assertRaises(vm_metrics.SamplesUnavailable, self.sampler.get)
        self.conf.sample_timeout = 60
        self.sampler._called_at -= 60
        started = time.monotonic()
        self.assertRaises(vm_metrics.SamplesUnavailable, self.sampler.get)
        self.assertLess(time.monotonic() - started, 30)

    def _hang_at_the_second_read(self):
        self.conf.sample_interval = 0.2
        self.sampler.get()
        self.may_return.clear()
        reads = self.reads
        self._wait(lambda: self.reads > reads)
        self.conf.sample_interval = 60
        self.conf.sample_timeout = 0.05

    def test_while_a_read_hangs_the_sample_before_is_told(self):
        self._hang_at_the_second_read()
        last, _before = self.sampler.get()
        self.assertEqual(self.reads - 1, last['guest'])

    def test_an_old_sample_is_not_told(self):
        self._hang_at_the_second_read()
        self.sampler._last_at -= 180
        self.assertRaises(vm_metrics.SamplesUnavailable, self.sampler.get)

    def test_after_a_hang_sampling_goes_on(self):
        self.conf.sample_interval = 0.05
        self.conf.sample_timeout = 0.05
        self.may_return.clear()
        self.assertRaises(vm_metrics.SamplesUnavailable, self.sampler.get)
        self.may_return.set()
        self._wait(lambda: self.reads >= 3)

    def test_a_read_that_hangs_with_one_guest_does_not_delay_the_next(self):
        self.conf.sample_interval = self.conf.sample_timeout = 0.05
        self.may_return.clear()
        self.assertRaises(vm_metrics.SamplesUnavailable, self.sampler.get)
        # The first one hangs on, with a guest that the others leave out.
        self.sampler._read = lambda: {'others': True}
        self._wait(lambda: self.sampler._last is not None)
        # It is told for three of these.
        self.conf.sample_interval = 60
        self.assertEqual({'others': True}, self.sampler.get()[0])
        self.may_return.set()
        self.assertEqual({'others': True}, self.sampler.get()[0])

    def test_only_so_many_reads_may_hang(self):
        self.conf.sample_interval = self.conf.sample_timeout = 0.05
        self.may_return.clear()
        self.assertRaises(vm_metrics.SamplesUnavailable, self.sampler.get)
        self._wait(lambda: self.reads == libvirt_metrics._MAX_HANGING)
        for _ in range(3):
            self.assertRaises(
                vm_metrics.SamplesUnavailable, self.sampler.get)
        self.assertEqual(libvirt_metrics._MAX_HANGING, self.reads)
        self.may_return.set()
        self._wait(lambda: self.reads > libvirt_metrics._MAX_HANGING)

    def test_a_failed_read_is_unavailable_until_the_next_that_does_not(self):
        self.conf.sample_interval = 0.05
        self.error = ValueError('down')
        self.assertRaises(vm_metrics.SamplesUnavailable, self.sampler.get)
        self.error = None
        self._wait(lambda: self.sampler._last is not None)
        self.conf.sample_interval = 60
        self.assertIn('guest', self.sampler.get()[0])

    def test_a_failure_is_logged_once(self):
        self.conf.sample_interval = 0.05
        self.error = ValueError('down')
        with mock.patch.object(libvirt_metrics, 'LOG') as log:
            self.assertRaises(vm_metrics.SamplesUnavailable, self.sampler.get)
            self._wait(lambda: self.reads >= 4)
        log.warning.assert_called_once()
