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

"""The driver for NetBox, as far as it can be tested without one.

``tests/netbox`` has the tests against a real NetBox; here is what a real one
does not do.
"""

import copy
import itertools
import re

import fixtures
from oslo_utils import uuidutils

from nova.cmdb.drivers import netbox
from nova.cmdb.drivers import rest
from nova.cmdb import errors
from nova import test
from nova.tests.unit.cmdb.drivers import helpers

_VM_TYPE = 'virtualization.vminterface'


class FakeNetBox:
    """The objects of a NetBox, and the filters that the driver uses.

    :ivar ignored: names of filters that it does not know, as an older or
        newer NetBox would not: it then answers with everything
    :ivar writes: methods and paths of the requests that were to change it
    """

    def __init__(self):
        self._ids = itertools.count(100)
        self.tables = {path: {} for path in (
            'virtualization/virtual-machines', 'virtualization/interfaces',
            'virtualization/clusters', 'virtualization/cluster-types',
            'ipam/ip-addresses', 'ipam/vrfs', 'dcim/mac-addresses',
            'extras/tags', 'extras/custom-fields')}
        self.ignored = set()
        self.writes = []
        #: called with method, path and answer; returns the answer to give
        self.tamper = lambda method, path, answer: answer
        for name, kind in netbox.CUSTOM_FIELDS.items():
            self.add('extras/custom-fields', name=name, type={'value': kind})
        self.tag = self.add('extras/tags', slug='cloud-1')
        self.add('virtualization/cluster-types', slug='openstack')

    def add(self, table, **fields):
        entry = dict(fields, id=next(self._ids))
        self.tables[table][entry['id']] = entry
        return entry

    def request(self, _client, method, path, params=(), body=None, fine=()):
        table, _, number = path[len('/api/'):].rstrip('/').rpartition('/')
        if not number.isdigit():
            table, number = table + '/' + number, ''
        if method != 'GET':
            self.writes.append((method, path))
        answer = getattr(self, method.lower())(
            table, number and int(number), dict_of(params), body)
        return rest.Answer(200, self.tamper(method, path, answer))

    def get(self, table, _number, params, _body):
        entries = sorted(self.tables[table].values(), key=lambda e: e['id'])
        for name, values in params.items():
            if name not in self.ignored:
                entries = [entry for entry in entries
                           if self.matches(entry, name, values)]
        start = int(params['offset'][0])
        return copy.deepcopy({
            'count': len(entries),
            'results': entries[start:start + int(params['limit'][0])]})

    def matches(self, entry, name, values):
        if name in ('limit', 'offset', 'ordering', 'fields', 'object_type',
                    'type_id', 'vrf_id'):
            return True
        if name == 'tag':
            return any(tag['slug'] in values for tag in entry['tags'])
        if name.startswith('cf_'):
            value = entry['custom_fields']['nova_server_id'] or ''
            return value in values if name == 'cf_nova_server_id' else (
                value.startswith(tuple(values)))
        if name == 'virtual_machine_id':
            if 'virtual_machine' in entry:
                return entry['virtual_machine']['id'] in values
            interface = self.tables['virtualization/interfaces'].get(
                entry['assigned_object_id'])
            return interface and interface['virtual_machine']['id'] in values
        if name == 'address':
            return entry['address'].partition('/')[0] in values
        return entry[name] in values

    def post(self, table, _number, _params, body):
        return copy.deepcopy(self.change(table, self.add(table), dict({
            'tags': [], 'primary_ip4': None, 'primary_ip6': None,
            'virtual_disk_count': 0, 'primary_mac_address': None,
            'mac_addresses': []}, **body)))

    def patch(self, table, number, _params, body):
        return copy.deepcopy(
            self.change(table, self.tables[table][number], body))

    def change(self, table, entry, body):
        for name, value in body.items():
            if name == 'tags':
                value = [self.tables['extras/tags'][tag] for tag in value]
            elif name == 'cluster':
                value = self.tables['virtualization/clusters'][value]
            elif name == 'status':
                value = {'value': value}
            elif name == 'custom_fields':
                value = dict(entry.get(name) or {}, **value)
            elif value is not None and name in (
                    'virtual_machine', 'primary_ip4', 'primary_ip6',
                    'primary_mac_address'):
                value = {'id': value}
            entry[name] = value
        if table == 'dcim/mac-addresses':
            self.tables['virtualization/interfaces'][
                entry['assigned_object_id']]['mac_addresses'].append(entry)
        return entry

    def delete(self, table, number, _params, _body):
        self.tables[table].pop(number, None)
        for vm in self.tables['virtualization/virtual-machines'].values():
            for field in ('primary_ip4', 'primary_ip6'):
                if vm[field] == {'id': number}:
                    vm[field] = None


def dict_of(params):
    found = {}
    for name, value in params:
        found.setdefault(name, []).append(value)
    return found


