"""A real NetBox of the tests' own, with its PostgreSQL and Redis.

NetBox is from the package index, in build/venv/netbox; the servers are the
distribution's, without its packaging: no service, no file outside of a folder
of the run, and only loopback to listen on. NetBox takes minutes to make its
tables, so that a database with them is kept in build/netbox and copied.
"""

import contextlib
import glob
import hashlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import urllib.request

from process import free_port
from process import Process
from process import until

# Of the token below, which everything may be done with.
ADMIN = 'a' * 40

_CONFIGURATION = """
ALLOWED_HOSTS = ['*']
DATABASES = {{'default': {{
    'ENGINE': 'django.db.backends.postgresql', 'NAME': 'netbox',
    'USER': 'netbox', 'PASSWORD': '', 'HOST': '127.0.0.1',
    'PORT': '{postgres}', 'CONN_MAX_AGE': 300}}}}
_redis = {{'HOST': '127.0.0.1', 'PORT': {redis}, 'USERNAME': '',
          'PASSWORD': '', 'SSL': False}}
REDIS = {{'tasks': dict(_redis, DATABASE=0),
         'caching': dict(_redis, DATABASE=1)}}
SECRET_KEY = '{secret}'
API_TOKEN_PEPPERS = {{1: '{secret}'}}
CENSUS_REPORTING_ENABLED = False
ISOLATED_DEPLOYMENT = True
RELEASE_CHECK_URL = None
"""

# Runs in NetBox. Its tokens of the first kind can be chosen, and are still
# what most NetBoxes have.
_MAKE_USERS = """
from users.models import User, Token
admin = User.objects.create_superuser('admin', 'admin@example.org', 'x' * 20)
Token.objects.create(user=admin, version=1, token=%r)
""" % ADMIN


class Missing(Exception):
    """What this machine lacks to run a NetBox."""


def _one_of(*patterns):
    for pattern in patterns:
        found = sorted(glob.glob(pattern))
        if found:
            return found[-1]
    raise Missing('%s is not installed: tools/setup.sh netbox' % patterns[0])


def _as_nobody():
    """PostgreSQL refuses to run as root."""
    if os.geteuid():
        return []
    return ['setpriv', '--reuid=nobody', '--regid=nogroup', '--clear-groups',
            '--']


def _answers(port):
    with contextlib.suppress(OSError):
        socket.create_connection(('127.0.0.1', port), timeout=1).close()
        return True


