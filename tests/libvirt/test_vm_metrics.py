"""Live metrics of real guests: QEMU's, told by Nova's libvirt driver.

Each guest does what is known, and what the metrics say of it is compared with
that, or with what libvirt tells virsh over the same time.
"""

import os
import signal
import time

import pytest

from process import until

MIB = 2 ** 20

# Sends frames of a fixed size to an interface of the network name space.
_SEND = '''
import socket, sys
name, mac, count, size = sys.argv[1:]
with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sender:
    sender.bind((name, 0))
    # An experimental type: no one answers.
    frame = bytes.fromhex(mac.replace(':', '') + '525400ffffff' + '88b5')
    for _ in range(int(count)):
        sender.send(frame.ljust(int(size), b'.'))
'''


@pytest.fixture(scope='module')
def guest(libvirt):
    """A guest that burns nothing, but what it is told to."""
    return libvirt.start_guest()


@pytest.fixture(scope='module')
def busy(libvirt):
    """A guest that burns 30 percent of a processor."""
    return libvirt.start_guest(work=30)


def disk(metrics, device):
    found = [one for one in metrics['disks'] if one['device'] == device]
    return found[0] if found else None


def interface(metrics, device):
    found = [one for one in metrics['interfaces']
             if one['device'] == device]
    return found[0] if found else None


def compare_cpu(libvirt, sampler, guest, windows):
    """The utilisation in percent over some windows: (ours, virsh's)."""
    vcpus = sampler.fresh(guest)['cpu']['vcpus']
    start = None
    ours, weights = [], []
    for _ in range(windows + 1):
        metrics = sampler.fresh(guest)
        at, stats = libvirt.stats(guest)
        if start is None:
            # Its window began before virsh's.
            start = at, stats['cpu.time']
            continue
        ours.append(metrics['cpu']['utilisation'])
        weights.append(metrics['window_seconds'])
    theirs = (stats['cpu.time'] - start[1]) / 1e7 / (at - start[0]) / vcpus
    return sum(value * weight for value, weight in zip(ours, weights)) / sum(
        weights), theirs


def test_the_utilisation_is_that_of_virsh_over_the_same_time(
        libvirt, sampler, busy):
    ours, theirs = compare_cpu(libvirt, sampler, busy, 5)
    print('busy: %.1f %%, virsh %.1f %%' % (ours, theirs))
    assert abs(ours - theirs) < 3
    # It is busy at all; how much depends on what else the machine does.
    assert theirs > 5


def test_an_idle_guest_is_next_to_idle(libvirt, sampler, guest):
    ours, theirs = compare_cpu(libvirt, sampler, guest, 3)
    print('idle: %.1f %%, virsh %.1f %%' % (ours, theirs))
    assert abs(ours - theirs) < 3


def test_memory_is_in_bytes(sampler, guest, libvirt):
    def told():
        memory = sampler.fresh(guest)['memory']
        return memory['usable_bytes'] and memory

    # The guest's driver reports once a second, when it has begun.
    memory = until('the guest tells what is usable', told)
    assert memory['allocated_bytes'] == 160 * MIB
    assert memory['balloon_bytes'] == 160 * MIB
    assert 0 < memory['usable_bytes'] < 160 * MIB
    resident = int(open('/proc/%d/statm' % guest.pid).read().split()[1])
    assert memory['rss_bytes'] == pytest.approx(
        resident * os.sysconf('SC_PAGESIZE'), rel=0.1)


def test_what_a_guest_writes_and_reads_is_counted_to_the_byte(
        sampler, guest):
    before = disk(sampler.fresh(guest), 'vda')
    guest.run('dd if=/dev/zero of=/dev/vda bs=1M count=8 oflag=direct')
    guest.run('dd if=/dev/vda of=/dev/null bs=1M count=4 iflag=direct')
    after = disk(sampler.fresh(guest), 'vda')
    assert after['write_bytes'] - before['write_bytes'] == 8 * MIB
    assert after['read_bytes'] - before['read_bytes'] == 4 * MIB
    assert after['write_requests'] - before['write_requests'] >= 8


def test_the_rate_of_a_disk_is_that_of_its_counter(sampler, guest):
    first = sampler.fresh(guest)
    guest.run('dd if=/dev/zero of=/dev/vda bs=1M count=8 oflag=direct')
    second = sampler.fresh(guest)
    # The window of the second may begin before the first or with it.
    written = (disk(second, 'vda')['write_bytes'] -
               disk(first, 'vda')['write_bytes'])
    rate = disk(second, 'vda')['write_bytes_per_second']
    assert 0 <= rate * second['window_seconds'] <= written * 1.01


