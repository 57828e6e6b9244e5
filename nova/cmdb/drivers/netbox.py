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

"""The driver for NetBox, through its REST API.

Ours is what carries the tag of ``[cmdb_netbox] tag``, and of virtual machines
those only that also have the id of a server: both are checked in every answer,
whatever was asked for, since NetBox ignores a filter that it does not know.
Nothing else is changed or deleted, and of ours only what
``doc/operator/cmdb-drivers.md`` lists.

NetBox has neither transactions over several requests nor a key for the
server's id. So every step is found again by what it has made, and who has
created something looks for a double once more: of several the one with the
lowest id stays, so that all who look agree.
"""

import contextlib
import ipaddress
import threading
import typing as ty
import uuid

from oslo_log import log as logging

from nova.cmdb.drivers import base
from nova.cmdb.drivers import rest
from nova.cmdb import errors
import nova.conf

CONF = nova.conf.CONF
LOG = logging.getLogger(__name__)

_VMS = '/api/virtualization/virtual-machines/'
_INTERFACES = '/api/virtualization/interfaces/'
_CLUSTERS = '/api/virtualization/clusters/'
_CLUSTER_TYPES = '/api/virtualization/cluster-types/'
_ADDRESSES = '/api/ipam/ip-addresses/'
_VRFS = '/api/ipam/vrfs/'
_MACS = '/api/dcim/mac-addresses/'
_TAGS = '/api/extras/tags/'
_CUSTOM_FIELDS = '/api/extras/custom-fields/'

_INTERFACE_TYPE = 'virtualization.vminterface'

# What is asked for of each object; NetBox leaves out the rest, which for a
# virtual machine is a context that takes it long to make.
_FIELDS = {
    _VMS: 'id,name,status,cluster,vcpus,memory,disk,tags,custom_fields,'
          'primary_ip4,primary_ip6,virtual_disk_count',
    _INTERFACES: 'id,name,description,virtual_machine,tags,'
                 'primary_mac_address,mac_addresses',
    _ADDRESSES: 'id,address,description,tags,assigned_object_type,'
                'assigned_object_id',
    _MACS: 'id,mac_address,tags,assigned_object_type,assigned_object_id',
}

# NetBox gives no more at once, unless it is set to give less.
_MAX_PAGE = 1000

# So many ids or addresses go into one URL, of which the servers before
# NetBox take about 4000 bytes.
_PER_URL = 60

# Prefixes of ids in one URL; a filter of one is some fifty bytes long.
_MAX_PREFIXES = 32

# Requests until the next page is found. From one end to the other it takes
# half of that with ids that are not random at all.
_MAX_TRIES = 200

# The custom field with the server's id, and those with the fields of the
# record of the same name after the ``nova_``.
ID_FIELD = 'nova_server_id'
TEXT_FIELDS = ('name', 'project_id', 'user_id', 'flavor', 'host', 'node',
               'cell', 'availability_zone', 'state', 'created_at',
               'business_tag')
JSON_FIELDS = ('fault', 'addresses')

CUSTOM_FIELDS = {ID_FIELD: 'text',
                 **{'nova_' + name: 'text' for name in TEXT_FIELDS},
                 **{'nova_' + name: 'json' for name in JSON_FIELDS}}

_STATUS = {'active': 'active', 'rescued': 'active', 'resized': 'active',
           'building': 'staged', 'error': 'failed',
           'soft_deleted': 'decommissioning'}

# The names of a virtual machine and of an interface, and a description.
_MAX_NAME = 64
_MAX_DESCRIPTION = 200

# Where a server is that is in no availability zone yet.
_NOWHERE = 'no availability zone'


@contextlib.contextmanager
def _understood():
    """What an answer lacks or has too much of is a fault of the CMDB."""
    try:
        yield
    except (AttributeError, IndexError, KeyError, TypeError,
            ValueError) as error:
        LOG.debug('The answer of NetBox was not understood: %r', error)
        raise errors.Unavailable(
            'answer not understood: it is not as NetBox answers') from None


def _id(entry) -> int:
    """The id of an object of NetBox, which goes into paths."""
    if type(entry['id']) is not int:
        raise ValueError('an id that is no number')
    return entry['id']