class NetBoxTestCase(test.NoDBTestCase):

    def setUp(self):
        super().setUp()
        self.netbox = FakeNetBox()
        fake = self.netbox
        self.useFixture(fixtures.MonkeyPatch(
            'nova.cmdb.drivers.rest.Client.request',
            lambda client, *args, **kwargs: fake.request(
                client, *args, **kwargs)))
        self.flags(url='https://netbox.example', tag='cloud-1',
                   token_file=helpers.token_file(self),
                   cluster_type='openstack', group='cmdb_netbox')
        self.driver = netbox.NetBoxDriver()
        self.addCleanup(self.driver.close)
        self.vms = self.netbox.tables['virtualization/virtual-machines']

    def theirs(self, **fields):
        """A virtual machine that somebody has made."""
        return self.netbox.add('virtualization/virtual-machines', **dict({
            'name': 'theirs', 'tags': [], 'status': {'value': 'active'},
            'cluster': None, 'vcpus': None, 'memory': None, 'disk': None,
            'virtual_disk_count': 0, 'primary_ip4': None, 'primary_ip6': None,
            'custom_fields': {'nova_server_id': None}}, **fields))


class RecordsTestCase(NetBoxTestCase):

    def test_a_record_that_was_put_is_on_a_page_without_a_difference(self):
        self.driver.put(helpers.record())
        entry, = self.driver.page(10)
        self.assertEqual(helpers.ID_1, entry.server_id)
        self.assertEqual(
            [], self.driver.differences(helpers.record(), entry.content))

    def test_putting_again_writes_nothing(self):
        self.driver.put(helpers.record())
        self.netbox.writes.clear()
        self.driver.put(helpers.record())
        self.assertEqual([], self.netbox.writes)

    def test_an_address_that_replaces_the_primary_one_is_primary(self):
        self.driver.put(helpers.record())
        changed = helpers.record()
        changed['addresses'][0]['address'] = '10.0.0.6'
        self.driver.put(changed)
        vm, = self.vms.values()
        address = self.netbox.tables['ipam/ip-addresses'][
            vm['primary_ip4']['id']]
        self.assertEqual('10.0.0.6/32', address['address'])

    def test_differences_names_what_is_not_as_it_should_be(self):
        self.driver.put(helpers.record())
        changed = helpers.record(host='compute-2', state='stopped',
                                 addresses=[])
        self.assertEqual(
            ['addresses', 'host', 'interfaces', 'primary_ip4', 'primary_ip6',
             'state', 'status'],
            self.driver.differences(
                changed, self.driver.page(10)[0].content))

    def test_an_id_that_is_no_uuid_is_not_sent(self):
        for server_id in ('../1', '', None, 7, helpers.ID_1.upper()):
            self.assertRaises(errors.Rejected, self.driver.put,
                              helpers.record(server_id))
            self.assertRaises(errors.Rejected, self.driver.delete, server_id)
        self.assertEqual([], self.netbox.writes)

    def test_the_header_says_of_which_kind_the_token_is(self):
        for token, expected in (('0123', 'Token 0123'),
                                ('nbt_a.b', 'Bearer nbt_a.b')):
            self.flags(token_file=helpers.token_file(self, token),
                       group='cmdb_netbox')
            self.assertEqual(expected,
                             netbox.NetBoxDriver()._authorization())

    def test_options_that_are_not_set_are_named(self):
        for name in ('url', 'token_file', 'tag', 'cluster_type'):
            self.flags(group='cmdb_netbox', **{name: None})
            error = self.assertRaises(
                errors.Misconfigured, netbox.NetBoxDriver)
            self.assertIn('[cmdb_netbox] %s is not set' % name, str(error))
            self.flags(group='cmdb_netbox', **{
                name: helpers.token_file(self) if name == 'token_file'
                else 'https://netbox.example'})