def test_what_a_guest_receives_is_counted_to_the_byte(
        libvirt, sampler, guest):
    guest.run('ip link set eth0 up')
    before = interface(sampler.fresh(guest), guest.tap(0))
    libvirt.in_network(_SEND, guest.tap(0), guest.mac(0), 500, 1000)
    after = until('all frames are there', lambda: (
        lambda now: now['rx_packets'] >= before['rx_packets'] + 500 and now)(
            interface(sampler.fresh(guest), guest.tap(0))))
    # The host's own announcements come on top, a few at most.
    packets = after['rx_packets'] - before['rx_packets']
    received = after['rx_bytes'] - before['rx_bytes']
    assert 500 <= packets <= 510
    assert 500000 <= received <= 502000


def test_what_a_guest_sends_is_sent_and_not_received(sampler, guest):
    guest.run('ip addr add 192.0.2.1/24 dev eth0; ip link set eth0 up;'
              ' arp -s 192.0.2.2 52:54:00:ff:ff:ff')
    before = interface(sampler.fresh(guest), guest.tap(0))
    # 14 of Ethernet, 20 of IP, 8 of ICMP, 958 of data: 1000 bytes.
    guest.run('ping -c 20 -i 0.01 -W 1 -s 958 192.0.2.2')
    after = interface(sampler.fresh(guest), guest.tap(0))
    assert after['tx_packets'] - before['tx_packets'] == 20
    assert after['tx_bytes'] - before['tx_bytes'] == 20000
    assert after['rx_bytes'] - before['rx_bytes'] < 2000


def test_a_hot_plugged_disk_and_interface_appear_and_count(
        libvirt, sampler, guest):
    assert disk(sampler.of(guest), 'vdb') is None
    guest.write_disk('vdb')
    guest.attach(guest.disk_xml('vdb'))
    guest.attach(guest.interface_xml(1))
    until('the guest has its disk', lambda: 'vdb' in guest.run('ls /dev'))
    guest.run('dd if=/dev/zero of=/dev/vdb bs=1M count=2 oflag=direct')

    def both():
        metrics = sampler.fresh(guest)
        found = disk(metrics, 'vdb'), interface(metrics, guest.tap(1))
        return all(found) and found

    added, _ = until('both are told', both)
    assert added['write_bytes'] == 2 * MIB
    # The next sample has one of it to compare with.
    assert disk(sampler.fresh(guest), 'vdb')['write_bytes_per_second'] == 0


def test_more_vcpus_are_told_and_share_the_utilisation(
        libvirt, sampler, guest):
    libvirt.virsh('setvcpus', guest.name, 2, '--live')
    metrics = until('both vCPUs are told', lambda: (
        lambda now: now['cpu']['vcpus'] == 2 and now)(sampler.fresh(guest)))
    assert len(metrics['cpu']['per_vcpu']) == 2
    ours, theirs = compare_cpu(libvirt, sampler, guest, 2)
    assert abs(ours - theirs) < 3


def test_a_paused_guest_burns_nothing_or_is_not_told(
        libvirt, sampler, busy):
    libvirt.virsh('suspend', busy.name)
    try:
        for _ in range(3):
            metrics = sampler.of(busy)
            time.sleep(2)
        assert metrics is None or metrics['cpu']['utilisation'] < 1
    finally:
        libvirt.virsh('resume', busy.name)
    until('it burns again', lambda: (
        sampler.fresh(busy)['cpu']['utilisation'] or 0) > 1)


def test_a_hung_guest_does_not_delay_the_others(sampler, guest, busy):
    sampler.fresh(guest)
    os.kill(busy.pid, signal.SIGSTOP)
    try:
        for _ in range(5):
            found, seconds = sampler.ask(guest, busy)
            assert seconds < 1
            first = sampler.fresh(guest)
        # The counters that libvirt reads by itself still move.
        assert first['cpu']['utilisation'] is not None
    finally:
        os.kill(busy.pid, signal.SIGCONT)
    until('the guest is told again', lambda: (
        lambda now: now and now['cpu']['utilisation'] is not None)(
            sampler.fresh(busy)))


def test_after_a_restart_no_rate_is_negative_or_huge(
        libvirt, sampler, guest):
    guest.run('dd if=/dev/zero of=/dev/vda bs=1M count=8 oflag=direct')
    sampler.fresh(guest)
    libvirt.restart_guest(guest)
    rates = []
    for _ in range(3):
        metrics = sampler.fresh(guest)
        rates += [metrics['cpu']['utilisation']]
        rates += [one['write_bytes_per_second'] for one in metrics['disks']]
        rates += [one['rx_bytes_per_second'] for one in metrics['interfaces']]
    known = [rate for rate in rates if rate is not None]
    assert known and min(known) >= 0
    # The counters of before: 8 MiB at once.
    assert all(one['write_bytes'] < MIB for one in metrics['disks'])


def test_a_guest_that_is_gone_has_no_metrics(libvirt, sampler, guest):
    libvirt.virsh('destroy', guest.name)
    until('it is not told', lambda: sampler.of(guest) is None)
