"""The driver netbox against a real NetBox."""

import contextlib
import urllib.error
import uuid

import driver
import pytest
import scene
from scene import address
from scene import record


def changed_since(cloud, before):
    """The objects of this cloud's virtual machines that have changed."""
    return [entry['id'] for entry in cloud.vms()
            if entry['last_updated'] != before[entry['id']]]


class TestRecords:

    def test_a_record_is_in_netbox_with_all_that_is_in_it(self, cloud):
        it = record(addresses=[
            address('10.0.0.5'), address('2001:db8::5'),
            address('192.0.2.9', kind='floating'),
            address('10.1.0.7', scene.PORT_2, scene.MAC_2,
                    network='storage')])
        cloud.driver.put(it)
        vm = cloud.vm(it['id'])
        assert vm['name'] == 'web-1 (%s)' % it['id'][:13]
        assert vm['status']['value'] == 'active'
        assert vm['cluster']['name'] == 'az1'
        assert (vm['vcpus'], vm['memory'], vm['disk']) == (2, 2048, 20480)
        assert [tag['slug'] for tag in vm['tags']] == [cloud.tag]
        for name in ('name', 'project_id', 'user_id', 'flavor', 'host',
                     'node', 'cell', 'availability_zone', 'state', 'fault',
                     'created_at', 'business_tag', 'addresses'):
            assert vm['custom_fields']['nova_' + name] == it[name], name
        interfaces = cloud.interfaces(vm)
        first = it['addresses'][0]['port_id']
        assert {name: (entry['description'], entry['mac_address'])
                for name, entry in interfaces.items()} == {
            first: ('private', 'FA:16:3E:00:00:01'),
            scene.PORT_2: ('storage', 'FA:16:3E:00:00:02')}
        assert {name: (entry['assigned_object']['name'],
                       entry['description'], entry['vrf']['id'])
                for name, entry in cloud.addresses(vm).items()} == {
            '10.0.0.5/32': (first, 'fixed', cloud.vrf),
            '2001:db8::5/128': (first, 'fixed', cloud.vrf),
            '192.0.2.9/32': (first, 'floating', cloud.vrf),
            '10.1.0.7/32': (scene.PORT_2, 'fixed', cloud.vrf)}
        assert vm['primary_ip4']['address'] == '10.0.0.5/32'
        assert vm['primary_ip6']['address'] == '2001:db8::5/128'
        assert cloud.driver.diff([it]) == {}

    def test_putting_again_changes_nothing(self, cloud):
        it = record()
        cloud.driver.put(it)
        count = cloud.call('GET', 'core/object-changes/?limit=1')['count']
        cloud.driver.put(it)
        assert cloud.call(
            'GET', 'core/object-changes/?limit=1')['count'] == count
        assert cloud.driver.requests == 4

    @pytest.mark.parametrize('change', [
        {'name': 'renamed'}, {'name': 'x' * 255}, {'name': '  '},
        {'name': 'ünïcode ☃'}, {'project_id': 'other'},
        {'flavor': 'm1.large', 'vcpus': 4, 'memory_mb': 8192, 'disk_gb': 0},
        {'host': None, 'node': None, 'availability_zone': None},
        {'host': 'compute-2', 'availability_zone': 'az2'},
        {'state': 'error', 'fault': {'code': 500, 'message': 'No host'}},
        {'state': 'shelved_offloaded'}, {'business_tag': None},
        {'vcpus': None, 'memory_mb': None, 'disk_gb': None, 'flavor': None,
         'created_at': None},
        {'addresses': []},
        {'addresses': [address('10.0.0.6')]},
        {'addresses': [address('10.0.0.5', mac='fa:16:3e:00:00:99')]},
        {'addresses': [address('10.0.0.5', network='other')]},
        {'addresses': [address('10.0.0.5', port=scene.PORT_2,
                               mac=scene.MAC_2)]},
        {'addresses': [address('10.0.0.5', kind='floating')]},
        {'addresses': [address('10.0.0.5', port=None, mac=None,
                               network=None)]},
    ], ids=lambda change: '-'.join(change)[:40])
    def test_a_change_is_seen_and_brought_in_line(self, cloud, change):
        it = record()
        cloud.driver.put(it)
        changed = dict(it, **change)
        assert cloud.driver.diff([changed])
        cloud.driver.put(changed)
        assert cloud.driver.diff([changed]) == {}
        # And back: what was made for the change goes again.
        cloud.driver.put(it)
        assert cloud.driver.diff([it]) == {}
        assert cloud.counts() == {
            'vms': 1, 'interfaces': 1, 'addresses': 2, 'macs': 1}

    def test_servers_of_one_name_do_not_meet(self, cloud):
        records = [record(), record(), record(name='WEB-1')]
        for it in records:
            cloud.driver.put(it)
        assert cloud.driver.diff(records) == {}

    def test_deleting_removes_that_server_and_what_is_ours_on_it(self, cloud):
        one, other = record(), record(addresses=[])
        cloud.driver.put(one)
        cloud.driver.put(other)
        cloud.driver.delete(one['id'])
        assert cloud.driver.diff([other]) == {}
        assert cloud.counts() == {
            'vms': 1, 'interfaces': 0, 'addresses': 0, 'macs': 0}

    def test_deleting_what_is_not_there_is_a_success(self, cloud):
        cloud.driver.delete(str(uuid.uuid4()))

    def test_clusters_can_be_cells(self, cloud):
        it = record()
        by_cell = cloud.another_driver(cluster_by='cell')
        by_cell.put(it)
        assert cloud.vm(it['id'])['cluster']['name'] == 'cell1'
        assert by_cell.diff([it]) == {}

    def test_clusters_of_another_type_are_not_used(self, cloud):
        kind = cloud.call('POST', 'virtualization/cluster-types/', {
            'name': cloud.tag, 'slug': cloud.tag})
        theirs = cloud.call('POST', 'virtualization/clusters/', {
            'name': cloud.tag, 'type': kind['id']})
        it = record(availability_zone=cloud.tag)
        cloud.driver.put(it)
        assert cloud.vm(it['id'])['cluster']['id'] != theirs['id']

    def test_a_cluster_that_people_have_removed_is_made_again(self, cloud):
        one, two = [record(availability_zone='z ' + cloud.tag)
                    for _number in range(2)]
        cloud.driver.put(one)
        cluster = cloud.vm(one['id'])['cluster']['id']
        cloud.driver.delete(one['id'])
        cloud.call('DELETE', 'virtualization/clusters/%d/' % cluster)
        cloud.driver.put(two)
        assert cloud.driver.diff([two]) == {}


