"""A libvirtd of the tests' own, with QEMU guests, beside the machine's.

It runs as root in name spaces of its own for mounts and network, in which
libvirt's folders are empty: it sees no guest of the machine's, and its guests'
interfaces are in no other network. Its socket is reached through /proc.
"""

import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import time
import uuid

import libvirt_folders
from process import Process
from process import until

_DOMAIN = '''
<domain type='qemu'>
  <name>{name}</name>
  <uuid>{uuid}</uuid>
  <memory unit='MiB'>160</memory>
  <vcpu current='1'>2</vcpu>
  <os>
    <type arch='x86_64' machine='pc'>hvm</type>
    <kernel>{kernel}</kernel>
    <initrd>{initrd}</initrd>
    <cmdline>console=ttyS0 quiet loglevel=1 no_timer_check tsc=reliable
 lpj=4000000 mitigations=off work={work}</cmdline>
  </os>
  <features><acpi/></features>
  <on_reboot>restart</on_reboot>
  <devices>
    {disk}
    {interface}
    <serial type='unix'><source mode='bind' path='{console}'/></serial>
    <memballoon model='virtio'><stats period='1'/></memballoon>
  </devices>
</domain>
'''


def missing():
    """Why there can be no private libvirtd here; None if there can."""
    if os.getuid() != 0:
        return 'only root can start guests with interfaces'
    for program in ('libvirtd', 'virsh', 'qemu-system-x86_64', 'unshare'):
        if not shutil.which(program):
            return '%s is not installed: tools/setup.sh libvirt' % program


# It has nothing to boot from: its processor waits for ever, after the BIOS.
_IDLE_DOMAIN = '''
<domain type='qemu'>
  <name>{name}</name>
  <uuid>{uuid}</uuid>
  <memory unit='MiB'>16</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <devices>
    {disk}
    {interface}
    <memballoon model='virtio'/>
  </devices>
</domain>
'''


class Libvirt:
    """The daemon. A context manager, which ends it with all its guests.

    :param folder: for logs, disks and consoles; with a short path, for a
        socket's is limited to 107 characters
    :param image: what guest_image.build() returned; without, there can only
        be idle guests
    """

    def __init__(self, folder, image=(None, None)):
        self.folder = folder
        self._kernel, self._initrd = image
        self.guests = []

    def __enter__(self):
        # The guests end with the daemon: they are in its process name space.
        script = libvirt_folders.SCRIPT + (
            'ip link set lo up\n'
            'mount -t proc proc /proc\n')
        # Not exec: the first process of a name space has to wait for orphans,
        # or QEMU, which libvirtd has started and ended, would seem to live.
        script += 'touch /run/libvirt/private\n'
        script += 'libvirtd --pid-file /run/libvirt/libvirtd.pid; exit\n'
        self._process = Process(
            ['unshare', '--mount', '--net', '--pid', '--fork', '--kill-child',
             'bash', '-ec', script],
            self.folder / 'libvirtd.log')
        until('libvirtd listens', self._listens)
        return self

    def __exit__(self, *exception):
        for pid in self._process.children():
            # The first process of the name space: all others end with it.
            os.kill(pid, 9)
        self._process.kill()

    def _listens(self):
        assert not self._process.ended(), self._process.text()
        self._pids = self._process.children()
        # Before that, the folders are still the machine's.
        if not self._pids or not (self._root / 'run/libvirt/private').exists():
            return False
        return subprocess.run(['virsh', '--connect', self.uri, 'version'],
                              capture_output=True).returncode == 0

    @property
    def _root(self):
        return pathlib.Path('/proc/%d/root' % self._pids[0])

    @property
    def socket(self):
        return self._root / 'run/libvirt/libvirt-sock'

    @property
    def uri(self):
        return 'qemu:///system?socket=%s' % self.socket

    def virsh(self, *words):
        """Run virsh; what it says.

        :raises AssertionError: it failed
        """
        done = subprocess.run(
            ['virsh', '--connect', self.uri, *map(str, words)], text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, timeout=60)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def stats(self, guest):
        """What virsh domstats says of a guest: a dict of numbers and texts,
        and the monotonic time in seconds, in the middle of the call.
        """
        before = time.monotonic()
        said = self.virsh('domstats', guest.name, '--raw')
        at = (before + time.monotonic()) / 2
        found = dict(re.findall(r'(?m)^  (\S+?)=(.*)$', said))
        return at, {name: int(value) if value.isdigit() else value
                    for name, value in found.items()}

    def in_network(self, code, *words):
        """Run Python code where the guests' interfaces are."""
        subprocess.run(
            ['nsenter', '--target', str(self._pids[0]), '--net',
             sys.executable, '-c', code, *map(str, words)], check=True)

    def start_guest(self, work=0):
        """Start a guest that burns so many percent of a processor; a Guest,
        which is ready.
        """
        guest = self._create(_DOMAIN, work=work, kernel=self._kernel,
                             initrd=self._initrd)
        guest.wait_until_ready()
        return guest

    def start_idle_guest(self):
        """Start a guest that does nothing, in as little memory as can be."""
        return self._create(_IDLE_DOMAIN)

    def _create(self, domain, **values):
        guest = Guest(self, 'guest%d' % len(self.guests))
        self.guests.append(guest)
        guest.write_disk('vda')
        xml = self.folder / (guest.name + '.xml')
        xml.write_text(domain.format(
            name=guest.name, uuid=guest.uuid, console=guest.console,
            disk=guest.disk_xml('vda'), interface=guest.interface_xml(0),
            **values))
        self.virsh('create', xml)
        return guest

    def restart_guest(self, guest):
        """End its QEMU and start another, as a hard reboot does."""
        self.virsh('destroy', guest.name)
        guest.console.unlink(missing_ok=True)
        self.virsh('create', self.folder / (guest.name + '.xml'))
        guest.wait_until_ready()


