"""What the tests have in NetBox, and what people do there."""

import itertools
import uuid

import driver

# What the agent's token may do, as the operator's page says.
PERMISSIONS = (
    (['view', 'add', 'change', 'delete'], [
        'virtualization.virtualmachine', 'virtualization.vminterface',
        'ipam.ipaddress', 'dcim.macaddress']),
    (['view', 'add'], ['virtualization.cluster']),
    (['view'], ['virtualization.clustertype', 'ipam.vrf', 'extras.tag',
                'extras.customfield']),
)

TOKEN = 'b' * 40


def set_up(netbox, custom_fields):
    """Set NetBox up as the operator's page says, and return the token."""
    netbox.call('POST', 'extras/custom-fields/', custom_fields)
    netbox.call('POST', 'virtualization/cluster-types/', {
        'name': 'OpenStack', 'slug': 'openstack'})
    user = netbox.call('POST', 'users/users/', {
        'username': 'nova', 'password': 'Aa1' + 'x' * 20})
    for number, (actions, types) in enumerate(PERMISSIONS):
        netbox.call('POST', 'users/permissions/', {
            'name': 'nova %d' % number, 'actions': actions,
            'object_types': types, 'users': [user['id']]})
    netbox.manage('shell', '--no-imports', '-c',
                  'from users.models import User, Token; '
                  'Token.objects.create(user=User.objects.get('
                  'username="nova"), version=1, token="%s")' % TOKEN)
    return TOKEN


def address(text, port='aaaaaaaa-0000-4000-8000-000000000001',
            mac='fa:16:3e:00:00:01', kind='fixed', network='private'):
    return {'address': text, 'version': 6 if ':' in text else 4,
            'type': kind, 'mac_address': mac, 'network': network,
            'port_id': port}


PORT_2 = 'bbbbbbbb-0000-4000-8000-000000000002'
MAC_2 = 'fa:16:3e:00:00:02'


def record(server_id=None, **changes):
    """The record of a server, as the agent makes it."""
    return dict({
        'id': server_id or str(uuid.uuid4()), 'name': 'web-1',
        'project_id': 'b5f1c0', 'user_id': 'c6e2d1', 'flavor': 'm1.small',
        'vcpus': 2, 'memory_mb': 2048, 'disk_gb': 20,
        'host': 'compute-1', 'node': 'compute-1', 'cell': 'cell1',
        'availability_zone': 'az1',
        'addresses': [address('10.0.0.5'), address('2001:db8::5')],
        'state': 'active', 'fault': None,
        'created_at': '2026-11-25T15:41:18Z', 'business_tag': 'shop',
    }, **changes)


class Cloud:
    """A cloud with its tag and VRF, and what NetBox has of it."""

    def __init__(self, fork, netbox, folder, number):
        self._fork, self._folder = fork, folder
        self._netbox = netbox
        self._drivers = []
        self._numbers = itertools.count()
        self.tag = 'cloud-%d' % number
        self.vrf = self.call('POST', 'ipam/vrfs/', {
            'name': self.tag, 'enforce_unique': False})['id']
        self.call('POST', 'extras/tags/', {
            'name': self.tag, 'slug': self.tag})
        self.driver = self.another_driver()

    def call(self, method, path, body=None):
        return self._netbox.call(method, path, body)

    def another_driver(self, **options):
        folder = self._folder / str(next(self._numbers))
        folder.mkdir()
        made = driver.Driver(self._fork, folder, **dict({
            'url': self._netbox.url, 'token': self._netbox.token,
            'tag': self.tag, 'vrf': self.tag}, **options))
        self._drivers.append(made)
        return made

    def close(self):
        for made in self._drivers:
            made.close()

    def _list(self, path):
        return self.call('GET', path + '&limit=0')['results']

    def vms(self):
        return self._list(
            'virtualization/virtual-machines/?tag=%s' % self.tag)

    def vm(self, server_id):
        """The one virtual machine with this server's id."""
        found, = self._list('virtualization/virtual-machines/'
                            '?cf_nova_server_id=%s' % server_id)
        return found

    def interfaces(self, vm):
        return {entry['name']: entry for entry in self._list(
            'virtualization/interfaces/?virtual_machine_id=%d' % vm['id'])}

    def addresses(self, vm):
        return {entry['address']: entry for entry in self._list(
            'ipam/ip-addresses/?virtual_machine_id=%d' % vm['id'])}

    def macs(self, vm):
        return {entry['mac_address']: entry for entry in self._list(
            'dcim/mac-addresses/?virtual_machine_id=%d' % vm['id'])}

    def counts(self):
        """How many objects have the cloud's tag."""
        return {name: self.call('GET', '%s?limit=1&tag=%s' % (
            path, self.tag))['count'] for name, path in (
                ('vms', 'virtualization/virtual-machines/'),
                ('interfaces', 'virtualization/interfaces/'),
                ('addresses', 'ipam/ip-addresses/'),
                ('macs', 'dcim/mac-addresses/'))}