class TestPeople:
    """What people have done in NetBox stays as they have left it."""

    def test_what_they_added_to_our_virtual_machine_stays(self, cloud):
        it = record()
        cloud.driver.put(it)
        vm = cloud.vm(it['id'])
        tenant = cloud.call('POST', 'tenancy/tenants/', {
            'name': cloud.tag, 'slug': cloud.tag})['id']
        tag = cloud.call('POST', 'extras/tags/', {
            'name': 'x' + cloud.tag, 'slug': 'x' + cloud.tag})['id']
        cloud.call('POST', 'extras/custom-fields/', {
            'name': cloud.tag.replace('-', '_'), 'type': 'text',
            'object_types': ['virtualization.virtualmachine']})
        cloud.call('PATCH', 'virtualization/virtual-machines/%d/' % vm['id'], {
            'tenant': tenant, 'comments': 'ours', 'description': 'mine',
            'serial': 'S1', 'tags': [{'slug': cloud.tag}, {'id': tag}],
            'custom_fields': {cloud.tag.replace('-', '_'): 'theirs'}})
        interface = cloud.call('POST', 'virtualization/interfaces/', {
            'virtual_machine': vm['id'], 'name': 'eth0'})
        theirs = cloud.call('POST', 'ipam/ip-addresses/', {
            'address': '198.51.100.1/24',
            'assigned_object_type': 'virtualization.vminterface',
            'assigned_object_id': interface['id']})
        mac = cloud.call('POST', 'dcim/mac-addresses/', {
            'mac_address': '02:00:00:00:00:01',
            'assigned_object_type': 'virtualization.vminterface',
            'assigned_object_id': interface['id']})
        cloud.call('POST', 'ipam/services/', {
            'name': 'ssh', 'protocol': 'tcp', 'ports': [22],
            'parent_object_type': 'virtualization.virtualmachine',
            'parent_object_id': vm['id']})
        cloud.call('PATCH', 'virtualization/virtual-machines/%d/' % vm['id'], {
            'primary_ip4': theirs['id']})
        assert cloud.driver.diff([it]) == {}
        before = cloud.vm(it['id'])

        it = dict(it, name='renamed', availability_zone='az2', addresses=[
            address('10.9.9.9', scene.PORT_2, scene.MAC_2)])
        cloud.driver.put(it)
        assert cloud.driver.diff([it]) == {}
        vm = cloud.vm(it['id'])
        assert vm['id'] == before['id']
        for name in ('tenant', 'comments', 'description', 'serial', 'tags',
                     'primary_ip4'):
            assert vm[name] == before[name], name
        assert vm['custom_fields'][cloud.tag.replace('-', '_')] == 'theirs'
        assert cloud.interfaces(vm)['eth0']['last_updated'] == (
            interface['last_updated'])
        assert cloud.addresses(vm)['198.51.100.1/24']['last_updated'] == (
            theirs['last_updated'])
        assert cloud.macs(vm)[mac['mac_address']]['id'] == mac['id']
        assert cloud.call('GET', 'ipam/services/?virtual_machine_id=%d' %
                          vm['id'])['count'] == 1

    def test_disks_they_added_stand_for_the_disk(self, cloud):
        it = record()
        cloud.driver.put(it)
        cloud.call('POST', 'virtualization/virtual-disks/', {
            'virtual_machine': cloud.vm(it['id'])['id'], 'name': 'sda',
            'size': 77})
        assert cloud.driver.diff([it]) == {}
        it['disk_gb'] = 40
        it['host'] = 'compute-7'
        cloud.driver.put(it)
        assert cloud.vm(it['id'])['disk'] == 77
        assert cloud.driver.diff([it]) == {}

    def test_their_virtual_machine_of_the_same_name_is_not_ours(self, cloud):
        it = record(availability_zone=cloud.tag)
        cloud.driver.put(record(availability_zone=cloud.tag))
        cluster = cloud.vms()[0]['cluster']['id']
        theirs = cloud.call('POST', 'virtualization/virtual-machines/', {
            'name': 'web-1', 'cluster': cluster})
        cloud.driver.put(it)
        cloud.driver.delete(it['id'])
        after = cloud.call(
            'GET', 'virtualization/virtual-machines/%d/' % theirs['id'])
        assert after['last_updated'] == theirs['last_updated']

    def test_one_with_the_id_but_without_the_tag_is_not_ours(self, cloud):
        it = record()
        cloud.driver.put(record())
        cluster = cloud.vms()[0]['cluster']['id']
        theirs = cloud.call('POST', 'virtualization/virtual-machines/', {
            'name': 'theirs ' + cloud.tag, 'cluster': cluster,
            'custom_fields': {'nova_server_id': it['id']}})
        cloud.driver.put(it)
        cloud.driver.delete(it['id'])
        assert cloud.vm(it['id'])['id'] == theirs['id']

    @pytest.mark.parametrize('value', [
        None, '', 'a', '../1', 'a' * 500,
        'A0000000-0000-4000-8000-00000000000A',
        'a0000000-0000-4000-8000-00000000000', "a' OR 1=1 --"])
    def test_one_with_the_tag_but_without_an_id_is_not_ours(
            self, cloud, value):
        it = record()
        cloud.driver.put(it)
        cluster = cloud.vms()[0]['cluster']['id']
        theirs = cloud.call('POST', 'virtualization/virtual-machines/', {
            'name': 'theirs ' + cloud.tag, 'cluster': cluster,
            'tags': [{'slug': cloud.tag}],
            'custom_fields': {'nova_server_id': value}})
        assert cloud.driver.diff([it]) == {}
        cloud.driver.delete(it['id'])
        assert [vm['id'] for vm in cloud.vms()] == [theirs['id']]

    def test_another_cloud_in_the_same_netbox_is_not_ours(self, cloud):
        tag = 'y' + cloud.tag
        cloud.call('POST', 'extras/tags/', {'name': tag, 'slug': tag})
        other = cloud.another_driver(tag=tag)
        one, two = record(), record()
        cloud.driver.put(one)
        other.put(two)
        assert cloud.driver.diff([one]) == {}
        assert other.diff([two]) == {}
        other.delete(one['id'])
        assert cloud.driver.diff([one]) == {}

    def test_their_object_for_an_address_stands_for_ours(self, cloud):
        theirs = cloud.call('POST', 'ipam/ip-addresses/', {
            'address': '10.0.0.5/24', 'vrf': cloud.vrf, 'status': 'reserved',
            'dns_name': 'web.example'})
        it = record()
        cloud.driver.put(it)
        assert cloud.driver.diff([it]) == {}
        assert list(cloud.addresses(cloud.vm(it['id']))) == ['2001:db8::5/128']
        cloud.driver.delete(it['id'])
        assert cloud.call('GET', 'ipam/ip-addresses/%d/' % theirs['id']) == (
            theirs)

    def test_ours_is_made_when_they_have_removed_theirs(self, cloud):
        theirs = cloud.call('POST', 'ipam/ip-addresses/', {
            'address': '10.0.0.5/24', 'vrf': cloud.vrf})
        it = record()
        cloud.driver.put(it)
        cloud.call('DELETE', 'ipam/ip-addresses/%d/' % theirs['id'])
        assert cloud.driver.diff([it]) == {it['id']: ['addresses']}
        cloud.driver.put(it)
        assert cloud.driver.diff([it]) == {}
        assert '10.0.0.5/32' in cloud.addresses(cloud.vm(it['id']))

    def test_their_addresses_outlive_our_virtual_machine(self, cloud):
        it = record()
        cloud.driver.put(it)
        vm = cloud.vm(it['id'])
        interface = list(cloud.interfaces(vm).values())[0]['id']
        theirs = cloud.call('POST', 'ipam/ip-addresses/', {
            'address': '198.51.100.7/24', 'dns_name': 'a.example',
            'vrf': cloud.vrf,
            'assigned_object_type': 'virtualization.vminterface',
            'assigned_object_id': interface})['id']
        mac = cloud.call('POST', 'dcim/mac-addresses/', {
            'mac_address': '02:00:00:00:00:07',
            'assigned_object_type': 'virtualization.vminterface',
            'assigned_object_id': interface})['id']
        cloud.call('PATCH', 'virtualization/virtual-machines/%d/' % vm['id'], {
            'primary_ip4': theirs})
        cloud.call('PATCH', 'virtualization/interfaces/%d/' % interface, {
            'primary_mac_address': mac})
        cloud.driver.delete(it['id'])
        assert cloud.vms() == []
        after = cloud.call('GET', 'ipam/ip-addresses/%d/' % theirs)
        assert (after['dns_name'], after['assigned_object']) == (
            'a.example', None)
        assert cloud.call('GET', 'dcim/mac-addresses/%d/' % mac)[
            'assigned_object'] is None

    def test_their_address_outlives_an_interface_of_ours(self, cloud):
        it = record()
        cloud.driver.put(it)
        interface = list(cloud.interfaces(
            cloud.vm(it['id'])).values())[0]['id']
        theirs = cloud.call('POST', 'ipam/ip-addresses/', {
            'address': '198.51.100.8/24', 'vrf': cloud.vrf,
            'assigned_object_type': 'virtualization.vminterface',
            'assigned_object_id': interface})['id']
        it['addresses'] = []
        cloud.driver.put(it)
        assert cloud.driver.diff([it]) == {}
        assert cloud.call('GET', 'ipam/ip-addresses/%d/' % theirs)[
            'assigned_object'] is None

    @pytest.mark.parametrize('body', [
        {'name': 'mine'}, {'status': 'offline'}, {'memory': 1},
        {'custom_fields': {'nova_host': 'elsewhere'}},
        {'custom_fields': {'nova_addresses': 'nonsense'}},
        {'custom_fields': {'nova_addresses': [7, {'address': 'x'}]}},
    ], ids=str)
    def test_what_they_changed_of_ours_is_seen_and_mended(self, cloud, body):
        it = record()
        cloud.driver.put(it)
        cloud.call('PATCH', 'virtualization/virtual-machines/%d/' %
                   cloud.vm(it['id'])['id'], body)
        assert cloud.driver.diff([it])
        cloud.driver.put(it)
        assert cloud.driver.diff([it]) == {}

    def test_what_they_removed_of_ours_is_seen_and_mended(self, cloud):
        it = record()
        cloud.driver.put(it)
        for path, find in (
                ('ipam/ip-addresses', cloud.addresses),
                ('dcim/mac-addresses', cloud.macs),
                ('virtualization/interfaces', cloud.interfaces)):
            entry = list(find(cloud.vm(it['id'])).values())[0]
            cloud.call('DELETE', '%s/%d/' % (path, entry['id']))
            assert cloud.driver.diff([it]), path
            cloud.driver.put(it)
            assert cloud.driver.diff([it]) == {}, path