class Guest:

    def __init__(self, libvirt, name):
        self._libvirt = libvirt
        self.name = name
        self.uuid = str(uuid.uuid4())
        self.console = libvirt.folder / (name + '.console')

    def write_disk(self, device):
        """Make the file of a disk, of 64 MiB and all holes."""
        with open(self._disk(device), 'wb') as stream:
            stream.truncate(64 * 2 ** 20)

    def _disk(self, device):
        return self._libvirt.folder / ('%s-%s.raw' % (self.name, device))

    def disk_xml(self, device):
        return (
            "<disk type='file' device='disk'>"
            "<driver name='qemu' type='raw' cache='none'/>"
            "<source file='%s'/><target dev='%s' bus='virtio'/></disk>" % (
                self._disk(device), device))

    def interface_xml(self, number):
        return (
            "<interface type='ethernet'><mac address='%s'/>"
            "<target dev='%s'/><model type='virtio'/></interface>" % (
                self.mac(number), self.tap(number)))

    def mac(self, number):
        return '52:54:00:%s:%02x' % (
            ':'.join(re.findall('..', self.uuid[:4])), number)

    def tap(self, number):
        return '%s-%d' % (self.name, number)

    def attach(self, xml):
        path = self._libvirt.folder / 'device.xml'
        path.write_text(xml)
        self._libvirt.virsh('attach-device', self.name, path, '--live')

    def wait_until_ready(self):
        self._connection = socket.socket(socket.AF_UNIX)
        self._connection.settimeout(120)
        self._connection.connect(str(self.console))
        # Nobody is that fast: QEMU drops what is said while nobody listens.
        self._read_until(b'guest-is-ready')

    def run(self, command):
        """Run a command in the guest's shell; what it says."""
        mark = uuid.uuid4().hex
        self._connection.sendall((
            "%s; echo %s'' ''%s\n" % (command, mark[:16], mark[16:])).encode())
        return self._read_until((mark[:16] + ' ' + mark[16:]).encode())

    def _read_until(self, end):
        said = b''
        while end not in said:
            try:
                data = self._connection.recv(65536)
            except TimeoutError:
                raise AssertionError('%s says no %r: %r' % (
                    self.name, end, said[-2000:]))
            assert data, '%s has ended: %r' % (self.name, said[-2000:])
            said += data
        return said[:said.index(end)].decode(errors='replace')

    @property
    def pid(self):
        """Of its QEMU process, on this machine."""
        inside = self._libvirt._root / 'run/libvirt/qemu' / (
            self.name + '.pid')
        number = inside.read_text().strip()
        for status in pathlib.Path('/proc').glob('[0-9]*/status'):
            try:
                text = status.read_text()
            except OSError:
                continue
            if re.search(r'(?m)^NSpid:\s.*\t%s$' % number, text) and (
                    'qemu' in text.splitlines()[0]):
                return int(status.parent.name)
        raise AssertionError('%s has no process' % self.name)