def _ours(entry) -> bool:
    return any(tag['slug'] == CONF.cmdb_netbox.tag for tag in entry['tags'])


def _lowest(entries):
    return min(entries, key=_id)


def _address_of(entry) -> str:
    """The address of an IP address object, without its mask."""
    return str(ipaddress.ip_interface(entry['address']).ip)


# What a record asks for.

def _name(record) -> str:
    """The name of the virtual machine.

    In NetBox it is the only one of that name in its cluster, without regard to
    case, and shorter than a server's may be. So it has the first twelve digits
    of the server's id; two servers that share them and their name are not to
    be expected in a hundred million.
    """
    suffix = '(%s)' % record['id'][:13]
    name = record['name'].strip()[:_MAX_NAME - len(suffix) - 1].strip()
    return ('%s %s' % (name, suffix)).strip()


def _cluster_name(record) -> str:
    if CONF.cmdb_netbox.cluster_by == 'cell':
        return record['cell']
    return record['availability_zone'] or _NOWHERE


def _custom_fields(record) -> ty.Dict[str, ty.Any]:
    fields = {'nova_' + name: record[name]
              for name in TEXT_FIELDS + JSON_FIELDS}
    fields[ID_FIELD] = record['id']
    return fields


def _interface_of(entry) -> str:
    """The name of the interface that an address of a record is at."""
    return entry['port_id'] or entry['mac_address'] or 'unknown'


def _interfaces(record) -> ty.Dict[str, ty.Dict[str, str]]:
    """By their names the description and the MAC address of interfaces."""
    found: ty.Dict[str, ty.Dict[str, str]] = {}
    # A floating address is of another network than its interface.
    for entry in sorted(record['addresses'],
                        key=lambda entry: entry['type'] != 'fixed'):
        found.setdefault(_interface_of(entry), {
            'description': (entry['network'] or '').strip()[
                :_MAX_DESCRIPTION].strip(),
            'mac_address': (entry['mac_address'] or '').upper()})
    return found


def _addresses(record) -> ty.Dict[ty.Tuple[str, str], str]:
    """By pairs of interface and address the descriptions of addresses."""
    return {(_interface_of(entry),
             str(ipaddress.ip_address(entry['address']))): entry['type']
            for entry in record['addresses']}


def _primary(record, version) -> ty.Optional[ty.Tuple[str, str]]:
    """The pair of interface and address that stands for the server."""
    fixed = [entry for entry in record['addresses']
             if entry['type'] == 'fixed' and entry['version'] == version]
    return fixed and (_interface_of(fixed[0]), str(
        ipaddress.ip_address(fixed[0]['address']))) or None


class _Machine:
    """A virtual machine of ours, with what hangs on it.

    :ivar vm: as NetBox has it
    :ivar doubles: others for the same server
    :ivar interfaces: all of it
    :ivar addresses: all that are assigned to these
    :ivar macs: likewise; None where they were not asked for
    :ivar elsewhere: addresses that somebody else's object stands for
    """

    def __init__(self, vms):
        self.vm, *self.doubles = sorted(vms, key=_id)
        self.server_id = self.vm['custom_fields'][ID_FIELD]
        self.interfaces = []
        self.addresses = []
        self.macs = []
        self.elsewhere = set()

    @property
    def our_interfaces(self):
        return [entry for entry in self.interfaces if _ours(entry)]

    def at_our_interfaces(self, entries):
        """Pairs of our interface and one of these objects of ours at it."""
        names = {_id(entry): entry['name'] for entry in self.our_interfaces}
        return [(names[entry['assigned_object_id']], entry)
                for entry in entries
                if _ours(entry) and entry['assigned_object_id'] in names]

    def our_addresses(self):
        """Objects by pairs of interface and address; more than one is bad."""
        found: ty.Dict[ty.Tuple[str, str], list] = {}
        for name, entry in self.at_our_interfaces(self.addresses):
            found.setdefault((name, _address_of(entry)), []).append(entry)
        return found

    def missing(self, wanted):
        """Of pairs of interface and address those that nobody has."""
        have = self.our_addresses()
        return [pair for pair in wanted
                if pair not in have and pair[1] not in self.elsewhere]

    def changes(self, record):
        """What to change of the virtual machine itself, as a dict to send,
        with the cluster's name in the place of its id.
        """
        vm = self.vm
        wanted = {'name': _name(record), 'cluster': _cluster_name(record),
                  'status': _STATUS.get(record['state'], 'offline'),
                  'vcpus': record['vcpus'], 'memory': record['memory_mb']}
        have = {'name': vm['name'],
                'cluster': vm['cluster'] and vm['cluster']['name'],
                'status': vm['status']['value'],
                'vcpus': vm['vcpus'] and float(vm['vcpus']),
                'memory': vm['memory']}
        # With disks that somebody has added, NetBox allows their sum only.
        if not vm['virtual_disk_count']:
            wanted['disk'] = _disk(record)
            have['disk'] = vm['disk']
        changes = {name: value for name, value in wanted.items()
                   if value != have[name]}
        custom = {name: value
                  for name, value in _custom_fields(record).items()
                  if value != vm['custom_fields'].get(name)}
        if custom:
            changes['custom_fields'] = custom
        return changes

    def primaries(self, record):
        """Which primary addresses to set, as a dict to send."""
        ours = self.our_addresses()
        our_ids = {_id(entry) for entries in ours.values()
                   for entry in entries}
        changes = {}
        for version in (4, 6):
            field = 'primary_ip%d' % version
            have = self.vm[field] and _id(self.vm[field])
            found = ours.get(_primary(record, version))
            wanted = found and _id(_lowest(found))
            # One that somebody else has chosen stays.
            if wanted != have and (have is None or have in our_ids):
                changes[field] = wanted
        return changes

    def differences(self, record):
        changes = self.changes(record)
        names = set(changes) - {'custom_fields'}
        names |= {name[len('nova_'):]
                  for name in changes.get('custom_fields', ())}
        if self.doubles:
            names.add('doubles')
        wanted = _interfaces(record)
        have = {entry['name']: entry for entry in self.our_interfaces}
        if set(wanted) != set(have) or any(
                have[name]['description'] != fields['description'] or
                fields['mac_address'] and fields['mac_address'] not in [
                    mac['mac_address'] for mac in have[name]['mac_addresses']]
                for name, fields in wanted.items()):
            names.add('interfaces')
        wanted = _addresses(record)
        have = self.our_addresses()
        if self.missing(wanted) or set(have) - set(wanted) or any(
                len(entries) > 1 or
                entries[0]['description'] != wanted[pair]
                for pair, entries in have.items()):
            names.add('addresses')
        return sorted(names | set(self.primaries(record)))


def _disk(record):
    gigabytes = record['disk_gb']
    return None if gigabytes is None else gigabytes * 1024


