"""Lets the machine's loopback reach ports of the cloud's.

The cloud has a network name space of its own: its bridges, rules and ports are
nobody else's. What this process listens on is bound in the machine's name
space; what it then connects to, by the same number, is in the cloud's.

    portal.py NAMESPACE [--guarded] PORT...

NAMESPACE is a file that stands for the machine's network name space. Guarded,
it lets in only root and the user of the variable SUDO_UID, who started the
cloud through sudo.
"""

import argparse
import asyncio
import ctypes
import os
import socket
import struct
import sys

_LOOPBACK = '127.0.0.1'
_CLONE_NEWNET = 0x40000000

# Columns of /proc/net/tcp, and the state of a connection that is open at both
# ends. One that is closed at its end has no owner any more, and shows root's.
_LOCAL, _REMOTE, _STATE, _UID = 1, 2, 3, 7
_ESTABLISHED = '01'


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


class _Guard:
    """Tells who may come in.

    To be made in the name space that they come from: the table of connections
    that is opened here remains that one's.
    """

    def __init__(self):
        self._users = {0, int(os.environ.get('SUDO_UID', 0))}
        # /proc/net would be the main thread's, whichever asks.
        self._table = open('/proc/thread-self/net/tcp')

    def lets_in(self, writer):
        user = self._user_of(writer)
        if user in self._users:
            return True
        print('User %s is not let in to port %d: expected is one of %s.' % (
            user, writer.get_extra_info('sockname')[1],
            ', '.join(map(str, sorted(self._users)))),
            file=sys.stderr, flush=True)
        return False

    def _user_of(self, writer):
        """The id of the user at the other end; None when it cannot be told."""
        # As nova.remote_pdb.session does it, which this Python does not have.
        wanted = (_in_hex(*writer.get_extra_info('peername')),
                  _in_hex(*writer.get_extra_info('sockname')), _ESTABLISHED)
        self._table.seek(0)
        for line in self._table:
            fields = line.split()
            if (fields[_LOCAL], fields[_REMOTE], fields[_STATE]) == wanted:
                return int(fields[_UID])
        return None


def _in_hex(host, port):
    """An address as it is in /proc/net/tcp: in the machine's order."""
    return '%08X:%04X' % (*struct.unpack('=I', socket.inet_aton(host)), port)


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


def _forward(port, guard):
    async def connected(reader, writer):
        if guard and not guard.lets_in(writer):
            writer.transport.abort()
            return
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


async def _serve(listeners, guard):
    servers = [
        await asyncio.start_server(
            _forward(listener.getsockname()[1], guard), sock=listener)
        for listener in listeners]
    await asyncio.gather(*(server.serve_forever() for server in servers))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('namespace')
    parser.add_argument('--guarded', action='store_true')
    parser.add_argument('ports', metavar='port', type=int, nargs='+')
    wanted = parser.parse_args()
    with open('/proc/self/ns/net') as own:
        _enter(wanted.namespace)
        listeners = [_listen(port) for port in wanted.ports]
        guard = _Guard() if wanted.guarded else None
        _enter('/proc/self/fd/%d' % own.fileno())
    asyncio.run(_serve(listeners, guard))


if __name__ == '__main__':
    main()
