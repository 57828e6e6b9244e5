"""A client of debugpy, as VS Code is one: the Debug Adapter Protocol."""

import json
import pathlib
import re
import socket

ROOT = pathlib.Path(__file__).parents[2]


def configurations():
    """Those of launch.json, by the variables in their names."""
    text = (ROOT / '.vscode/launch.json').read_text()
    found = json.loads(re.sub(r'(?m)^//.*$', '', text).replace(
        '${workspaceFolder}', str(ROOT)))['configurations']
    return {re.search(r'\((\w+)\)', one['name'])[1]: one for one in found}


def line(path, text):
    """The number of the first line with a text."""
    return next(number for number, found in enumerate(
        path.read_text().splitlines(), 1) if text in found)


class Client:
    """
    :param port: of loopback, on which debugpy listens
    :param seconds: to wait for an answer or an event
    """

    def __init__(self, port, seconds=60):
        self._socket = socket.create_connection(
            ('127.0.0.1', port), timeout=seconds)
        self._stream = self._socket.makefile('rb')
        self._asked = 0
        self._events = []

    def attach(self, configuration, breakpoints):
        """Attach as a configuration of launch.json says.

        :param breakpoints: pairs of a path and a line
        """
        self.call('initialize', clientID='vscode', adapterID='debugpy',
                  pathFormat='path', linesStartAt1=True, columnsStartAt1=True)
        # It is answered when all has been set up.
        attached = self._ask('attach', configuration)
        self.event('initialized')
        for path, line in breakpoints:
            set_there, = self.call(
                'setBreakpoints', source={'path': str(path)},
                breakpoints=[{'line': line}])['breakpoints']
            assert set_there['verified'], set_there
        self.call('configurationDone')
        self._answer(attached)

    def stopped(self):
        """Wait for a breakpoint: the thread, and its frames from the top."""
        thread = self.event('stopped')['threadId']
        return thread, self.call('stackTrace', threadId=thread)['stackFrames']

    def evaluate(self, expression, frame):
        return self.call('evaluate', expression=expression, context='repl',
                         frameId=frame['id'])['result']

    def call(self, command, **arguments):
        return self._answer(self._ask(command, arguments))

    def event(self, name):
        """Wait for an event; its body."""
        while True:
            for event in self._events:
                if event['event'] == name:
                    self._events.remove(event)
                    return event.get('body')
            self._keep(self._read())

    def detach(self):
        """Leave the program to itself, as it goes on."""
        self.call('disconnect', terminateDebuggee=False)
        self._socket.close()

    def _ask(self, command, arguments):
        self._asked += 1
        text = json.dumps({'seq': self._asked, 'type': 'request',
                           'command': command, 'arguments': arguments})
        self._socket.sendall(b'Content-Length: %d\r\n\r\n%s' % (
            len(text.encode()), text.encode()))
        return self._asked

    def _answer(self, number):
        while True:
            message = self._read()
            if message.get('request_seq') == number:
                assert message['success'], message
                return message.get('body')
            self._keep(message)

    def _keep(self, message):
        if message['type'] == 'event':
            self._events.append(message)

    def _read(self):
        length = None
        while True:
            line = self._stream.readline()
            assert line, 'debugpy has hung up'
            name, _colon, value = line.decode().partition(':')
            if name.lower() == 'content-length':
                length = int(value)
            if not line.strip():
                return json.loads(self._stream.read(length))
