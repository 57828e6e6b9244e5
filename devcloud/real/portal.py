"""Lets the machine's loopback reach ports of the cloud's.

The cloud has a network name space of its own: its bridges, rules and ports are
nobody else's. What this process listens on is bound in the machine's name
space; what it then connects to, by the same number, is in the cloud's.

    portal.py NAMESPACE PORT...

NAMESPACE is a file that stands for the machine's network name space.
"""

import asyncio
import ctypes
import os
import socket
import sys

_LOOPBACK = '127.0.0.1'
_CLONE_NEWNET = 0x40000000


def _enter(path):
    # os.setns() is there from Python 3.12 only.
    libc = ctypes.CDLL(None, use_errno=True)
    with open(path) as namespace:
        if libc.setns(namespace.fileno(), _CLONE_NEWNET):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), path)


def _listen(port):
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((_LOOPBACK, port))
    listener.listen(128)
    return listener


async def _pump(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except OSError:
        # The other direction ends as well, with the connections.
        writer.transport.abort()


# Else nobody but the loop would know them, which may let them go.
_tasks = set()


def _forward(port):
    async def connected(reader, writer):
        task = asyncio.current_task()
        _tasks.add(task)
        task.add_done_callback(_tasks.discard)
        try:
            inner_reader, inner_writer = await asyncio.open_connection(
                _LOOPBACK, port)
        except OSError:
            # As if nobody listened.
            writer.transport.abort()
            return
        await asyncio.gather(_pump(reader, inner_writer),
                             _pump(inner_reader, writer))
        for one in (writer, inner_writer):
            one.close()
    return connected


async def _serve(listeners):
    servers = [
        await asyncio.start_server(
            _forward(listener.getsockname()[1]), sock=listener)
        for listener in listeners]
    await asyncio.gather(*(server.serve_forever() for server in servers))


def main(machine, *ports):
    with open('/proc/self/ns/net') as own:
        _enter(machine)
        listeners = [_listen(int(port)) for port in ports]
        _enter('/proc/self/fd/%d' % own.fileno())
    asyncio.run(_serve(listeners))


if __name__ == '__main__':
    main(*sys.argv[1:])
