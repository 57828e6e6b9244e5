"""The guest of the cloud: that of tests/libvirt, with an address.

It says on its console which address it was given, and which name the metadata
service has for it.
"""

import pathlib
import shutil
import sys

sys.path.append(str(pathlib.Path(__file__).parents[2] / 'tests' / 'libvirt'))

import guest_image  # noqa: E402

_NETWORK = r'''
cat > /bin/bound <<'END'
#!/bin/busybox sh
[ "$1" = bound ] || exit 0
ifconfig $interface $ip netmask $subnet
[ -z "$router" ] || route add default gw $router
# Pairs of a network and a way to it: that to the metadata service.
set -- $staticroutes
while [ $# -ge 2 ]; do
    case $2 in
        0.0.0.0) route add -net $1 dev $interface ;;
        *) route add -net $1 gw $2 ;;
    esac 2>/dev/null
    shift 2
done
echo "guest-address $ip"
END
chmod +x /bin/bound
if [ -e /sys/class/net/eth0 ]; then
    ip link set lo up; ip link set eth0 up
    udhcpc -O staticroutes -i eth0 -n -q -t 10 -T 2 -s /bin/bound
    # Without these, looking up even a number ends a program that is static.
    mkdir /etc; echo 'hosts: files' > /etc/nsswitch.conf; : > /etc/hosts
    echo "guest-metadata $(
        printf 'GET %s HTTP/1.0\r\nHost: 169.254.169.254\r\n\r\n' \
            /latest/meta-data/hostname | timeout 20 nc 169.254.169.254 80 \
            | tail -n 1)"
fi
'''


def build(kernel, folder):
    """Make it.

    :param kernel: an unpacked package of Debian's linux-image-cloud
    :returns: paths of the kernel, the memory disk and a disk for its data
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    disk = folder / 'disk.raw'
    with open(disk, 'wb') as stream:
        # All holes.
        stream.truncate(2 ** 20)
    return *guest_image.build(kernel, folder, _NETWORK), disk