class TestBreaks:

    def test_a_put_that_breaks_off_anywhere_is_finished_by_the_next(
            self, cloud):
        number = 0
        records = []
        while True:
            number += 1
            it = record(addresses=[
                address('10.2.0.%d' % number), address('2001:db8::5'),
                address('10.3.0.7', scene.PORT_2, scene.MAC_2)])
            records.append(it)
            breaks = cloud.another_driver(die_at=number)
            try:
                breaks.put(it)
                break
            except driver.Died:
                cloud.driver.put(it)
            finally:
                breaks.close()
        assert cloud.driver.diff(records) == {}
        # Each server has what is its own, and nothing twice.
        assert number > 15
        assert cloud.counts() == {
            'vms': number, 'interfaces': 2 * number, 'addresses': 3 * number,
            'macs': 2 * number}

    def test_a_delete_that_breaks_off_anywhere_is_finished_by_the_next(
            self, cloud):
        number = 0
        while True:
            number += 1
            it = record()
            cloud.driver.put(it)
            breaks = cloud.another_driver(die_at=number)
            try:
                breaks.delete(it['id'])
                break
            except driver.Died:
                cloud.driver.delete(it['id'])
            finally:
                breaks.close()
        assert number > 3
        assert cloud.counts() == {
            'vms': 0, 'interfaces': 0, 'addresses': 0, 'macs': 0}

    def test_puts_side_by_side_do_not_double_anything(self, cloud):
        others = [cloud.another_driver() for _number in range(3)]
        for one in others:
            one.diff([])
        records = []
        for _number in range(5):
            it = record(availability_zone='zone %s' % uuid.uuid4())
            records.append(it)
            for number, one in enumerate(others):
                # Each has read another state of the server.
                one.begin('put', dict(it, name='name %d' % number))
            for one in others:
                with contextlib.suppress(driver.Failed):
                    one.end()
            # One of those is in NetBox now, the last that came to write.
            cloud.driver.put(it)
        assert cloud.driver.diff(records) == {}
        assert cloud.counts() == {
            'vms': 5, 'interfaces': 5, 'addresses': 10, 'macs': 5}

    def test_doubles_are_seen_and_removed(self, cloud):
        it = record()
        cloud.driver.put(it)
        vm = cloud.vm(it['id'])
        cloud.call('POST', 'virtualization/virtual-machines/', {
            'name': 'double', 'cluster': vm['cluster']['id'],
            'tags': [{'slug': cloud.tag}],
            'custom_fields': {'nova_server_id': it['id']}})
        assert cloud.driver.diff([it]) == {it['id']: ['doubles']}
        cloud.driver.put(it)
        assert cloud.driver.diff([it]) == {}
        assert [entry['id'] for entry in cloud.vms()] == [vm['id']]


