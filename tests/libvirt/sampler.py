"""The metrics of guests, as nova-compute has them: Nova's own libvirt driver
and its source of metrics, in a process with nova-compute's patched threads.

    sampler.py URI SOCKET

It answers on the Unix socket: a line of JSON, a list of server ids, for a line
of JSON: what the source has of them, and how many seconds that took.
"""

# Before anything else of Nova, as in its services.
import nova.monkey_patch  # noqa: F401

import json
import socketserver
import sys
import time

import nova.conf
from nova.virt.libvirt import driver as libvirt_driver
from nova.virt import vm_metrics

CONF = nova.conf.CONF
INTERVAL = 2


class Handler(socketserver.StreamRequestHandler):

    def handle(self):
        for line in self.rfile:
            started = time.monotonic()
            try:
                answer = {'metrics': self.server.source.get(json.loads(line))}
            except vm_metrics.SamplesUnavailable as error:
                answer = {'error': str(error)}
            answer['seconds'] = time.monotonic() - started
            self.wfile.write(json.dumps(answer).encode() + b'\n')


class Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


def main(uri, path):
    CONF([], project='nova', default_config_files=[])
    CONF.set_override('virt_type', 'qemu', 'libvirt')
    CONF.set_override('connection_uri', uri, 'libvirt')
    CONF.set_override('sample_interval', INTERVAL, 'vm_metrics')
    driver = libvirt_driver.LibvirtDriver(None)
    driver._host.initialize()
    server = Server(path, Handler)
    server.source = vm_metrics.source_of(driver)
    server.serve_forever()


if __name__ == '__main__':
    main(*sys.argv[1:])