class NetBoxDriver(base.Driver):

    def __init__(self):
        url = rest.check_url('[cmdb_netbox] url', CONF.cmdb_netbox.url)
        self._token_file = rest.TokenFile(
            '[cmdb_netbox] token_file', CONF.cmdb_netbox.token_file)
        for name in ('tag', 'cluster_type'):
            if not getattr(CONF.cmdb_netbox, name):
                raise errors.Misconfigured(
                    '[cmdb_netbox] %s is not set; expected the slug of one '
                    'that is in NetBox' % name)
        self._client = rest.Client(url, self._authorization)
        self._lock = threading.Lock()
        # What has been found in NetBox and does not change: the ids of the
        # tag, the type of clusters and the VRF, and of clusters by name.
        self._known: ty.Optional[ty.Dict[str, ty.Optional[int]]] = None
        self._clusters: ty.Dict[str, int] = {}
        # How many digits the prefixes of the last page had, and how many of
        # them there were.
        self._width: ty.Optional[ty.Tuple[int, int]] = None

    def _authorization(self):
        token = self._token_file.token()
        # NetBox 4.5 has brought a second kind of token.
        return ('Bearer ' if token.startswith('nbt_') else 'Token ') + token

    def put(self, record):
        rest.check_server_id(record['id'])
        with _understood():
            try:
                self._put(record)
            except errors.Rejected:
                # Perhaps somebody else has made, or removed, the same thing
                # at the same time; then it is there, or gone, by now.
                self._clusters.clear()
                self._put(record)

    def delete(self, server_id):
        rest.check_server_id(server_id)
        with _understood():
            for vm in self._find(server_id):
                self._remove(vm)

    def page(self, limit, marker=None):
        start = 0
        if marker is not None:
            start = uuid.UUID(rest.check_server_id(marker)).int + 1
        with _understood():
            vms = self._page(min(limit, _MAX_PAGE), start)
            by_server: ty.Dict[str, list] = {}
            for vm in vms:
                by_server.setdefault(
                    vm['custom_fields'][ID_FIELD], []).append(vm)
            machines = [_Machine(by_server[server_id])
                        for server_id in sorted(by_server)]
            self._load(machines)
            return [base.Entry(machine.server_id, {'machine': machine})
                    for machine in machines]

    def differences(self, record, content):
        with _understood():
            return content['machine'].differences(record)

    def reload(self):
        self._token_file.reload()
        self._known = None
        self._clusters.clear()

    def close(self):
        self._client.close()

    # Requests.

    def _list(self, path, params):
        """All objects that NetBox has for these parameters."""
        found = []
        while True:
            entries, count = self._some(path, params, len(found))
            found += entries
            if not entries or len(found) >= count:
                return found

    def _some(self, path, params, offset=0, limit=_MAX_PAGE):
        """Some objects, and how many there are for these parameters."""
        params = params + [('limit', limit), ('offset', offset),
                           ('ordering', 'id')]
        if path in _FIELDS:
            params.append(('fields', _FIELDS[path]))
        try:
            data = self._client.request('GET', path, params).data
        except errors.Rejected as error:
            # Among others, the tag or the VRF has been removed.
            self._known = None
            raise errors.Unavailable(str(error)) from None
        if not isinstance(data['results'], list) or (
                type(data['count']) is not int):
            raise ValueError('no list')
        return data['results'], data['count']

    def _each(self, path, name, values, params=()):
        """All objects that have one of these values."""
        values = list(values)
        for i in range(0, len(values), _PER_URL):
            yield from self._list(path, list(params) + [
                (name, value) for value in values[i:i + _PER_URL]])

    def _create(self, path, body):
        return self._client.request('POST', path, body=body).data

    def _change(self, path, entry, body):
        self._client.request('PATCH', '%s%d/' % (path, _id(entry)), body=body)

    def _delete(self, path, entry):
        self._client.request(
            'DELETE', '%s%d/' % (path, _id(entry)), fine=(404,))

    # What people have set up.

    def _setup(self):
        """The ids of what has to be in NetBox.

        :raises nova.cmdb.errors.Unavailable: something is missing; says what
        """
        with self._lock:
            if self._known is None:
                self._known = self._look_up()
            return self._known

    def _look_up(self):
        options = CONF.cmdb_netbox
        found, missing = {}, []
        types = {field['name']: field['type']['value']
                 for field in self._list(_CUSTOM_FIELDS, [
                     ('object_type', 'virtualization.virtualmachine')])}
        for name, kind in CUSTOM_FIELDS.items():
            if types.get(name) != kind:
                missing.append('the custom field %s of type %s for virtual '
                               'machines' % (name, kind))
        for key, path, what, by in (
                ('tag', _TAGS, 'tag', 'slug'),
                ('cluster_type', _CLUSTER_TYPES, 'cluster type', 'slug'),
                ('vrf', _VRFS, 'VRF', 'name')):
            value = getattr(options, key)
            entries = [entry for entry in self._list(path, [(by, value)])
                       if entry[by] == value] if value else []
            if value and not entries:
                missing.append('the %s with the %s %s, see [cmdb_netbox] %s' %
                               (what, by, value, key))
            found[key] = _id(_lowest(entries)) if entries else None
        if missing:
            raise errors.Unavailable(
                'NetBox lacks, or our token may not see: %s' %
                '; '.join(missing))
        return found

    def _cluster(self, name):
        """The id of a cluster, which is made if there is none."""
        if name not in self._clusters:
            kind = self._setup()['cluster_type']

            def find():
                return [entry for entry in self._list(
                    _CLUSTERS, [('name', name), ('type_id', kind)])
                    if entry['name'] == name]

            found = find()
            if not found:
                self._create(_CLUSTERS, {'name': name, 'type': kind})
                # Perhaps two have made it: the same one is used by both.
                found = find()
            self._clusters[name] = _id(_lowest(found))
        return self._clusters[name]

    # Virtual machines.

    def _vms(self, params):
        """Those of ours, with the id of a server."""
        self._setup()
        params = [('tag', CONF.cmdb_netbox.tag)] + params
        return [vm for vm in self._list(_VMS, params) if self._is_server(vm)]

    @staticmethod
    def _is_server(vm):
        return _ours(vm) and rest.is_server_id(
            vm['custom_fields'].get(ID_FIELD))

    def _find(self, server_id):
        return [vm for vm in self._vms([('cf_' + ID_FIELD, server_id)])
                if vm['custom_fields'][ID_FIELD] == server_id]

    def _load(self, machines, macs=False):
        """Read what hangs on the machines, in few requests."""
        by_vm = {_id(machine.vm): machine for machine in machines}
        by_interface = {}
        for machine in machines:
            machine.interfaces, machine.addresses, machine.macs = [], [], []
        for entry in self._each(_INTERFACES, 'virtual_machine_id', by_vm):
            machine = by_vm.get(_id(entry['virtual_machine']))
            if machine:
                machine.interfaces.append(entry)
                by_interface[_id(entry)] = machine
        for path, name in [(_ADDRESSES, 'addresses')] + (
                [(_MACS, 'macs')] if macs else []):
            for entry in self._each(path, 'virtual_machine_id', by_vm):
                machine = by_interface.get(entry['assigned_object_id'])
                if machine and entry['assigned_object_type'] == (
                        _INTERFACE_TYPE):
                    getattr(machine, name).append(entry)
        self._look_elsewhere(machines)

    def _look_elsewhere(self, machines):
        """Find what stands in people's own objects of what ours lack."""
        lacking = {}
        for machine in machines:
            have = {address for _name, address in machine.our_addresses()}
            for address in _recorded(machine.vm) - have:
                lacking.setdefault(address, []).append(machine)
        for address in self._held_by_others(lacking):
            for machine in lacking.get(address, ()):
                machine.elsewhere.add(address)

    def _held_by_others(self, addresses):
        """Of some addresses those for which there is an object, not ours."""
        vrf = self._setup()['vrf']
        return {_address_of(entry) for entry in self._each(
            _ADDRESSES, 'address', addresses,
            [('vrf_id', 'null' if vrf is None else vrf)])
            if not _ours(entry)}

    def _put(self, record):
        found = self._find(record['id'])
        if not found:
            self._create(_VMS, self._new_vm(record))
            found = self._find(record['id'])
        machine = _Machine(found)
        for double in machine.doubles:
            self._remove(double)
        self._load([machine], macs=True)
        self._drop_stale(machine, record)
        self._make_interfaces(machine, record)
        self._make_addresses(machine, record)
        changes = machine.changes(record)
        if 'cluster' in changes:
            changes['cluster'] = self._cluster(changes['cluster'])
        changes.update(machine.primaries(record))
        if changes:
            self._change(_VMS, machine.vm, changes)

    def _new_vm(self, record):
        return {'name': _name(record),
                'cluster': self._cluster(_cluster_name(record)),
                'status': _STATUS.get(record['state'], 'offline'),
                'vcpus': record['vcpus'], 'memory': record['memory_mb'],
                'disk': _disk(record), 'tags': [self._setup()['tag']],
                'custom_fields': _custom_fields(record)}

    def _drop_stale(self, machine, record):
        """Remove interfaces and addresses of ours that the server lacks."""
        wanted = _addresses(record)
        for pair, entries in machine.our_addresses().items():
            for entry in entries:
                if pair not in wanted or entry is not _lowest(entries):
                    self._delete_address(machine, entry)
        wanted = _interfaces(record)
        for interface in machine.our_interfaces:
            if interface['name'] not in wanted:
                self._release(machine, [interface])
                self._delete(_INTERFACES, interface)
                machine.interfaces.remove(interface)

    def _make_interfaces(self, machine, record):
        have = {entry['name']: entry for entry in machine.our_interfaces}
        tags = [self._setup()['tag']]
        for name, fields in _interfaces(record).items():
            interface = have.get(name)
            if not interface:
                interface = self._create(_INTERFACES, {
                    'virtual_machine': _id(machine.vm), 'name': name,
                    'description': fields['description'], 'tags': tags})
                machine.interfaces.append(interface)
            elif interface['description'] != fields['description']:
                self._change(_INTERFACES, interface, {
                    'description': fields['description']})
            self._make_mac(machine, interface, fields['mac_address'], tags)

    def _make_mac(self, machine, interface, address, tags):
        """Bring the MAC address of an interface of ours in line."""
        def ours():
            return [mac for mac in machine.macs if _ours(mac) and
                    mac['assigned_object_id'] == _id(interface)]

        right = [mac for mac in ours() if mac['mac_address'] == address]
        if address and not right:
            self._create(_MACS, {
                'mac_address': address, 'tags': tags,
                'assigned_object_type': _INTERFACE_TYPE,
                'assigned_object_id': _id(interface)})
            machine.macs = [
                mac for mac in self._list(
                    _MACS, [('virtual_machine_id', _id(machine.vm))])
                if mac['assigned_object_type'] == _INTERFACE_TYPE]
            right = [mac for mac in ours() if mac['mac_address'] == address]
        keep = _lowest(right) if right else None
        primary = interface['primary_mac_address']
        if keep and _id(keep) != (primary and _id(primary)) and (
                primary is None or
                _id(primary) in [_id(mac) for mac in ours()]):
            self._change(_INTERFACES, interface,
                         {'primary_mac_address': _id(keep)})
        for mac in ours():
            if mac is not keep:
                self._delete(_MACS, mac)

    def _make_addresses(self, machine, record):
        wanted = _addresses(record)
        for pair, entries in machine.our_addresses().items():
            if entries[0]['description'] != wanted[pair]:
                self._change(_ADDRESSES, entries[0],
                             {'description': wanted[pair]})
        have = machine.our_addresses()
        missing = [pair for pair in wanted if pair not in have]
        held = self._held_by_others(sorted({pair[1] for pair in missing}))
        missing = [pair for pair in missing if pair[1] not in held]
        if not missing:
            return
        interfaces = {entry['name']: entry
                      for entry in machine.our_interfaces}
        setup = self._setup()
        for name, address in missing:
            self._create(_ADDRESSES, {
                # A mask of its full length, as none is known.
                'address': str(ipaddress.ip_interface(address)),
                'vrf': setup['vrf'], 'description': wanted[name, address],
                'tags': [setup['tag']],
                'assigned_object_type': _INTERFACE_TYPE,
                'assigned_object_id': _id(interfaces[name])})
        machine.addresses = self._list(
            _ADDRESSES, [('virtual_machine_id', _id(machine.vm))])
        for pair, entries in machine.our_addresses().items():
            for entry in entries:
                if entry is not _lowest(entries):
                    self._delete_address(machine, entry)

    def _delete_address(self, machine, address):
        self._delete(_ADDRESSES, address)
        machine.addresses.remove(address)
        for field in ('primary_ip4', 'primary_ip6'):
            primary = machine.vm[field]
            if primary and _id(primary) == _id(address):
                # As NetBox does.
                machine.vm[field] = None

    def _remove(self, vm):
        """Delete a virtual machine of ours, and what is ours on it.

        Interfaces that others have added cannot be without it and go too;
        their IP and MAC addresses stay, unassigned.
        """
        machine = _Machine([vm])
        self._load([machine], macs=True)
        self._release(machine, machine.interfaces)
        self._delete(_VMS, vm)

    def _release(self, machine, interfaces):
        """Unassign what others have assigned to interfaces that will go."""
        gone = {_id(interface): interface for interface in interfaces}
        # NetBox does not let go of what is primary.
        for address in machine.addresses:
            if _ours(address) or address['assigned_object_id'] not in gone:
                continue
            for field in ('primary_ip4', 'primary_ip6'):
                primary = machine.vm[field]
                if primary and _id(primary) == _id(address):
                    self._change(_VMS, machine.vm, {field: None})
                    machine.vm[field] = None
            self._change(_ADDRESSES, address, _UNASSIGNED)
        for mac in machine.macs:
            interface = gone.get(mac['assigned_object_id'])
            if _ours(mac) or not interface:
                continue
            primary = interface['primary_mac_address']
            if primary and _id(primary) == _id(mac):
                self._change(_INTERFACES, interface,
                             {'primary_mac_address': None})
            self._change(_MACS, mac, _UNASSIGNED)

    # Pages.

    def _page(self, limit, start):
        """Virtual machines with the next server ids, none twice in pages.

        NetBox sorts by no custom field, so that they are asked for by what
        their ids begin with: by as many neighbouring prefixes of as many
        digits as one page holds. How many that is, the last page has told.

        :param limit: no more than so many
        :param start: the lowest id, as an integer
        """
        digits, many = self._width or self._guess(limit)
        # Up to here there are more than a page has.
        crowded = 0
        for _try in range(_MAX_TRIES):
            if start >> 128:
                return []
            shift = 4 * (32 - digits)
            first = start >> shift
            blocks = range(first, min(first + many, 16 ** digits))
            params = [('tag', CONF.cmdb_netbox.tag)] + [
                ('cf_%s__isw' % ID_FIELD, _prefix(block, digits))
                for block in blocks]
            vms, count = self._some(_VMS, params, limit=limit)
            # Of one whole id there may be doubles, and no end of them.
            if count > limit and (digits, many) != (32, 1):
                if first << shift >= start:
                    crowded = blocks[-1] + 1 << shift
                digits, many = _narrower(digits, many)
                continue
            while len(vms) < count:
                # NetBox may be set to give less at once than we ask for.
                more, count = self._some(_VMS, params, len(vms), limit)
                if not more:
                    break
                vms += more
            end = blocks[-1] + 1 << shift
            vms = [vm for vm in vms if self._is_server(vm) and
                   start <= uuid.UUID(vm['custom_fields'][ID_FIELD]).int < end]
            start = end
            if start < crowded and not vms:
                # They are all in the rest of it.
                digits, many = _narrower(digits, crowded - start >> shift)
            elif start >= crowded and count < limit / 3:
                digits, many = _wider(start, digits, many, count)
            if vms:
                self._width = digits, many
                return vms
        raise ValueError('no page after %d requests' % _MAX_TRIES)

    def _guess(self, limit):
        """Prefixes that should give most of a page, as ids are random."""
        self._setup()
        _none, total = self._some(
            _VMS, [('tag', CONF.cmdb_netbox.tag)], limit=1)
        digits = 1
        # Blocks so small that several fill a page without passing its limit.
        while digits < 32 and total / 16 ** digits > limit / 2:
            digits += 1
        each = max(total, 1) / 16 ** digits
        return digits, max(1, min(_MAX_PREFIXES, int(0.8 * limit / each)))