class TestPages:

    @pytest.fixture
    def many(self, cloud):
        """The ids of 300 servers in NetBox, a third of them neighbours."""
        # A cluster of the test's own: the ids, and so the names, are the same.
        cloud.driver.put(record('00000000-0000-4000-8000-000000000000',
                                addresses=[], availability_zone=cloud.tag))
        cluster = cloud.vms()[0]['cluster']['id']
        ids = ['00000000-0000-4000-8000-000000000000',
               'ffffffff-ffff-4fff-bfff-ffffffffffff']
        ids += [str(uuid.UUID(int=uuid.uuid4().int)) for _i in range(200)]
        ids += ['abcdef01-2345-4678-9abc-%012x' % i for i in range(98)]
        cloud.call('POST', 'virtualization/virtual-machines/', [
            {'name': server_id, 'cluster': cluster,
             'tags': [{'slug': cloud.tag}],
             'custom_fields': {'nova_server_id': server_id}}
            for server_id in ids[1:]])
        return sorted(ids)

    @pytest.mark.parametrize('limit', [1000, 100, 7])
    def test_pages_have_all_servers_once_in_order(self, cloud, many, limit):
        pages = cloud.driver.pages(limit)
        assert sum(pages, []) == many
        assert max(map(len, pages)) <= limit

    def test_a_page_takes_few_requests(self, cloud, many):
        cloud.driver.diff([], 100)
        first = cloud.driver.requests
        assert first < 60, first

    def test_an_empty_netbox_is_one_empty_page(self, cloud):
        assert cloud.driver.pages(100) == []


