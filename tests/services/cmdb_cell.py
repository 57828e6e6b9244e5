"""A cell whose servers a CMDB knows, and the agents between them."""

import contextlib
import json
import pathlib
import subprocess
import uuid

from cell import Cell
from process import Process


class Compute:
    """A process like nova-compute; see compute_events.py."""

    def __init__(self, command, log, env):
        with open(log, 'ab') as stream:
            self._popen = subprocess.Popen(
                ['setpriv', '--pdeathsig', 'KILL', '--', *map(str, command)],
                env=env, text=True, stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=stream)
        self.pid = self._popen.pid
        self._log = log

    def call(self, *words):
        """Call a function there; what it returned."""
        self._popen.stdin.write(json.dumps(words) + '\n')
        self._popen.stdin.flush()
        line = self._popen.stdout.readline()
        assert line, self.log()[-3000:]
        return json.loads(line)

    def log(self):
        return pathlib.Path(self._log).read_text(errors='replace')

    def hook_pids(self):
        with contextlib.suppress(OSError):
            return [int(pid) for pid in pathlib.Path(
                '/proc/%d/task/%d/children' % (self.pid, self.pid)
            ).read_text().split()]
        return []

    def stop(self):
        """End it as systemd does once it has stopped the service."""
        self._popen.stdin.close()
        self._popen.wait(30)

    def kill(self):
        if self._popen.poll() is None:
            self._popen.kill()
            self._popen.wait()


class CMDBCell(Cell):
    """
    :param cmdb: an http_cmdb.CMDB
    :param url: of the message bus
    :param rabbit: options of [oslo_messaging_rabbit], by name
    """

    def __init__(self, fork, server, folder, name, cmdb, url, rabbit=None):
        super().__init__(fork, server, folder, name)
        self.cmdb = cmdb
        self.url = url
        self._rabbit = rabbit or {}
        self._started = []
        token = folder / 'token'
        token.write_text(cmdb.token + '\n')
        token.chmod(0o600)
        self.options = {
            'driver': 'http', 'request_timeout': 1, 'retry_max_delay': 2,
            # Only the bus brings anything to the CMDB, unless a test says so.
            'reconcile_interval': 0}
        self.use()
        server.run('UPDATE cell_mappings SET transport_url = "%s"'
                   ' WHERE name = "cell1"' % url, name)

    def use(self, host='controller', remote_pdb=None, **options):
        """Write a configuration with these options of [cmdb]; its path.

        :param remote_pdb: options of [remote_pdb]
        """
        path = self.configure(
            host, cmdb=dict(self.options, **options),
            cmdb_http={'url': self.cmdb.url,
                       'token_file': self.folder / 'token'},
            compute_hooks={'enabled': 'cmdb'}, remote_pdb=remote_pdb or {},
            oslo_messaging_rabbit=self._rabbit,
            DEFAULT={'transport_url': self.url})
        if host == 'controller':
            self._conf = path
        return path

    def start_agent(self, debug=False, **options):
        """Start nova-cmdb-agent; a Process, with a log of its own.

        :param options: as of use()
        """
        name = 'agent%d' % len(self._started)
        conf = self.use(name, **options)
        agent = Process(
            [self._bin / 'nova-cmdb-agent', '--config-file', conf,
             *['--debug'] * debug], self.folder / (name + '.log'),
            self._environment())
        self._started.append(agent)
        agent.conf = name
        return agent

    def start_compute(self, enabled='cmdb', **env):
        """Start what stands for nova-compute; a Compute."""
        conf = self.use('compute')
        text = conf.read_text().replace('enabled = cmdb',
                                        'enabled = ' + enabled)
        conf.write_text(text)
        program = pathlib.Path(__file__).with_name('compute_events.py')
        compute = Compute(
            [self.fork.python, '-P', program, '--config-file', conf],
            self.folder / ('compute%d.log' % len(self._started)),
            dict(self._environment(), **env))
        self._started.append(compute)
        return compute

    def create(self, count, compute=None):
        """Make servers, and tell the hooks if there is who tells; their ids.
        """
        uuids = [str(uuid.uuid4()) for _ in range(count)]
        flavor = json.dumps({'cur': {'nova_object.data': {
            'name': 'm1.tiny', 'vcpus': 1, 'memory_mb': 512, 'root_gb': 1,
            'extra_specs': {}}}})

        def rows(form):
            return ', '.join(form % one for one in uuids)

        self.server.run(
            'INSERT INTO instances (uuid, display_name, project_id, user_id,'
            ' host, node, vm_state, deleted, created_at) VALUES %s;'
            'INSERT INTO instance_extra (instance_uuid, deleted, flavor)'
            ' VALUES %s;' % (
                rows('("%s", "server-1", "p", "u", "h", "n", "active", 0,'
                     ' NOW())'),
                rows("('%%s', 0, '%s')" % flavor)), self.cell)
        self.server.run(
            'INSERT INTO instance_mappings (instance_uuid, project_id,'
            ' cell_id) SELECT * FROM (VALUES %s) AS new, (SELECT id FROM'
            ' cell_mappings WHERE name = "cell1") AS cell' % rows(
                '("%s", "p")'), self.database)
        return self._told('post_create', uuids, compute)

    def rename(self, uuids, name, compute=None):
        self._change('display_name = "%s"' % name, uuids)
        return self._told('updated', uuids, compute)

    def delete(self, uuids, compute=None):
        self._change('deleted = id', uuids)
        return self._told('post_delete', uuids, compute)

    def _change(self, what, uuids):
        self.server.run('UPDATE instances SET %s WHERE uuid IN (%s)' % (
            what, ', '.join('"%s"' % one for one in uuids)), self.cell)

    @staticmethod
    def _told(event, uuids, compute):
        if compute is not None:
            compute.call('tell_all', event, uuids)
        return uuids

    def agrees(self):
        """Whether the CMDB has exactly the servers, by their names."""
        return not self._differing()

    def _differing(self):
        """The ids of the servers whose records are wrong."""
        there = dict(self.server.run(
            'SELECT uuid, display_name FROM instances WHERE deleted = 0',
            self.cell))
        known = {server_id: record['name'] for server_id, record in
                 list(self.cmdb.records.items())}
        return {server_id for server_id in there.keys() | known.keys()
                if there.get(server_id) != known.get(server_id)}

    def why(self):
        """What there is to know when it does not agree."""
        logs = ''.join(
            '\n-- %s:\n%s' % (path.name, path.read_text(
                errors='replace')[-3000:])
            for path in sorted(self.folder.glob('*.log')))
        return 'differing: %s%s' % (', '.join(sorted(self._differing())), logs)

    def stop(self):
        for process in self._started:
            process.kill()
        super().stop()
