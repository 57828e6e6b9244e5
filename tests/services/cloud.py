"""Nova's databases, its commands, and real nova-api services on them.

Nothing but the API runs, and nothing else is needed: a server that it accepts
has no network and boots from an empty volume, so that neither Neutron nor
Glance is asked, and waits for ever for a conductor. noauth2 believes what the
token says: who asks, and for which project.
"""

import concurrent.futures
import contextlib
import dataclasses
import http.client
import json
import os
import pathlib
import re
import subprocess
import threading
import time

from process import free_port
from process import Process
from process import until

WORKERS = 2

_CONF = '''
[DEFAULT]
host = {host}
transport_url = fake:/
enabled_apis = osapi_compute
osapi_compute_listen = 127.0.0.1
osapi_compute_listen_port = {port}
osapi_compute_workers = {WORKERS}
state_path = {folder}
[api]
auth_strategy = noauth2
[wsgi]
api_paste_config = {tree}/etc/nova/api-paste.ini
[api_database]
connection = {api_database}
[database]
connection = {database}
[quota]
driver = nova.quota.NoopQuotaDriver
[oslo_policy]
# noauth2 knows no roles.
enforce_new_defaults = false
enforce_scope = false
'''


@dataclasses.dataclass
class Answer:
    """What a request was answered, and by which worker."""
    status: int
    text: str
    request_id: str
    # In the clock of time.monotonic().
    asked: float
    seconds: float
    # The process id of the worker; None when nobody has looked for it.
    worker: int = None

    @property
    def body(self):
        return json.loads(self.text)


class Cloud:
    """One API database and one cell, and a configuration for each host.

    :param fork: a patchqueue.fork.Fork
    :param server: a mariadb.Server
    :param name: of the API database; the cell's databases are shared
    :param tree: the folder of the Nova that runs; the fork unless told
    """

    def __init__(self, fork, server, folder, name, tree=None):
        self.fork = fork
        self.server = server
        self.folder = folder
        self.database = name
        self.tree = tree or fork.tree
        self._bin = pathlib.Path(fork.python).parent
        self._apis = []
        # For the commands. Only they are run on this host.
        self._conf = self.configure(
            'controller', flavor_rules={'use_database': True})
        self.rules_file = folder / 'flavor-rules.yaml'

    def configure(self, host, port=0, **sections):
        """Write the configuration of a host; its path.

        :param sections: by name, their options; these win
        """
        text = _CONF.format(
            WORKERS=WORKERS, host=host, port=port, folder=self.folder,
            tree=self.tree, api_database=self.server.url(self.database),
            database=self.server.url('cell1'))
        for name, options in sections.items():
            text += '[%s]\n' % name
            text += ''.join('%s = %s\n' % pair for pair in options.items())
        path = self.folder / ('nova-%s.conf' % host)
        path.write_text(text)
        return path

    def run_by(self, tree):
        """The same databases with another Nova; a Cloud."""
        folder = self.folder / 'other'
        folder.mkdir()
        other = Cloud(self.fork, self.server, folder, self.database, tree)
        other._apis = self._apis
        return other

    def _environment(self):
        return dict(
            os.environ, PYTHONPATH=str(self.tree), PYTHONWARNINGS='ignore',
            LC_ALL='C.UTF-8')

    def manage(self, *words, check=True):
        """Run nova-manage; its CompletedProcess, with its output as text."""
        done = self.start_manage(*words)
        out, err = done.communicate(timeout=120)
        assert not check or done.returncode == 0, out + err
        return subprocess.CompletedProcess(words, done.returncode, out, err)

    def start_manage(self, *words):
        """Start nova-manage; a Popen."""
        return subprocess.Popen(
            [self._bin / 'nova-manage', '--config-file', self._conf,
             '--log-file', self.folder / 'nova-manage.log', *words],
            env=self._environment(), text=True, cwd=self.folder,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE)

    def start_api(self, host, **sections):
        """Start a nova-api; an Api, which may not listen yet.

        :param sections: of its host's configuration, see configure()
        """
        port = free_port()
        conf = self.configure(host, port, **sections)
        api = Api(port, [self._bin / 'nova-api', '--config-file', conf],
                  self.folder / ('nova-api-%s.log' % host),
                  self._environment())
        self._apis.append(api)
        return api

    def write_rules(self, text):
        """Put a new rules file in the place of the one that is there."""
        new = self.rules_file.with_suffix('.new')
        new.write_text(text)
        new.rename(self.rules_file)

    def stop(self):
        for api in self._apis:
            api.process.kill()

    def written(self, project):
        """How many servers of a project are in the API database."""
        builds, mappings = [
            int(self.server.value('SELECT COUNT(*) FROM %s WHERE project_id'
                                  ' = "%s"' % (table, project), self.database))
            for table in ('build_requests', 'instance_mappings')]
        assert builds == mappings
        return builds


