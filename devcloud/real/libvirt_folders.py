"""A libvirt of one's own: its folders, in a name space for mounts."""

# What libvirtd writes to, and reads its settings from.
_FOLDERS = ('/etc/libvirt', '/run/libvirt', '/var/lib/libvirt',
            '/var/cache/libvirt', '/var/log/libvirt')

_QEMU_CONF = '''
user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
namespaces = []
cgroup_controllers = []
stdio_handler = "file"
'''

# The user and group that libvirtd is built for, which it looks up whatever the
# settings say.
_OWNERS = (('passwd', 'libvirt-qemu:x:64055:64055::/:/bin/false'),
           ('group', 'libvirt-qemu:x:64055:'))

#: For a shell in the name space: makes the folders empty, and its guests
#: processes of root.
SCRIPT = ''.join(
    ['mkdir -p {0}; mount -t tmpfs tmpfs {0}\n'.format(folder)
     for folder in _FOLDERS]
    + ["cat > /etc/libvirt/qemu.conf <<'END'", _QEMU_CONF, 'END\n']
    + ['{{ cat /etc/{0}; echo {1}; }} > /etc/libvirt/{0}\n'
       'mount --bind /etc/libvirt/{0} /etc/{0}\n'.format(name, line)
       for name, line in _OWNERS])