_UNASSIGNED = {'assigned_object_type': None, 'assigned_object_id': None}


def _recorded(vm) -> ty.Set[str]:
    """The addresses in the virtual machine's own copy of the record."""
    found = set()
    for entry in vm['custom_fields'].get('nova_addresses') or ():
        # People can edit that.
        with contextlib.suppress(KeyError, TypeError, ValueError):
            found.add(str(ipaddress.ip_address(entry['address'])))
    return found


def _prefix(block: int, digits: int) -> str:
    """The first digits of ids, with the dashes that are between them."""
    text = '%0*x' % (digits, block)
    for position in (8, 13, 18, 23):
        if len(text) > position:
            text = text[:position] + '-' + text[position:]
    return text


def _narrower(digits, many):
    """Half as wide as so many prefixes of so many digits."""
    if many > 1:
        return digits, many // 2
    return (32, 1) if digits == 32 else (digits + 1, 8)


def _wider(start, digits, many, count):
    """Wider from here on, and not so that it reaches back behind it."""
    if count:
        return digits, min(2 * many, _MAX_PREFIXES)
    # Where ids have come to an end, the next may be far away.
    aligned = 32
    while aligned > max(1, digits // 2) and not start >> (
            4 * (32 - aligned)) & 15:
        aligned -= 1
    return aligned, 16 - (start >> 4 * (32 - aligned) & 15)