class Api:
    """A running nova-api."""

    def __init__(self, port, command, log, env):
        self.port = port
        self.process = Process(command, log, env)

    def wait(self):
        """Wait until all its workers take requests; returns itself."""
        until('nova-api takes requests', lambda: (
            self._alive() and len(re.findall(
                r'wsgi starting up on http', self.log())) == WORKERS))
        return self

    def _alive(self):
        if self.process.ended():
            raise AssertionError('nova-api has ended:\n%s'
                                 % self.log()[-3000:])
        return True

    @property
    def workers(self):
        return self.process.children()

    def log(self):
        return self.process.text()

    def call(self, method, path, body=None, user='somebody', project='ops',
             timeout=30):
        """Ask the API on a connection of its own; an Answer.

        :raises TimeoutError: there was no answer within `timeout` seconds
        """
        asked = time.monotonic()
        connection = http.client.HTTPConnection(
            '127.0.0.1', self.port, timeout=timeout)
        try:
            connection.request(
                method, '/v2.1' + path, json.dumps(body) if body else None,
                {'Content-Type': 'application/json', 'Connection': 'close',
                 'X-Auth-Token': '%s:%s' % (user, project),
                 'OpenStack-API-Version': 'compute 2.96'})
            answer = connection.getresponse()
            return Answer(answer.status, answer.read().decode(),
                          answer.headers.get('X-Openstack-Request-Id'),
                          asked, time.monotonic() - asked)
        finally:
            connection.close()

    def create(self, project, flavor='m1.tiny', **how):
        """Create a server; 202 when the API has accepted it."""
        return self.call('POST', '/servers', {'server': {
            'name': 'test', 'flavorRef': flavor, 'networks': 'none',
            'block_device_mapping_v2': [{
                'boot_index': 0, 'source_type': 'blank', 'volume_size': 1,
                'destination_type': 'volume'}]}}, project=project, **how)

    def add_flavor(self, name, flavorid=None):
        answer = self.call('POST', '/flavors', {'flavor': {
            'name': name, 'id': flavorid or name, 'ram': 64, 'vcpus': 1,
            'disk': 1}}, user='admin')
        assert answer.status == 200, answer

    def delete_flavor(self, flavorid):
        answer = self.call('DELETE', '/flavors/' + flavorid, user='admin')
        assert answer.status == 202, answer

    def name_workers(self, answers):
        """Fill in which worker gave each of the answers; returns them."""
        wanted = {answer.request_id for answer in answers}

        def known():
            found = {request: int(worker) for worker, request in re.findall(
                r'(?m)^\S+ \S+ (\d+) INFO \S+wsgi\.server \[\S+ (req-\S+) ',
                self.log())}
            return wanted <= found.keys() and found

        # A worker writes its last line on a request after it has answered.
        found = until('the log names every request', known)
        for answer in answers:
            answer.worker = found[answer.request_id]
        return answers

    def everywhere(self, ask):
        """Ask until every worker has answered; the list of Answers.

        :param ask: a function of this Api that returns an Answer
        """
        answers = []

        def asked():
            with concurrent.futures.ThreadPoolExecutor(8) as pool:
                answers.extend(self.name_workers(list(
                    pool.map(lambda _: ask(self), range(8)))))
            return {answer.worker for answer in answers} == set(self.workers)

        until('every worker has answered', asked)
        return answers

    def statuses(self, project, flavor='m1.tiny'):
        """With what creates are answered: the set of what all workers say."""
        return {answer.status for answer in self.everywhere(
            lambda api: api.create(project, flavor))}

    def errors(self):
        """What of the log is an error about flavor rules: (worker, text)."""
        return [(int(worker), text) for worker, text in re.findall(
            r'(?m)^\S+ \S+ (\d+) ERROR nova\.compute\.flavor_rules\S* (.*)$',
            self.log())]


@contextlib.contextmanager
def constantly(apis, ask):
    """Ask all the while, some at a time at each of the APIs.

    The context is given the answers so far: a list by Api, which grows until
    the context ends.
    """
    answers = {api: [] for api in apis}
    ended = threading.Event()

    def go(api):
        # A breath, or nothing else would get a turn on this machine.
        while not ended.wait(0.1):
            answers[api].append(ask(api))

    with concurrent.futures.ThreadPoolExecutor(2 * len(apis)) as pool:
        running = [pool.submit(go, api) for api in 2 * list(apis)]
        try:
            yield answers
        finally:
            ended.set()
        for future in running:
            future.result()
