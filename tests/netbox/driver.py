"""The driver netbox in a process of its own, which tests call."""

import json
import os
import pathlib
import subprocess

_PROCESS = pathlib.Path(__file__).with_name('driver_process.py')

_CONFIGURATION = """
[cmdb]
request_timeout = 60
[cmdb_netbox]
url = %(url)s
token_file = %(token_file)s
tag = %(tag)s
cluster_type = %(cluster_type)s
cluster_by = %(cluster_by)s
%(vrf)s
"""


class Failed(Exception):
    """A call has raised one of the errors of nova.cmdb.errors.

    :ivar kind: the name of its class
    """

    def __init__(self, kind, text):
        super().__init__('%s: %s' % (kind, text))
        self.kind = kind
        self.text = text


class Died(Exception):
    """The process has ended."""


class Driver:
    """
    :param fork: whose Python and tree it runs with
    :param folder: for its files
    :param die_at: the request in place of which it ends, from 1
    """

    def __init__(self, fork, folder, url, token, die_at=0, vrf=None,
                 tag='cloud-1', cluster_type='openstack',
                 cluster_by='availability_zone'):
        self._token_file = folder / 'token'
        self.set_token(token)
        configuration = folder / 'nova.conf'
        configuration.write_text(_CONFIGURATION % {
            'url': url, 'token_file': self._token_file, 'tag': tag,
            'cluster_type': cluster_type, 'cluster_by': cluster_by,
            'vrf': 'vrf = %s' % vrf if vrf else ''})
        self.log = folder / 'driver.log'
        self._process = subprocess.Popen(
            ['setpriv', '--pdeathsig', 'KILL', '--', fork.python,
             str(_PROCESS), str(configuration)], text=True, cwd=fork.tree,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=open(self.log, 'ab'),
            env=dict(os.environ, PYTHONPATH=str(fork.tree),
                     DIE_AT=str(die_at)))

    def set_token(self, token):
        self._token_file.write_text(token)
        self._token_file.chmod(0o600)

    def begin(self, name, *arguments):
        self._process.stdin.write(json.dumps([name, arguments]) + '\n')
        self._process.stdin.flush()

    def end(self):
        """What became of the call that has begun.

        :raises Failed: it has raised an error
        :raises Died: it did not come to its end
        """
        line = self._process.stdout.readline()
        if not line:
            raise Died('%s, see %s' % (self._process.wait(), self.log))
        answer = json.loads(line)
        #: how many requests the last call has made
        self.requests = answer['requests']
        if 'error' in answer:
            raise Failed(*answer['error'])
        return answer['result']

    def __getattr__(self, name):
        if name.startswith('_'):
            raise AttributeError(name)

        def call(*arguments):
            self.begin(name, *arguments)
            return self.end()

        return call

    def close(self):
        self._process.kill()
        self._process.wait()
