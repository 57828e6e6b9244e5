"""What is in the cloud: users and catalogue, images, flavors, a network.

Everything is made that is not there yet, so that it can be called again.
"""

import openstack
import yaml

import examples
import settings as cloud_settings

DOMAIN = 'default'
NETWORK = 'private'
GUEST_IMAGE = 'guest'
FAKE_IMAGE = 'fake'
#: For servers of the guest image; FLAVORS are too large for QEMU without KVM.
GUEST_FLAVOR = ('guest', 1, 192, {})
#: Percent of a processor that a guest burns.
GUEST_WORK = 20

_COMMAND_LINE = ('console=ttyS0 quiet loglevel=1 no_timer_check tsc=reliable '
                 'lpj=4000000 mitigations=off work=%d' % GUEST_WORK)
_SERVICES = {'placement': 'placement', 'glance': 'image', 'nova': 'compute',
             'neutron': 'network'}


class Contents:
    """
    :param settings: a Settings
    """

    def __init__(self, settings):
        self._settings = settings

    def write_clouds(self):
        """clouds.yaml, for the openstack client and for this program."""
        self._settings.clouds.write_text(yaml.safe_dump({'clouds': {
            name: {
                'region_name': cloud_settings.REGION,
                'identity_api_version': '3', 'compute_api_version': '2.96',
                'auth': {
                    'auth_url': self._settings.url('keystone'),
                    'username': user, 'project_name': user,
                    'password': cloud_settings.PASSWORD,
                    'user_domain_id': DOMAIN, 'project_domain_id': DOMAIN},
            } for name, user in (
                ('devcloud', 'admin'), ('devcloud-demo', 'demo'))}}))

    def connect(self):
        """A connection as the administrator, with a new catalogue."""
        return openstack.connection.Connection(
            # Not the cloud that the caller's OS_CLIENT_CONFIG_FILE names.
            config=openstack.config.OpenStackConfig(
                config_files=[str(self._settings.clouds)],
                load_envvars=False).get_one('devcloud'))

    def make_identity(self):
        """Users, projects and the catalogue; the rules for the demo's."""
        identity = self.connect().identity
        # Each request counts: keystone is not fast.
        there = {kind: {one.name: one for one in getattr(
            identity, kind + 's')()} for kind in (
                'project', 'user', 'role', 'service')}

        def ensure(kind, name, **attributes):
            if name not in there[kind]:
                there[kind][name] = getattr(identity, 'create_' + kind)(
                    name=name, **attributes)
            return there[kind][name]

        def grant(project, user_name, role_name):
            user = ensure('user', user_name, domain_id=DOMAIN,
                          password=cloud_settings.PASSWORD)
            identity.assign_project_role_to_user(
                project, user, ensure('role', role_name))

        service = ensure('project', 'service', domain_id=DOMAIN)
        demo = ensure('project', 'demo', domain_id=DOMAIN)
        grant(demo, 'demo', 'member')
        with_endpoint = {one.service_id for one in identity.endpoints()}
        for name, kind in _SERVICES.items():
            for role in ('admin', 'service'):
                grant(service, name, role)
            offered = ensure('service', name, type=kind)
            if offered.id not in with_endpoint:
                identity.create_endpoint(
                    service_id=offered.id, interface='public',
                    region_id=cloud_settings.REGION,
                    url=self._settings.url(name))
        self._settings.flavor_rules.write_text(
            yaml.safe_dump(examples.flavor_rules(demo.id)))

    def make_images(self, guest):
        """
        :param guest: paths of the kernel, the memory disk and the disk
        """
        image = self.connect().image
        kernel, memory_disk, disk = guest
        self.make_fake_image(FAKE_IMAGE, disk)
        self._image(
            image, GUEST_IMAGE, disk, 'raw', img_hv_type='qemu',
            kernel_id=self._image(image, 'guest-kernel', kernel, 'aki').id,
            ramdisk_id=self._image(image, 'guest-ramdisk', memory_disk,
                                   'ari').id,
            os_command_line=_COMMAND_LINE)

    def make_fake_image(self, name, disk):
        """An image for the nodes with the fake driver."""
        return self._image(self.connect().image, name, disk, 'raw',
                           img_hv_type='fake')

    @staticmethod
    def _image(image, name, path, disk_format, **properties):
        found = image.find_image(name)
        if found and found.status == 'active':
            return found
        if found:
            # The last attempt ended in the middle.
            image.delete_image(found)
        return image.create_image(
            name, filename=str(path), disk_format=disk_format,
            container_format=disk_format if disk_format in ('aki', 'ari')
            else 'bare', visibility='public', meta=properties)

    def make_flavors(self):
        compute = self.connect().compute
        there = {one.name for one in compute.flavors()}
        for name, vcpus, memory_mb, extra_specs in (
                *examples.FLAVORS, GUEST_FLAVOR):
            if name in there:
                continue
            flavor = compute.create_flavor(
                name=name, flavorid=name, vcpus=vcpus, ram=memory_mb, disk=1)
            if extra_specs:
                compute.create_flavor_extra_specs(flavor, extra_specs)

    def make_network(self):
        network = self.connect().network
        found = network.find_network(NETWORK) or network.create_network(
            name=NETWORK, is_shared=True)
        if not found.subnet_ids:
            network.create_subnet(
                network_id=found.id, name=NETWORK, ip_version=4,
                cidr='10.20.0.0/24')

    def missing(self):
        """What is not up yet, as a text; empty when all is."""
        connection = self.connect()
        wanted = {('nova-compute', host) for host in (
            cloud_settings.LIBVIRT_HOST, *cloud_settings.FAKE_HOSTS)}
        wanted.update(('neutron-%s-agent' % name, cloud_settings.LIBVIRT_HOST)
                      for name in ('linuxbridge', 'dhcp', 'metadata'))
        wanted.update(('fake-linuxbridge-agent', host)
                      for host in cloud_settings.FAKE_HOSTS)
        running = {(one.binary, one.host) for one in
                   connection.compute.services() if one.state == 'up'}
        running.update((one.binary, one.host) for one in
                       connection.network.agents() if one.is_alive)
        return ', '.join('%s on %s' % one
                         for one in sorted(wanted - running))
