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

"""Metrics of libvirt guests: one bulk call for all of a node, while asked for.

A thread samples from the first request on, once per [vm_metrics]
sample_interval, and ends by itself when nobody has asked for a while. Requests
are answered from what it has last read; only the first ones wait, for the
sample that is being taken, and not for long. No request calls libvirt.

NOWAIT makes libvirt leave out what it would have to ask a busy guest for:
those values are then not known. A guest is busy with another call. So the
first call to meet a guest that hangs hangs with it, and the next ones leave
that guest out: a call that takes too long is left alone, and another one made.
"""

import re
import threading
import time

from oslo_log import log as logging
from oslo_utils import timeutils

import nova.conf
from nova.virt.libvirt import host as libvirt_host
from nova.virt import vm_metrics

CONF = nova.conf.CONF
LOG = logging.getLogger(__name__)

# So many calls may hang, each with another guest, before no more are made:
# each takes a thread here and a worker of libvirtd, which has 20.
_MAX_HANGING = 5

# A sample is used for as many intervals, should the next ones not come.
_USED_FOR = 3

_VCPU = re.compile(r'vcpu\.(\d+)\.(?:state|time)')

# libvirt's names of what we count.
_BLOCK = {
    'read_bytes': 'rd.bytes',
    'read_requests': 'rd.reqs',
    'write_bytes': 'wr.bytes',
    'write_requests': 'wr.reqs',
    'flush_requests': 'fl.reqs',
}
_NET = {
    'rx_bytes': 'rx.bytes',
    'rx_packets': 'rx.pkts',
    'rx_errors': 'rx.errs',
    'rx_drops': 'rx.drop',
    'tx_bytes': 'tx.bytes',
    'tx_packets': 'tx.pkts',
    'tx_errors': 'tx.errs',
    'tx_drops': 'tx.drop',
}
_BALLOON = {
    'allocated_bytes': 'balloon.maximum',
    'balloon_bytes': 'balloon.current',
    'rss_bytes': 'balloon.rss',
    'usable_bytes': 'balloon.usable',
}


class LibvirtSource(vm_metrics.Source):

    def __init__(self, driver):
        super().__init__(driver)
        self._sampler = Sampler(self._read)

    def get(self, server_ids):
        now, before = self._sampler.get()
        return {
            server_id: vm_metrics.metrics(
                server_id, now[server_id], before.get(server_id))
            for server_id in server_ids if server_id in now}

    def _read(self):
        """Read all guests of the node: dict of uuid to Reading."""
        libvirt = libvirt_host.libvirt
        # Not get_connection(), which notifies of each failure.
        connection = self._driver._host._get_connection()
        started = time.monotonic()
        try:
            found = connection.getAllDomainStats(
                libvirt.VIR_DOMAIN_STATS_STATE |
                libvirt.VIR_DOMAIN_STATS_CPU_TOTAL |
                libvirt.VIR_DOMAIN_STATS_BALLOON |
                libvirt.VIR_DOMAIN_STATS_VCPU |
                libvirt.VIR_DOMAIN_STATS_INTERFACE |
                libvirt.VIR_DOMAIN_STATS_BLOCK,
                libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE |
                libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT)
        except libvirt.libvirtError as error:
            if error.get_error_code() == libvirt.VIR_ERR_NO_SUPPORT:
                raise NotImplementedError() from error
            raise
        # Which guest was read when is not told: half of the time that it took
        # is the most that any is off.
        at = (started + time.monotonic()) / 2
        sampled_at = timeutils.utcnow().strftime('%Y-%m-%dT%H:%M:%S.%fZ')
        return {domain.UUIDString(): read_stats(
            stats, domain.ID(), at, sampled_at) for domain, stats in found}