class TestSetUp:

    def test_the_permissions_of_the_page_are_enough_and_no_more(
            self, netbox, cloud):
        # All tests run with them; that they are no more:
        for path in ('users/users/', 'extras/webhooks/', 'dcim/devices/'):
            with pytest.raises(urllib.error.HTTPError) as raised:
                netbox.call('GET', path, token=netbox.token)
            assert raised.value.code == 403

    @pytest.mark.parametrize('option, text', [
        ({'tag': 'absent'}, 'the tag with the slug absent'),
        ({'cluster_type': 'absent'}, 'the cluster type with the slug absent'),
        ({'vrf': 'absent'}, 'the VRF with the name absent')])
    def test_what_is_missing_is_said(self, cloud, option, text):
        one = cloud.another_driver(**option)
        with pytest.raises(driver.Failed) as raised:
            one.put(record())
        assert raised.value.kind == 'Unavailable'
        assert text in raised.value.text
        assert cloud.counts()['vms'] == 0

    def test_a_custom_field_that_is_missing_is_said(self, cloud):
        found, = cloud.call('GET', 'extras/custom-fields/?name=nova_host')[
            'results']
        path = 'extras/custom-fields/%d/' % found['id']
        cloud.call('PATCH', path, {'name': 'nova_other'})
        try:
            with pytest.raises(driver.Failed) as raised:
                cloud.driver.put(record())
        finally:
            cloud.call('PATCH', path, {'name': 'nova_host'})
        assert ('the custom field nova_host of type text for virtual '
                'machines') in raised.value.text
        # Once it is there, nothing has to be restarted.
        cloud.driver.put(record())

    def test_a_token_that_netbox_does_not_know(self, cloud):
        one = cloud.another_driver(token='c' * 40)
        with pytest.raises(driver.Failed) as raised:
            one.put(record())
        assert raised.value.text == (
            'it does not accept our token (status 403)')

    def test_a_token_of_the_second_kind(self, netbox, cloud):
        made = netbox.call('POST', 'users/tokens/provision/', {
            'username': 'nova', 'password': 'Aa1' + 'x' * 20, 'version': 2})
        token = 'nbt_%s.%s' % (made['key'], made['token'])
        it = record()
        one = cloud.another_driver(token=token)
        one.put(it)
        assert one.diff([it]) == {}

    def test_without_a_vrf_addresses_are_in_the_global_table(self, cloud):
        it = record(addresses=[address('203.0.113.77')])
        one = cloud.another_driver(vrf=None)
        one.put(it)
        assert one.diff([it]) == {}
        assert cloud.addresses(cloud.vm(it['id']))[
            '203.0.113.77/32']['vrf'] is None
        # Another server with the same address is refused, and says why.
        with pytest.raises(driver.Failed) as raised:
            one.put(dict(it, id=str(uuid.uuid4())))
        assert raised.value.text == (
            'it refuses the record (status 400: address)')
        one.delete(it['id'])
