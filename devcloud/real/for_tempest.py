"""Make a cloud that runs ready for Tempest.

    for_tempest.py --folder FOLDER --build BUILD

The node with QEMU is taken out: servers there take minutes, and cannot move to
the nodes with the fake driver, which are alike. FOLDER/tempest.conf tells
Tempest what the cloud has and has not.
"""

import argparse
import pathlib
import sys

# First: it says where the other modules are.
import control as cloud_control

import contents as cloud_contents
import examples
import settings as cloud_settings

_ALTERNATIVE_IMAGE = 'fake-alternative'


class ForTempest:

    def __init__(self, settings):
        self._settings = settings
        self._contents = cloud_contents.Contents(settings)
        self._connection = self._contents.connect()

    def leave_fake_nodes(self):
        cloud_control.Control(self._settings).set_state(
            'nova-compute', 'stop')
        compute = self._connection.compute
        for service in compute.services(
                binary='nova-compute', host=cloud_settings.LIBVIRT_HOST):
            compute.delete_service(service)

    def write_conf(self):
        disk = self._settings.folder / 'guest/disk.raw'
        images = [self._contents.make_fake_image(name, disk) for name in (
            cloud_contents.FAKE_IMAGE, _ALTERNATIVE_IMAGE)]
        flavors = {one.name: one.id
                   for one in self._connection.compute.flavors()}
        extensions = [one.alias for one in
                      self._connection.network.extensions()]
        self._settings.write_tempest({
            'DEFAULT': {'log_file': self._settings.logs / 'tempest.log'},
            'oslo_concurrency': {'lock_path': self._settings.folder / 'lock'},
            'auth': {
                'admin_username': 'admin', 'admin_project_name': 'admin',
                'admin_password': cloud_settings.PASSWORD,
                # There is no router: all are on the network of the cloud.
                'create_isolated_networks': False},
            'identity': {'uri_v3': self._settings.url('keystone')},
            'service_available': {
                'neutron': True, 'cinder': False, 'swift': False,
                'horizon': False},
            'compute': {
                'image_ref': images[0].id, 'image_ref_alt': images[1].id,
                'flavor_ref': flavors['small'],
                'flavor_ref_alt': flavors['large'],
                'fixed_network_name': cloud_contents.NETWORK,
                'min_compute_nodes': len(cloud_settings.FAKE_HOSTS),
                'min_microversion': '2.1', 'max_microversion': 'latest'},
            'compute-feature-enabled': {
                'block_migration_for_live_migration': True,
                'change_password': True, 'hostname_fqdn_sanitization': True,
                'personality': True, 'resize': True, 'shelve_migrate': True,
                # That of the fake driver has three lines.
                'console_output': False,
                'scheduler_enabled_filters': ','.join(
                    examples.UPSTREAM_FILTERS)},
            'enforce_scope': {'nova': True},
            # Nobody can log in to a server that is none.
            'validation': {'run_validation': False},
            'network-feature-enabled': {
                'api_extensions': ','.join(sorted(extensions)),
                'floating_ips': False},
        })


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--folder', type=pathlib.Path, required=True)
    parser.add_argument('--build', type=pathlib.Path, required=True)
    args = parser.parse_args()
    ready = ForTempest(cloud_settings.Settings(
        args.folder.absolute(), args.build.absolute()))
    try:
        ready.leave_fake_nodes()
    except cloud_control.Failed as error:
        print('error: %s' % error, file=sys.stderr)
        return 1
    ready.write_conf()
    return 0


if __name__ == '__main__':
    sys.exit(main())
