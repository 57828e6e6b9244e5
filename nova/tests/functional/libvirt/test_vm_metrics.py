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

"""Live metrics through the API, RPC and libvirt's driver, over a while."""

import datetime
import time
from unittest import mock

import fixtures
from oslo_utils import fixture as utils_fixture
from oslo_utils import timeutils

from nova.compute.vm_metrics import rpc
from nova.tests.fixtures import vm_metrics as metrics_fixtures
from nova.tests.functional.libvirt import base

# Every guest uses half of its only CPU, and reads as many bytes a second.
PERCENT = 50
READ_RATE = 1 << 20


class VMMetricsTestCase(base.LibvirtMigrationMixin, base.ServersTestBase):

    api_major_version = 'v2.1'
    microversion = '2.74'
    ADMIN_API = True

    def setUp(self):
        super().setUp()
        self.flags(sample_interval=1, group='vm_metrics')
        self.useFixture(metrics_fixtures.DomainStatsFixture())
        # By host: since when the guest on it has run, as it were.
        self.since = {}
        for name in ('host1', 'host2'):
            self.start_compute(name)
            host = self.computes[name].driver._host
            host._get_connection = host.get_connection
            connection = host.get_connection()
            connection.get_domain_stats = (
                lambda name=name: self._stats(self.since[name]))
            self.addCleanup(self._end, name)
        self.src, self.dest = (
            self.computes['host1'], self.computes['host2'])
        self._start_on('host1', seconds_ago=1000)
        self.server = self._create_server(host='host1', networks='none')

    def _sampler(self, name):
        (endpoint,) = [
            endpoint for endpoint
            in self.computes[name].manager.additional_endpoints
            if isinstance(endpoint, rpc.Endpoint)]
        return endpoint._get_source()._sampler

    def _sample_now(self, name):
        sampler = self._sampler(name)
        with sampler._changed:
            sampler._called_at = 0
            sampler._changed.notify_all()

    def _end(self, name):
        sampler = self._sampler(name)
        thread = sampler._thread
        sampler._asked_at = float('-inf')
        self._sample_now(name)
        if thread is not None:
            thread.join(60)

    def _start_on(self, name, seconds_ago):
        self.since[name] = time.monotonic() - seconds_ago

    def _stats(self, since):
        seconds = time.monotonic() - since
        used = int(seconds * PERCENT / 100 * 10 ** 9)
        return {
            'cpu.time': used, 'vcpu.current': 1, 'vcpu.0.time': used,
            'block.count': 1, 'block.0.name': 'vda', 'block.0.path': '/disk',
            'block.0.rd.bytes': int(seconds * READ_RATE),
        }

    def _show(self):
        answer = self.api.api_get('/servers/%s/metrics' % self.server['id'])
        return answer.body['server_metrics']

    def _show_until(self, condition):
        """Ask until an answer is as wanted; all of them must be right."""
        deadline = time.monotonic() + 60
        while True:
            metrics = self._show()
            self._assert_right(metrics)
            if condition(metrics):
                return metrics
            self.assertLess(time.monotonic(), deadline, metrics)
            time.sleep(0.1)

    def _assert_right(self, metrics):
        """What is told of the guest is true, or is not told."""
        (vcpu,), (disk,) = metrics['cpu']['per_vcpu'], metrics['disks']
        found = (metrics['cpu']['utilisation'], vcpu['utilisation'],
                 disk['read_bytes_per_second'])
        if metrics['window_seconds'] is None:
            self.assertEqual((None, None, None), found)
            return
        self.assertGreater(metrics['window_seconds'], 0)
        self.assertLess(metrics['window_seconds'], 60)
        for value, wanted in zip(found, (PERCENT, PERCENT, READ_RATE)):
            # The guests' clock is read a moment after the node's, which is
            # long on a busy machine. What must not be compared is a hundred
            # times as much; how exact rates are is for the unit tests.
            self.assertLess(abs(value - wanted), wanted)

    def _has_rates(self, metrics):
        return metrics['window_seconds'] is not None

    def _migrate(self):
        self._live_migrate(self.server)
        self.src, self.dest = self.dest, self.src

    # Moves.

    def test_after_a_migration_the_rates_are_of_the_new_host_alone(self):
        self._show_until(self._has_rates)
        # There, all counters start anew.
        self._start_on('host2', seconds_ago=0)
        self._migrate()
        metrics = self._show()
        self._assert_right(metrics)
        self.assertIsNone(metrics['window_seconds'])
        self.assertLess(metrics['cpu']['time_ns'], 500 * 10 ** 9)
        self._show_until(self._has_rates)

    def test_counters_of_an_earlier_stay_on_a_host_are_not_compared(self):
        self._show_until(self._has_rates)
        # No sample is taken while the server is away.
        self.flags(sample_interval=60, group='vm_metrics')
        self._start_on('host2', seconds_ago=0)
        self._migrate()
        # These have grown, as if the guest had never been away.
        self._start_on('host1', seconds_ago=10 ** 6)
        self._migrate()
        self._sample_now('host1')
        metrics = self._show_until(
            lambda metrics: metrics['cpu']['time_ns'] > 10 ** 14)
        self.assertIsNone(metrics['window_seconds'])

    # Clocks.

    def test_a_clock_that_jumps_changes_no_rate(self):
        self._show_until(self._has_rates)
        for days in (-2, 2):
            now = timeutils.utcnow() + datetime.timedelta(days=days)
            self.useFixture(utils_fixture.TimeFixture(now))
            seconds = time.time() + days * 86400
            self.useFixture(fixtures.MonkeyPatch(
                'nova.virt.libvirt.vm_metrics.time',
                mock.Mock(wraps=time, time=lambda: seconds)))
            # The window of the first sample since has the jump in it.
            metrics = self._show_until(
                lambda metrics: metrics['sampled_at'].startswith(
                    now.isoformat()))
            self.assertIsNotNone(metrics['window_seconds'])