def read_stats(stats, run, at, sampled_at):
    """Make a Reading of one guest's statistics.

    :param stats: of virConnectGetAllDomainStats, its memory in KiB
    :param run: libvirt's id of the domain, another one for each start
    """
    numbers = {int(found[1]) for found in map(_VCPU.fullmatch, stats) if found}
    return vm_metrics.Reading(
        at=at,
        sampled_at=sampled_at,
        run=run,
        vcpus=stats.get('vcpu.current'),
        cpu_time_ns=stats.get('cpu.time'),
        vcpu_times_ns={number: stats.get('vcpu.%d.time' % number)
                       for number in numbers},
        memory_bytes={
            name: None if stats.get(key) is None else stats[key] * 1024
            for name, key in _BALLOON.items()},
        disks=_devices(stats, 'block', _BLOCK),
        interfaces=_devices(stats, 'net', _NET))


def _devices(stats, kind, counters):
    devices = {}
    for number in range(stats.get('%s.count' % kind, 0)):
        prefix = '%s.%d.' % (kind, number)
        name = stats.get(prefix + 'name')
        if name is not None:
            devices[name] = vm_metrics.Device(
                {counter: stats.get(prefix + key)
                 for counter, key in counters.items()},
                backing=stats.get(prefix + 'path'))
    return devices


class Sampler:
    """Reads all guests again and again, while somebody asks.

    :param read: called in a thread, one call after the other but for those
        that hang; returns a dict of uuid to Reading; may hang, may raise
    """

    def __init__(self, read):
        self._read = read
        # Guards what is below, and tells of changes to it.
        self._changed = threading.Condition()
        self._thread = None
        self._asked_at = 0.0
        self._called_at = 0.0
        self._is_reading = False
        self._forget()

    def get(self):
        """The last two samples.

        :returns: (the last, the one before), dicts of uuid to Reading; the
            one before is empty for the first
        :raises SamplesUnavailable: there is none, or none that is new enough
        :raises NotImplementedError: the hypervisor has no statistics
        """
        with self._changed:
            self._asked_at = time.monotonic()
            if self._thread is None:
                self._begin_reading()
                self._thread = threading.Thread(target=self._run, daemon=True)
                self._thread.start()
            if not self._is_usable():
                self._changed.wait_for(
                    lambda: self._is_usable() or not self._is_reading,
                    timeout=max(0, self._called_at - time.monotonic() +
                                CONF.vm_metrics.sample_timeout))
            if self._is_usable():
                return self._last, self._before
            if isinstance(self._error, NotImplementedError):
                raise NotImplementedError()
            raise vm_metrics.SamplesUnavailable(
                self._error or 'the hypervisor takes too long')

    def _is_usable(self):
        return (self._last is not None and
                time.monotonic() - self._last_at <=
                _USED_FOR * CONF.vm_metrics.sample_interval)

    def _begin_reading(self):
        self._called_at = time.monotonic()
        self._is_reading = True

    def _forget(self):
        self._last, self._last_at, self._before = None, 0.0, {}
        self._error = None

    def _run(self):
        hanging = []
        while True:
            reader = threading.Thread(
                target=self._sample, args=(self._called_at,), daemon=True)
            reader.start()
            reader.join(CONF.vm_metrics.sample_timeout)
            hanging = [one for one in [*hanging, reader] if one.is_alive()]
            while len(hanging) >= _MAX_HANGING:
                hanging[0].join(CONF.vm_metrics.sample_interval)
                hanging = [one for one in hanging if one.is_alive()]
            with self._changed:
                while self._get_rest() > 0:
                    self._changed.wait(self._get_rest())
                idle = time.monotonic() - self._asked_at
                if idle >= CONF.vm_metrics.stop_after:
                    self._thread = None
                    self._forget()
                    return
                self._begin_reading()

    def _sample(self, called_at):
        sample = error = None
        try:
            sample = self._read()
        except Exception as exc:
            # libvirt may be back at the next try.
            error = exc
        with self._changed:
            if called_at != self._called_at:
                # It has hung, and others have been made since.
                return
            if error is None:
                self._before = self._last or {}
                self._last, self._last_at = sample, time.monotonic()
            elif self._error is None:
                LOG.warning('Metrics of servers cannot be read: %(kind)s: '
                            '%(error)s', {'kind': type(error).__name__,
                                          'error': error})
            self._error = error
            self._is_reading = False
            self._changed.notify_all()

    def _get_rest(self):
        """How long until the next sample, in seconds."""
        return (self._called_at + CONF.vm_metrics.sample_interval -
                time.monotonic())
