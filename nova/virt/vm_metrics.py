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

"""What a server uses right now: one shape for every driver.

A driver's :class:`Source` reads counters (a :class:`Reading`); two readings of
a guest make its metrics, with rates. Which driver has which source stands in
``_SOURCES``: the drivers themselves are left alone. A driver that is not there
has no metrics.

What is not known is None, never 0.
"""

import dataclasses
import typing as ty

from oslo_utils import importutils

# The name of the shape. Within 1.x it only grows.
VERSION = '1.0'

# By the driver's class, as its subclasses count as it.
_SOURCES = {
    'nova.virt.fake.FakeDriver': 'nova.virt.fake_vm_metrics.FakeSource',
    'nova.virt.libvirt.driver.LibvirtDriver':
        'nova.virt.libvirt.vm_metrics.LibvirtSource',
}

MEMORY = ('allocated_bytes', 'balloon_bytes', 'rss_bytes', 'usable_bytes')

DISK_COUNTERS = ('read_bytes', 'read_requests', 'write_bytes',
                 'write_requests', 'flush_requests')
DISK_RATES = ('read_bytes', 'write_bytes', 'read_requests', 'write_requests')

INTERFACE_COUNTERS = ('rx_bytes', 'rx_packets', 'rx_errors', 'rx_drops',
                      'tx_bytes', 'tx_packets', 'tx_errors', 'tx_drops')
INTERFACE_RATES = ('rx_bytes', 'tx_bytes', 'rx_packets', 'tx_packets')


class SamplesUnavailable(Exception):
    """A source cannot tell now; it may be able to in a moment."""


class Source:
    """Where a driver's metrics come from; this one has none."""

    def __init__(self, driver):
        self._driver = driver

    def get(self, server_ids):
        """The metrics of those of the servers that run on this node.

        :param server_ids: a list of server uuids
        :returns: dict of uuid to metrics, see :func:`metrics`
        :raises SamplesUnavailable: not now
        :raises NotImplementedError: the driver has no metrics
        """
        raise NotImplementedError()


def source_of(driver):
    """Make the source of a driver's metrics."""
    for cls in type(driver).__mro__:
        name = _SOURCES.get('%s.%s' % (cls.__module__, cls.__qualname__))
        if name:
            return importutils.import_class(name)(driver)
    return Source(driver)


@dataclasses.dataclass(frozen=True)
class Device:
    """The counters of a disk or an interface since the guest has it.

    :param backing: what it stands for on the host; another thing under the
        same name has counters of its own
    """

    counters: ty.Mapping[str, ty.Optional[int]]
    backing: ty.Optional[str] = None


@dataclasses.dataclass(frozen=True)
class Reading:
    """What was read of a guest at one time.

    :param at: monotonic time in seconds
    :param sampled_at: the same as ISO 8601 in UTC
    :param run: what tells one run of the guest from the next, in which all
        counters start again
    :param cpu_time_ns: CPU time of the whole guest in nanoseconds
    :param vcpu_times_ns: by the vCPU's number
    :param memory_bytes: by the names in MEMORY
    :param disks: Device by name, such as ``vda``
    :param interfaces: Device by name on the host, such as ``tap4d5a...``
    """

    at: float
    sampled_at: str
    run: ty.Any
    vcpus: ty.Optional[int]
    cpu_time_ns: ty.Optional[int]
    vcpu_times_ns: ty.Mapping[int, ty.Optional[int]]
    memory_bytes: ty.Mapping[str, ty.Optional[int]]
    disks: ty.Mapping[str, Device]
    interfaces: ty.Mapping[str, Device]


def metrics(server_id, now, before=None):
    """Metrics from a reading, with rates since the one before.

    :param before: the earlier Reading of the guest, if there is one
    :returns: a dict of what JSON knows: utilisation in percent, counters,
        rates per second, memory in bytes, ``window_seconds`` None if there is
        nothing to compare with
    """
    window = None
    if before is not None and before.run == now.run and before.at < now.at:
        window = now.at - before.at
    else:
        before = None
    return {
        'version': VERSION,
        'server_id': server_id,
        'sampled_at': now.sampled_at,
        'window_seconds': None if window is None else round(window, 3),
        'cpu': _cpu(now, before, window),
        'memory': {name: now.memory_bytes.get(name) for name in MEMORY},
        'disks': [
            {'device': name, **values} for name, values in _devices(
                now.disks, before and before.disks, window,
                DISK_COUNTERS, DISK_RATES)],
        'interfaces': [
            # The API knows which port this is.
            {'device': name, 'mac_address': None, 'port_id': None, **values}
            for name, values in _devices(
                now.interfaces, before and before.interfaces, window,
                INTERFACE_COUNTERS, INTERFACE_RATES)],
    }


def _cpu(now, before, window):
    # The time of all vCPUs over a window in which their number changed says
    # nothing about either number.
    same = before is not None and before.vcpus == now.vcpus
    return {
        'vcpus': now.vcpus,
        'utilisation': _percent(
            now.cpu_time_ns, before.cpu_time_ns if same else None,
            window, now.vcpus),
        'time_ns': now.cpu_time_ns,
        'per_vcpu': [
            {'id': number,
             'utilisation': _percent(
                 time_ns, before and before.vcpu_times_ns.get(number),
                 window, 1),
             'time_ns': time_ns}
            for number, time_ns in sorted(now.vcpu_times_ns.items())],
    }


def _percent(now_ns, before_ns, window, vcpus):
    used = _rate(now_ns, before_ns, window)
    if used is None or not vcpus:
        return None
    # Emulation counts too, and no clock is exact: a busy guest passes 100.
    return round(min(used / 1e9 / vcpus * 100, 100.0), 2)


def _devices(now, before, window, counters, rates):
    for name, device in now.items():
        earlier = before.get(name) if before else None
        if earlier is None or earlier.backing != device.backing:
            earlier = Device({})
        values = {counter: device.counters.get(counter)
                  for counter in counters}
        for counter in rates:
            rate = _rate(values[counter], earlier.counters.get(counter),
                         window)
            values['%s_per_second' % counter] = (
                None if rate is None else round(rate, 2))
        yield name, values


def _rate(now, before, window):
    """Per second; None where a counter is not known or has started again."""
    if now is None or before is None or now < before:
        return None
    return (now - before) / window