class HostileTestCase(NetBoxTestCase):
    """A NetBox that answers with what was not asked for."""

    def test_filters_that_it_does_not_know_lead_to_nothing_else(self):
        ours = helpers.record()
        self.driver.put(ours)
        self.driver.put(helpers.record(helpers.ID_2, addresses=[]))
        theirs = [
            self.theirs(), self.theirs(tags=[self.netbox.tag]),
            self.theirs(custom_fields={'nova_server_id': helpers.ID_1}),
            self.theirs(tags=[{'slug': 'cloud-2'}],
                        custom_fields={'nova_server_id': helpers.ID_1})]
        interface = self.netbox.add(
            'virtualization/interfaces', name='eth0', tags=[],
            virtual_machine={'id': theirs[0]['id']}, description='',
            primary_mac_address=None, mac_addresses=[])
        self.netbox.add(
            'ipam/ip-addresses', address='192.0.2.1/24', tags=[],
            description='', assigned_object_type=_VM_TYPE,
            assigned_object_id=interface['id'])
        before = copy.deepcopy(self.netbox.tables)
        self.netbox.ignored = {
            'tag', 'cf_nova_server_id', 'cf_nova_server_id__isw',
            'virtual_machine_id', 'address'}
        self.netbox.writes.clear()

        self.driver.put(ours)
        self.assertEqual([], self.netbox.writes)
        self.assertEqual(
            [helpers.ID_1, helpers.ID_2],
            sorted({entry.server_id for entry in self.driver.page(100)}))
        number = next(vm['id'] for vm in self.vms.values()
                      if vm['tags'] == [self.netbox.tag] and
                      vm['custom_fields']['nova_server_id'] == helpers.ID_1)
        self.driver.delete(helpers.ID_1)
        self.assertEqual(
            [('DELETE', '/api/virtualization/virtual-machines/%d/' % number)],
            self.netbox.writes)
        del before['virtualization/virtual-machines'][number]
        self.assertEqual(before, self.netbox.tables)

    def assertNotUnderstood(self, tamper):
        self.driver.put(helpers.record())
        self.netbox.tamper = tamper
        self.netbox.writes.clear()
        for call in (lambda: self.driver.put(helpers.record(name='renamed')),
                     lambda: self.driver.delete(helpers.ID_1),
                     lambda: self.driver.page(10)):
            error = self.assertRaises(errors.Unavailable, call)
            self.assertIn('answer not understood', str(error))
        self.assertEqual([], self.netbox.writes)

    def test_ids_that_are_no_numbers(self):
        for value in ('1', '../../users/1', None, True, 1.5, {}):
            def tamper(method, path, answer, value=value):
                if 'virtual-machines' in path:
                    for entry in answer['results']:
                        entry['id'] = value
                return answer

            self.netbox.tamper = lambda method, path, answer: answer
            self.assertNotUnderstood(tamper)

    def test_answers_that_are_no_lists(self):
        for value in (None, [], 'text', 7, {}, {'results': None, 'count': 1},
                      {'results': {}, 'count': 1},
                      {'results': [], 'count': '1'},
                      {'results': [None], 'count': 1},
                      {'results': ['text'], 'count': 1},
                      {'results': [{}], 'count': 1}):
            self.netbox.tamper = lambda method, path, answer: answer
            self.assertNotUnderstood(
                lambda method, path, answer, value=value: value)

    def test_a_count_that_is_never_reached_comes_to_an_end(self):
        self.driver.put(helpers.record())

        def tamper(method, path, answer):
            return dict(answer, count=5)

        self.netbox.tamper = tamper
        self.assertEqual(1, len(self.driver.page(10)))

    def test_a_count_that_is_too_large_everywhere_comes_to_an_end(self):
        self.driver.put(helpers.record())
        self.netbox.tamper = lambda method, path, answer: dict(
            answer, count=10 ** 9)
        self.assertRaises(errors.Unavailable, self.driver.page, 10)


class PagesTestCase(NetBoxTestCase):

    def add(self, ids):
        for server_id in ids:
            self.theirs(tags=[self.netbox.tag],
                        custom_fields={'nova_server_id': server_id})

    def walk(self, limit):
        pages, marker = [], None
        while True:
            page = [entry.server_id
                    for entry in self.driver.page(limit, marker)]
            if not page:
                return pages
            self.assertLessEqual(len(page), limit)
            pages.append(page)
            marker = page[-1]

    def assertWalked(self, ids, limit):
        pages = self.walk(limit)
        self.assertEqual(sorted(ids), sum(pages, []))
        return pages

    def test_random_ids_are_walked_in_pages_that_are_mostly_full(self):
        ids = [uuidutils.generate_uuid() for _number in range(2000)]
        self.add(ids)
        self.assertLess(len(self.assertWalked(ids, 100)), 50)

    def test_ids_that_hardly_differ_are_walked(self):
        ids = ['abcdef01-2345-4678-9abc-%012x' % number
               for number in range(300)]
        self.add(ids)
        self.assertWalked(ids, 20)

    def test_a_page_of_one_is_walked(self):
        ids = [uuidutils.generate_uuid() for _number in range(20)] + [
            helpers.ID_1, helpers.ID_1[:-1] + '2']
        self.add(ids)
        self.assertWalked(ids, 1)

    def test_the_first_and_the_last_id_there_can_be(self):
        ids = ['00000000-0000-0000-0000-000000000000',
               'ffffffff-ffff-ffff-ffff-ffffffffffff']
        self.add(ids)
        self.assertWalked(ids, 10)

    def test_doubles_are_one_entry(self):
        self.add([helpers.ID_1, helpers.ID_1, helpers.ID_2])
        self.assertWalked([helpers.ID_1, helpers.ID_2], 10)

    def test_the_prefixes_are_those_of_ids(self):
        server_id = uuidutils.generate_uuid()
        digits = server_id.replace('-', '')
        for number in range(1, 33):
            prefix = netbox._prefix(int(digits[:number], 16), number)
            self.assertTrue(server_id.startswith(prefix), prefix)
            self.assertEqual(number, len(re.sub('-', '', prefix)))