class Instance:
    """
    :param build: the checkout's folder of what is made
    :param folder: where everything of this run is; nobody may enter it
    :raises Missing: there is no NetBox to run
    """

    def __init__(self, build, folder):
        self.folder = folder
        self._bin = build / 'venv' / 'netbox' / 'bin'
        self._netbox = _one_of(str(self._bin / 'netbox'))
        self._postgres = pathlib.Path(_one_of(
            '/usr/lib/postgresql/*/bin/postgres')).parent
        # One program under several names; redis-server is what another
        # package calls it, which would also start a service.
        self._redis = _one_of('/usr/bin/redis-check-rdb')
        self.version = subprocess.check_output(
            [self._netbox, 'version'], text=True).strip()
        self._template = build / 'netbox' / self._name_of_template()
        self._ports = {name: free_port()
                       for name in ('postgres', 'redis', 'netbox')}
        self._processes = []
        self.url = 'http://127.0.0.1:%d' % self._ports['netbox']

    def _name_of_template(self):
        made_by = [self.version, str(self._postgres), _MAKE_USERS]
        return hashlib.sha256(repr(made_by).encode()).hexdigest()[:16]

    def start(self):
        conf = self.folder / 'conf'
        conf.mkdir()
        (conf / 'configuration.py').write_text(_CONFIGURATION.format(
            secret='s' * 60, **self._ports))
        self._start('redis', [
            'bash', '-c', 'exec -a redis-server "$0" "$@"', self._redis,
            '--port', self._ports['redis'], '--bind', '127.0.0.1',
            '--save', '', '--dir', self.folder])
        if not self._template.exists():
            self._make_template()
        self._copy(self._template, self.folder / 'data')
        self._start_postgres()
        self._start('netbox', [
            self._bin / 'gunicorn', 'netbox.wsgi',
            '--bind', '127.0.0.1:%d' % self._ports['netbox'],
            '--workers', '2', '--threads', '4', '--timeout', '120'])

    def _start(self, name, command):
        self._processes.append(Process(
            command, self.folder / (name + '.log'), env=self._environment()))
        until('%s answers' % name, lambda: _answers(self._ports[name]))

    def _environment(self):
        return dict(os.environ, NETBOX_ROOT=str(self.folder),
                    # gunicorn makes a socket there.
                    HOME=str(self.folder),
                    DJANGO_SETTINGS_MODULE='netbox.settings',
                    PYTHONDONTWRITEBYTECODE='1', LC_ALL='C.UTF-8')

    def _start_postgres(self):
        self._start('postgres', [
            *_as_nobody(), self._postgres / 'postgres',
            '-D', self.folder / 'data', '-h', '127.0.0.1',
            '-p', self._ports['postgres'], '-k', '',
            # What is lost in a crash is lost with this folder anyway.
            '-c', 'fsync=off', '-c', 'synchronous_commit=off',
            '-c', 'full_page_writes=off'])

    def _copy(self, source, target):
        shutil.copytree(source, target, symlinks=True)
        target.chmod(0o700)
        if not os.geteuid():
            subprocess.check_call(
                ['chown', '-R', 'nobody:nogroup', str(target)])

    def _make_template(self):
        data = self.folder / 'data'
        data.mkdir(mode=0o700)
        if not os.geteuid():
            shutil.chown(data, 'nobody', 'nogroup')
        subprocess.check_call(
            [*_as_nobody(), str(self._postgres / 'initdb'), '-D', str(data),
             '-U', 'netbox', '--auth=trust', '--encoding=UTF8',
             '--locale=C.UTF-8', '--no-sync'], stdout=subprocess.DEVNULL)
        self._start_postgres()
        postgres = self._processes.pop()
        try:
            subprocess.check_call([
                str(self._bin / 'python'), '-c',
                'import psycopg, sys; psycopg.connect(sys.argv[1], '
                'autocommit=True).execute("CREATE DATABASE netbox")',
                'host=127.0.0.1 port=%d user=netbox dbname=postgres' %
                self._ports['postgres']])
            self.manage('migrate', '--no-input')
            self.manage('shell', '--no-imports', '-c', _MAKE_USERS)
            subprocess.check_call([
                *_as_nobody(), str(self._postgres / 'pg_ctl'), 'stop',
                '-D', str(data), '--wait', '-m', 'fast'],
                stdout=subprocess.DEVNULL)
        finally:
            postgres.kill()
        # Made aside and renamed: half a template is none.
        fresh = self._template.with_suffix('.new')
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.parent.mkdir(exist_ok=True)
        shutil.move(data, fresh)
        fresh.rename(self._template)

    def manage(self, *words):
        """Run one of NetBox's own commands, and return what it says."""
        done = subprocess.run(
            [self._netbox, *words], env=self._environment(), text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT)
        if done.returncode:
            raise AssertionError(done.stdout)
        return done.stdout

    def stop(self):
        for process in reversed(self._processes):
            process.kill()
        self._processes = []

    def call(self, method, path, body=None, token=ADMIN):
        """Ask as a person would, who may do everything; the answer's data.

        :raises urllib.error.HTTPError: NetBox says no
        """
        request = urllib.request.Request(
            '%s/api/%s' % (self.url, path), method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={'Authorization': 'Token %s' % token,
                     'Content-Type': 'application/json'})
        with urllib.request.urlopen(request, timeout=300) as answer:
            text = answer.read()
        return json.loads(text) if text else None
