#    Licensed under the Apache License, Version 2.0 (the "License"); you may
#    not use this file except in compliance with the License. You may obtain
#    a copy of the License at
#
#         http://www.apache.org/licenses/LICENSE-2.0
#
#    Unless required by applicable law or agreed to in writing, software
#    distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
#    WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
#    License for the specific language governing permissions and limitations
#    under the License.

"""openstack server metrics watch"""

import argparse
import contextlib
import os
import select
import shutil
import signal
import sys
import termios
import time
import tty

from osc_lib.command import command

from osc_mycompany_metrics import api
from osc_mycompany_metrics import display
from osc_mycompany_metrics import selection

KEYS = {'c': 'cpu', 'm': 'memory', 's': 'rss', 'r': 'read', 'w': 'write',
        'x': 'rx', 't': 'tx', 'n': 'name'}

# What the terminal understands: another screen, and back to what was there.
_ENTER, _LEAVE = '\x1b[?1049h\x1b[?25l', '\x1b[?25h\x1b[?1049l'
_HOME, _END_OF_LINE, _END_OF_SCREEN = '\x1b[H', '\x1b[K', '\x1b[J'
_REVERSE, _PLAIN = '\x1b[7m', '\x1b[0m'


class WatchServerMetrics(command.Command):
    _description = (
        'Show what servers use right now, again and again. '
        'On a terminal, keys change the order: %s; v turns it round, q ends.'
        % ', '.join('%s by %s' % pair for pair in KEYS.items()))

    def get_parser(self, prog_name):
        parser = super().get_parser(prog_name)
        selection.add_arguments(parser)
        parser.add_argument(
            '--interval', metavar='<seconds>', type=_interval, default=10,
            help='Time from one look to the next (default: 10, at least 1)')
        parser.add_argument(
            '--count', metavar='<number>', type=selection.positive,
            help='End after this many looks')
        return parser

    def take_action(self, parsed_args):
        chosen = selection.Selection(
            self.app.client_manager.sdk_connection, parsed_args)
        if sys.stdin.isatty() and sys.stdout.isatty():
            view = Terminal(sys.stdin, sys.stdout)
        else:
            view = Pages(sys.stdout)
        watch = Watch(chosen, view, parsed_args)
        try:
            with view:
                watch.run()
        except KeyboardInterrupt:
            pass
        except BrokenPipeError:
            # Whoever read has seen enough. Python would complain at its end
            # that it cannot write what is left.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _interval(text):
    seconds = float(text)
    # Not (seconds < 1), which lets NaN pass.
    if not seconds >= 1:
        raise argparse.ArgumentTypeError('%s: expected 1 at least' % text)
    return seconds


class Watch:
    """What is shown, and when it is asked for again."""

    def __init__(self, chosen, view, parsed_args):
        self._chosen = chosen
        self._view = view
        self._args = parsed_args
        self._by, self._ascending = parsed_args.sort
        self._rows = []
        self._looked_at = None
        self._problem = None

    def run(self):
        """Look and show until the user ends it, or the count is reached.

        :raises MetricsError: waiting will not help
        """
        looks = 0
        while True:
            due = time.monotonic() + self._look()
            looks += 1
            self._show()
            if looks == self._args.count:
                return
            while True:
                key = self._view.wait(due - time.monotonic())
                if key is None:
                    break
                if key == 'q':
                    return
                self._reorder(key)

    def _look(self):
        """Ask the API. An answer that fails leaves what is there.

        :returns: seconds until the next look
        """
        try:
            self._rows = self._chosen.rows()
        except api.MetricsError as error:
            if not error.temporary:
                raise
            self._problem = str(error)
            return max(self._args.interval, error.retry_after or 0)
        self._looked_at = time.strftime('%H:%M:%S')
        self._problem = None
        return self._args.interval

    def _reorder(self, key):
        if key == 'v':
            self._ascending = not self._is_ascending()
        elif key in KEYS:
            self._by, self._ascending = KEYS[key], None
        self._show()

    def _is_ascending(self):
        if self._ascending is None:
            return self._by == 'name'
        return self._ascending

    def _show(self):
        rows = display.sort(self._rows, self._by, self._ascending)
        status = '%s, %d servers, every %g s, by %s' % (
            self._looked_at or 'no answer yet', len(rows),
            self._args.interval, self._by)
        lines = [status]
        if self._problem:
            lines.append('%s %s' % (time.strftime('%H:%M:%S'), self._problem))
        self._view.show(lines, table(rows[:self._args.limit], self._args.raw))


def table(rows, raw=False):
    """The lines of a table, the first of which is its head."""
    cells = [['Server', *display.COLUMNS[2:]]]
    for row in rows:
        server_id, name, *others = display.texts(row, raw)
        cells.append([name if row[1] else server_id, *others])
    # Names and messages are others' words: none is a command of the terminal.
    cells = [[''.join(letter if letter.isprintable() else '?'
                      for letter in cell) for cell in row] for row in cells]
    widths = [max(map(len, column)) for column in zip(*cells)]
    last = len(widths) - 1
    return ['  '.join(
        cell.ljust(width) if at in (0, last) else cell.rjust(width)
        for at, (cell, width) in enumerate(zip(row, widths))).rstrip()
        for row in cells]


class Pages(contextlib.AbstractContextManager):
    """One page below the other: for a pipe, a file, a log."""

    def __init__(self, stdout):
        self._stdout = stdout

    def __exit__(self, *exception):
        pass

    def show(self, status, table):
        print(*status, *table, '', sep='\n', file=self._stdout, flush=True)

    def wait(self, seconds):
        """Wait; the key that was pressed, of which there is none here."""
        time.sleep(max(0, seconds))


class Terminal(contextlib.AbstractContextManager):
    """The whole of a terminal, which is given back as it was."""

    def __init__(self, stdin, stdout):
        self._stdin = stdin.fileno()
        self._stdout = stdout

    def __enter__(self):
        self._mode = termios.tcgetattr(self._stdin)
        self._on_terminate = signal.signal(signal.SIGTERM, _terminate)
        # A key comes at once, and is not shown. Ctrl-C still interrupts.
        tty.setcbreak(self._stdin)
        self._write(_ENTER)
        return self

    def __exit__(self, *exception):
        self._write(_LEAVE)
        termios.tcsetattr(self._stdin, termios.TCSADRAIN, self._mode)
        signal.signal(signal.SIGTERM, self._on_terminate)

    def _write(self, text):
        self._stdout.write(text)
        self._stdout.flush()

    def show(self, status, table):
        size = shutil.get_terminal_size()
        head, *body = table
        room = max(0, size.lines - len(status) - 1)
        if len(body) > room:
            # One line says how much is not seen.
            hidden = len(body) - max(0, room - 1)
            body = body[:-hidden] + ['... %d more' % hidden]
        lines = [line[:size.columns] for line in (*status, head, *body)]
        lines[len(status)] = '%s%s%s' % (
            _REVERSE, lines[len(status)].ljust(size.columns), _PLAIN)
        self._write(_HOME + '\n'.join(
            line + _END_OF_LINE for line in lines[:size.lines])
            + _END_OF_SCREEN)

    def wait(self, seconds):
        """Wait; the key that was pressed, None when the time is over."""
        ready, _, _ = select.select([self._stdin], [], [], max(0, seconds))
        if not ready:
            return None
        # Nothing to read: the terminal has gone.
        return os.read(self._stdin, 1).decode('ascii', 'replace') or 'q'


def _terminate(signum, frame):
    """End by an exception, so that the terminal is given back."""
    raise SystemExit(128 + signum)
