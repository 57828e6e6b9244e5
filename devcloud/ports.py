"""The ports of loopback that a cloud has."""

import contextlib
import json
import pathlib
import random
import socket


def free(count):
    """So many ports that nobody listens on, nor is given by the kernel.

    While its service is down, a client's connection must not get it.
    """
    given = int(pathlib.Path(
        '/proc/sys/net/ipv4/ip_local_port_range').read_text().split()[0])
    found = set()
    while len(found) < count:
        port = random.randrange(10000, max(given, 20000))
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(('127.0.0.1', port))
            found.add(port)
    return list(found)


def of(folder, names):
    """Those of the cloud in a folder, by these names: chosen when they are
    first asked for, and the same until the folder is removed.
    """
    path = folder / 'ports.json'
    if not path.exists():
        path.write_text(json.dumps(dict(zip(names, free(len(names))))))
    return json.loads(path.read_text())
