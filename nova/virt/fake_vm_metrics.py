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

"""Metrics of the fake driver's servers: the same for each, at any time."""

from nova.compute import power_state
from nova.virt import vm_metrics

_SAMPLED_AT = '2024-04-03T12:00:00.000000Z'


def _reading(at, cpu_seconds, traffic):
    """The first of two vCPUs does three quarters of the work."""
    return vm_metrics.Reading(
        at=at,
        sampled_at=_SAMPLED_AT,
        run=1,
        vcpus=2,
        cpu_time_ns=cpu_seconds * 10 ** 9,
        vcpu_times_ns={0: cpu_seconds * 750 * 10 ** 6,
                       1: cpu_seconds * 250 * 10 ** 6},
        memory_bytes={
            'allocated_bytes': 512 << 20,
            'balloon_bytes': 512 << 20,
            'rss_bytes': 310 << 20,
            'usable_bytes': None,
        },
        disks={'vda': vm_metrics.Device({
            'read_bytes': 262144 + 4096 * traffic,
            'read_requests': 112 + traffic,
            'write_bytes': 5778432 + 8192 * traffic,
            'write_requests': 488 + traffic,
            'flush_requests': 29,
        })},
        interfaces={'tapce531f90-19': vm_metrics.Device({
            'rx_bytes': 2070139 + 1500 * traffic,
            'rx_packets': 26701 + traffic,
            'rx_errors': 0,
            'rx_drops': 2,
            'tx_bytes': 140208 + 60 * traffic,
            'tx_packets': 662 + traffic,
            'tx_errors': 0,
            'tx_drops': 0,
        })})


class FakeSource(vm_metrics.Source):

    def get(self, server_ids):
        before = _reading(at=0, cpu_seconds=160, traffic=0)
        now = _reading(at=10, cpu_seconds=173, traffic=50)
        return {
            server_id: vm_metrics.metrics(server_id, now, before)
            for server_id, guest in list(self._driver.instances.items())
            if server_id in server_ids and guest.state in (
                power_state.RUNNING, power_state.PAUSED)}
