"""The ports of loopback that a cloud has."""

import json
import socket


def free(count):
    """So many ports that nobody has."""
    holders = []
    try:
        for _ in range(count):
            holders.append(socket.create_server(('127.0.0.1', 0)))
        return [one.getsockname()[1] for one in holders]
    finally:
        for one in holders:
            one.close()


def of(folder, names):
    """Those of the cloud in a folder, by these names: chosen when they are
    first asked for, and the same until the folder is removed.
    """
    path = folder / 'ports.json'
    if not path.exists():
        path.write_text(json.dumps(dict(zip(names, free(len(names))))))
    return json.loads(path.read_text())
