"""The benchmark of live metrics; ``run`` beside it starts it, and says what it
prints.

One process is the API and a compute service, set up by the fixtures of Nova's
functional tests: the WSGI pipeline of api-paste.ini, policy, databases in
memory, RPC over oslo.messaging's in-memory driver. The libvirt driver is
Nova's, on a real libvirtd with real guests of QEMU. The two ways are asked by
turns, so that whatever slows the machine for a while slows both.
"""

import argparse
import collections
import json
import logging
import pathlib
import random
import statistics
import sys
import tempfile
import threading
import time
import types
import warnings

# Before anything else of Nova, as in its services.
import nova.monkey_patch  # noqa: F401

import futurist
import libvirt
from oslo_messaging._drivers import impl_fake
from oslo_utils import timeutils
import webob

from nova.compute import power_state
from nova.compute.vm_metrics import rpc as metrics_rpc
from nova.compute import vm_states
import nova.conf
from nova import context as nova_context
from nova.network import model
from nova import objects
from nova import test
from nova.tests import fixtures as nova_fixtures
from nova.tests.functional import fixtures as func_fixtures
from nova.virt.libvirt import driver as libvirt_driver

import private_libvirt

CONF = nova.conf.CONF

# ours / other, at most.
HALF = 0.5
# One list of all guests over one show, at most.
LIST_TARGET = 3

CLIENTS = 50
# Seconds from one sample to the next, for enough of them to count: libvirt is
# called five times as often as it is by default.
OFTEN = 2
# Seconds from one poll of all guests to the next.
POLL_EVERY = 10


def progress(message):
    print('-- %s' % message, file=sys.stderr, flush=True)


def quicken_bus():
    """Let the in-memory bus deliver a message at once.

    It looks for them 20 times a second, and what is measured would be that.
    """
    delivered = threading.Condition()
    deliver = impl_fake.FakeExchange.deliver_message

    def deliver_and_tell(*args, **kwargs):
        deliver(*args, **kwargs)
        with delivered:
            delivered.notify_all()

    def wait(seconds):
        with delivered:
            delivered.wait(seconds)

    impl_fake.FakeExchange.deliver_message = deliver_and_tell
    impl_fake.time = types.SimpleNamespace(time=time.time, sleep=wait)


class Calls:
    """Counts what is asked of libvirt."""

    def __init__(self):
        self.counts = collections.Counter()
        for cls in (libvirt.virConnect, libvirt.virDomain):
            for name, method in list(vars(cls).items()):
                # Those that talk to the daemon; ids and names are at hand.
                if callable(method) and not name.startswith('_') and (
                        name not in ('name', 'UUIDString', 'UUID', 'ID',
                                     'connect', 'ref', 'c_pointer')):
                    setattr(cls, name, self._counted(name, method))

    def _counted(self, name, method):
        def call(*args, **kwargs):
            self.counts[name] += 1
            return method(*args, **kwargs)
        return call

    @property
    def total(self):
        return sum(self.counts.values())


class Cloud(test.TestCase):
    """An API, and a compute service with the libvirt driver."""

    def setUp(self):
        super().setUp()
        # The tests format every message, and look at every warning.
        logging.getLogger().setLevel(logging.INFO)
        warnings.resetwarnings()
        warnings.simplefilter('ignore')
        self.useFixture(nova_fixtures.NeutronFixture(self))
        self.useFixture(nova_fixtures.GlanceFixture(self))
        self.useFixture(nova_fixtures.RealPolicyFixture())
        self.useFixture(func_fixtures.PlacementFixture())
        self.app = self.useFixture(nova_fixtures.OSAPIFixture()).app()
        self.start_service('conductor')
        self.flags(compute_driver='fake.SmallFakeDriver')
        self.compute = self.start_service('compute', host='compute')
        self.context = nova_context.get_admin_context()

    def use_libvirt(self, uri):
        """Take the place of the fake driver that the service has begun with:
        to begin with libvirt's, it would need a whole host.
        """
        # The fixtures let no driver begin to wait for events.
        libvirt.virEventRegisterDefaultImpl()
        self.flags(virt_type='qemu', connection_uri=uri, group='libvirt')
        self.compute.manager.driver = libvirt_driver.LibvirtDriver(
            self.compute.manager.virtapi)

    def add_server(self, guest):
        """Make the server that the guest is of."""
        cell = self.cell_mappings[test.CELL1_NAME]
        flavor = objects.Flavor.get_by_flavor_id(self.context, '1')
        with nova_context.target_cell(self.context, cell) as cctxt:
            node, = objects.ComputeNodeList.get_all_by_host(cctxt, 'compute')
            server = objects.Instance(
                cctxt, uuid=guest.uuid, user_id='fake', flavor=flavor,
                project_id=nova_fixtures.PROJECT_ID, host='compute',
                node='compute', compute_id=node.id, image_ref='',
                display_name=guest.name,
                vm_state=vm_states.ACTIVE, power_state=power_state.RUNNING,
                launched_at=timeutils.utcnow(), vcpus=1, memory_mb=16,
                system_metadata={}, info_cache=objects.InstanceInfoCache(
                    network_info=model.NetworkInfo([model.VIF(
                        id=guest.uuid, address=guest.mac(0),
                        devname=guest.tap(0))])))
            server.create()
        objects.InstanceMapping(
            self.context, instance_uuid=guest.uuid, cell_mapping=cell,
            project_id=nova_fixtures.PROJECT_ID).create()

    def get(self, path):
        """Ask the API.

        :returns: the body, and how many seconds the answer took
        """
        request = webob.Request.blank(
            '/v2.1' + path, headers={
                'X-Auth-User': 'fake', 'X-User-Id': 'fake',
                'X-Auth-Project-Id': nova_fixtures.PROJECT_ID,
                'X-Roles': 'reader,member,admin',
                'OpenStack-API-Version': 'compute 2.96'})
        began = time.perf_counter()
        response = request.get_response(self.app)
        taken = time.perf_counter() - began
        if response.status_int != 200:
            raise RuntimeError('GET %s: %s: %s' % (
                path, response.status, response.text))
        return response.json, taken


