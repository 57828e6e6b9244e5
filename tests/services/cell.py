"""A cloud with a cell's database of its own."""

import json
import pathlib
import re
import subprocess

from cloud import Cloud

# What our revision of a cell's database makes, in this order.
PIECES = {
    'instances.business_tag':
        'ALTER TABLE instances DROP COLUMN business_tag',
    'shadow_instances.business_tag':
        'ALTER TABLE shadow_instances DROP COLUMN business_tag',
    'instances_business_tag_deleted_host_node_uuid_idx':
        'DROP INDEX instances_business_tag_deleted_host_node_uuid_idx'
        ' ON instances',
    'migrations_deleted_status_idx':
        'DROP INDEX migrations_deleted_status_idx ON migrations',
}
INDEXES = [piece for piece in PIECES if piece.endswith('_idx')]
INDEX, MOVES_INDEX = INDEXES


class Cell(Cloud):
    """
    :param name: of the API database; that of the cell is made from it
    """

    def __init__(self, fork, server, folder, name, tree=None):
        self.cell = name + '_cell'
        super().__init__(fork, server, folder, name, tree)

    def configure(self, host, port=0, **sections):
        return super().configure(host, port, **{'database': {
            'connection': self.server.url(self.cell)}, **sections})

    def run_by(self, tree):
        folder = self.folder / 'other'
        folder.mkdir()
        return Cell(self.fork, self.server, folder, self.database, tree)

    def sync(self, **how):
        return self.manage('db', 'sync', '--local_cell', **how)

    def start_sync(self):
        return self.start_manage('db', 'sync', '--local_cell')

    def lose(self, pieces):
        """Drop pieces of our schema, the last one first."""
        self.server.run(''.join('%s;' % PIECES[piece] for piece in reversed(
            list(pieces))), self.cell)

    def missing(self):
        """The pieces of our schema that are not there."""
        tables = self.server.tables(self.cell)
        return [piece for piece in PIECES
                if '`%s`' % piece.rpartition('.')[2] not in
                tables[piece.partition('.')[0] if '.' in piece
                       # An index is named after its table.
                       else piece.partition('_')[0]]]

    def fill(self, count):
        """Write servers that stand for a large cloud; they have no flavor."""
        self.server.run(
            'INSERT INTO instances (uuid, host, node, deleted, vm_state) '
            'SELECT UUID(), CONCAT("host", seq %% 100), '
            'CONCAT("host", seq %% 100), 0, "active" FROM seq_1_to_%d' % count,
            self.cell)

    def rows(self, columns, table='instances', order='id'):
        return self.server.run('SELECT %s FROM %s ORDER BY %s' % (
            columns, table, order), self.cell)

    def call(self, *calls):
        """Call functions of database_api.py in this Nova; what they return.

        :param calls: each a list of a function's name and its arguments
        """
        done = self.python('database_api.py', self._conf, json.dumps(calls))
        return json.loads(done)

    def status(self):
        """What `nova-status upgrade check` says of business tags."""
        done = subprocess.run(
            [self._bin / 'nova-status', '--config-file', self._conf,
             'upgrade', 'check'], env=self._environment(), text=True,
            capture_output=True, timeout=120)
        # A box of its own in a table, its lines wrapped.
        box = re.search(r'Check: Business tags(.*?)\+--', done.stdout, re.S)
        assert box, done.stdout + done.stderr
        return re.sub(r'[|\s]+', ' ', box[1])

    def python(self, program, *words):
        """Run a program beside this file in this Nova; its output."""
        done = subprocess.run(
            [self.fork.python, '-P',
             pathlib.Path(__file__).with_name(program), *words],
            env=self._environment(), text=True, capture_output=True,
            timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout
