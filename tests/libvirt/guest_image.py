"""A guest that does as it is told: a kernel, and a memory disk of busybox.

It burns a share of a processor, given on the kernel's command line as
``work=PERCENT``, and then does what is typed on its serial console.
"""

import pathlib
import shutil
import subprocess

# In the order of their loading. A kernel that has one built in has no file.
MODULES = (
    'virtio/virtio', 'virtio/virtio_ring', 'virtio/virtio_pci_legacy_dev',
    'virtio/virtio_pci_modern_dev', 'virtio/virtio_pci', 'net/net_failover',
    'net/virtio_net', 'block/virtio_blk', 'virtio/virtio_balloon')

_INIT = r'''#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
exec </dev/ttyS0 >/dev/ttyS0 2>&1
# Some of them need each other.
for pass in 1 2; do for m in /lib/*.ko; do insmod $m 2>/dev/null; done; done
echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6
# Hundredths of a second; what is over is made up for in the next round, so
# that a busy host does not change the share while it can be had at all.
now() { cut -d' ' -f1 /proc/uptime | tr -d .; }
work=$(sed -n 's/.*work=\([0-9]*\).*/\1/p' /proc/cmdline)
[ "$work" = 0 ] || while :; do
    end=$(($(now) + work))
    while [ $(now) -lt $end ]; do :; done
    usleep $(((100 - work) * 10000))
done &
@PREPARE@
stty -echo
echo guest-is-ready
# A serial port that nobody has opened hangs up. When its first process ends,
# the kernel panics and burns the whole processor.
while :; do sh; sleep 1; exec </dev/ttyS0 >/dev/ttyS0 2>&1; done
'''


def build(kernel, folder, prepare=''):
    """Make the memory disk.

    :param kernel: an unpacked package of Debian's linux-image-cloud
    :param prepare: commands for its shell, before it says that it is ready
    :returns: the paths of the kernel and of the memory disk
    """
    root = folder / 'initrd'
    for name in ('bin', 'proc', 'sys', 'dev', 'lib', 'tmp'):
        (root / name).mkdir(parents=True)
    shutil.copy('/bin/busybox', root / 'bin')
    drivers, = kernel.glob('lib/modules/*/kernel')
    names = ['net/core/failover', *('drivers/' + name for name in MODULES)]
    for number, name in enumerate(names):
        module = drivers / (name + '.ko')
        if module.exists():
            shutil.copy(module, root / 'lib' / ('%02d.ko' % number))
    init = root / 'init'
    init.write_text(_INIT.replace('@PREPARE@\n', prepare))
    init.chmod(0o755)
    packed = folder / 'initrd.gz'
    subprocess.run(
        ['bash', '-ec', 'find . | cpio --create --format newc --quiet'
         ' | gzip -1 > "$1"', 'bash', packed], check=True, cwd=root)
    vmlinuz, = kernel.glob('boot/vmlinuz-*')
    return pathlib.Path(vmlinuz), packed