def metrics_path(guest):
    return '/servers/%s/metrics' % guest.uuid


def diagnostics_path(guest):
    return '/servers/%s/diagnostics' % guest.uuid


def by_turns(seconds, *asks):
    """Call functions by turns, in another order each time.

    :returns: for each of them, a list of what it returned
    """
    found = [[] for _ in asks]
    end = time.monotonic() + seconds
    while time.monotonic() < end or len(found[0]) < 3:
        for number in random.sample(range(len(asks)), len(asks)):
            found[number].append(asks[number]())
    return found


class Benchmark:

    def __init__(self, cloud, guests, calls, seconds):
        self.cloud = cloud
        self.guests = guests
        self.calls = calls
        self.seconds = seconds
        self.rows = []

    def add(self, figure, ours, other, target, at_least=False):
        ratio = round(ours / other, 4)
        self.rows.append({
            'figure': 'metrics_' + figure, 'ours': round(ours, 6),
            'other': round(other, 6), 'ratio': ratio, 'target': target,
            'ok': ratio >= target if at_least else ratio <= target})

    def run(self):
        self._settle()
        for step in (self.one_client, self.many_clients, self.the_list,
                     self.libvirt_calls, self.polled):
            progress(step.__doc__.strip())
            step()
        return self.rows

    def one_client(self):
        """one client, one request after the other"""
        ours, other = by_turns(
            self.seconds,
            lambda: self.cloud.get(metrics_path(self._any()))[1],
            lambda: self.cloud.get(diagnostics_path(self._any()))[1])
        self.add('latency_seconds_1_client', statistics.median(ours),
                 statistics.median(other), HALF)

    def many_clients(self):
        """50 clients at once"""
        with futurist.GreenThreadPoolExecutor(CLIENTS) as pool:
            ours, other = by_turns(
                self.seconds,
                lambda: self._at_once(pool, metrics_path),
                lambda: self._at_once(pool, diagnostics_path))
        latency = [statistics.median(taken for _, each in rounds
                                     for taken in each)
                   for rounds in (ours, other)]
        self.add('latency_seconds_50_clients', *latency, HALF)
        rate = [CLIENTS / statistics.median(whole for whole, _ in rounds)
                for rounds in (ours, other)]
        self.add('requests_per_second_50_clients', *rate, 1 / HALF,
                 at_least=True)

    def the_list(self):
        """all guests in one list, against one of them"""
        ours, other = by_turns(
            self.seconds, self._list,
            lambda: self.cloud.get(metrics_path(self._any()))[1])
        self.add('list_of_%d_over_one_show_seconds' % len(self.guests),
                 statistics.median(ours), statistics.median(other),
                 LIST_TARGET)

    def libvirt_calls(self):
        """how often libvirt is called"""
        self.cloud.flags(sample_interval=OFTEN, group='vm_metrics')
        # The last sample of the longer interval may be too old by now.
        time.sleep(POLL_EVERY)
        self._settle()
        singles = [self._calls_of(ask) for ask in (
            lambda: self.cloud.get(metrics_path(self._any())),
            lambda: self.cloud.get(diagnostics_path(self._any())))]
        self.add('libvirt_calls_per_answer', *(
            calls / answers for calls, answers in singles), HALF)
        with futurist.GreenThreadPoolExecutor(CLIENTS) as pool:
            many, _ = self._calls_of(
                lambda: self._at_once(pool, metrics_path))
        # As often as samples are due, and one more or less.
        self.add('libvirt_calls_of_50_pollers_over_those_of_1', many,
                 singles[0][0], 1.15)

    def polled(self):
        """all guests polled every 10 seconds, asked of the compute service"""
        self.cloud.flags(sample_interval=POLL_EVERY, group='vm_metrics')
        manager = self.cloud.compute.manager
        endpoint, = [one for one in manager.additional_endpoints
                     if isinstance(one, metrics_rpc.Endpoint)]
        ids = [guest.uuid for guest in self.guests]
        cell = self.cloud.cell_mappings[test.CELL1_NAME]
        with nova_context.target_cell(self.cloud.context, cell) as cctxt:
            servers = list(objects.InstanceList.get_by_host(cctxt, 'compute'))

            def singles():
                for server_id in ids:
                    endpoint.get_vm_metrics(cctxt, [server_id])

            def diagnostics():
                for server in servers:
                    manager.get_instance_diagnostics(cctxt, instance=server)

            # What the process does anyway is none of it.
            idle, *used = [self._polled(ask) for ask in (
                lambda: None,
                lambda: endpoint.get_vm_metrics(cctxt, ids), singles,
                diagnostics)]
        for name, ours in zip(('list', 'singles'), used):
            self.add('compute_cpu_share_%d_guests_polled_by_%s' % (
                len(ids), name), ours - idle, used[-1] - idle, HALF)

    def _settle(self):
        """Wait until every guest has rates."""
        progress('waiting for samples')
        end = time.monotonic() + 120
        while not self._has_rates():
            if time.monotonic() > end:
                raise RuntimeError('not all guests have rates after 120 s')
            time.sleep(1)

    def _has_rates(self):
        body, _ = self.cloud.get('/servers/metrics?host=compute')
        found = body['servers_metrics']
        return len(found) == len(self.guests) and all(
            one['cpu']['utilisation'] is not None for one in found)

    def _any(self):
        return random.choice(self.guests)

    def _list(self):
        body, taken = self.cloud.get('/servers/metrics?host=compute')
        if len(body['servers_metrics']) != len(self.guests):
            raise RuntimeError('not all are listed: %s' % body)
        return taken

    def _at_once(self, pool, path):
        """Let all clients ask: the time of all, and the times of each."""
        began = time.perf_counter()
        asked = [pool.submit(self.cloud.get, path(self._any()))
                 for _ in range(CLIENTS)]
        each = [future.result()[1] for future in asked]
        return time.perf_counter() - began, each

    def _calls_of(self, ask):
        """Ask all the while: how often libvirt is called, and how many
        answers that was for.
        """
        before, answers = self.calls.total, 0
        end = time.monotonic() + self.seconds
        while time.monotonic() < end:
            ask()
            answers += 1
        return self.calls.total - before, answers

    def _polled(self, ask):
        """Poll: the share of a processor that this takes, from 0 to 1."""
        # What was before is over, and the first sample taken.
        ask()
        time.sleep(POLL_EVERY)
        began, used = time.monotonic(), time.process_time()
        for number in range(max(2, self.seconds // POLL_EVERY)):
            ask()
            time.sleep(max(0, began + (number + 1) * POLL_EVERY
                           - time.monotonic()))
        return (time.process_time() - used) / (time.monotonic() - began)


def main():
    parser = argparse.ArgumentParser(prog='benchmarks/metrics/run')
    parser.add_argument('--guests', type=int, default=100)
    parser.add_argument('--seconds', type=int, default=20)
    args = parser.parse_args()
    reason = private_libvirt.missing()
    if reason:
        parser.error(reason)

    quicken_bus()
    calls = Calls()
    # A test case is made for one of its methods.
    cloud = Cloud('get')
    # A socket's path is short.
    with tempfile.TemporaryDirectory(prefix='libvirt-') as folder:
        with private_libvirt.Libvirt(pathlib.Path(folder)) as daemon:
            progress('starting %d guests' % args.guests)
            guests = [daemon.start_idle_guest() for _ in range(args.guests)]
            progress('setting up the API and the compute service')
            try:
                cloud.setUp()
                cloud.use_libvirt(daemon.uri)
                for guest in guests:
                    cloud.add_server(guest)
                rows = Benchmark(cloud, guests, calls, args.seconds).run()
            finally:
                cloud.doCleanups()
    print_table(rows)
    for row in rows:
        print(json.dumps(row))
    return 0 if all(row['ok'] for row in rows) else 1


def print_table(rows):
    print('\n%-60s%12s%12s%9s%8s' % (
        'figure', 'ours', 'other', 'ratio', 'target'), file=sys.stderr)
    for row in rows:
        print('%-60s%12.5f%12.5f%9.3f%8.2f%s' % (
            row['figure'], row['ours'], row['other'], row['ratio'],
            row['target'], '' if row['ok'] else '  missed'), file=sys.stderr)


if __name__ == '__main__':
    sys.exit(main())
