"""A MariaDB server of the tests' own, in a folder.

It is the distribution's server without its packaging: no user, no service, no
file outside of the folder. It listens on loopback, where Nova's connection
looks like any other, and on a socket for the tests themselves.
"""

import contextlib
import os
import re
import shutil
import subprocess

from process import free_port
from process import Process
from process import until

# An ordinary user's PATH has no /usr/sbin.
PATH = '%s:/usr/sbin' % os.environ['PATH']


class Missing(Exception):
    """What this machine lacks to run a MariaDB."""


def _program(name):
    path = shutil.which(name, path=PATH)
    if not path:
        raise Missing('%s is not installed: tools/setup.sh services' % name)
    return path


def _text(field):
    """What the client has escaped in a field, as it was."""
    return re.sub(r'\\(.)', lambda found: {
        'n': '\n', 't': '\t', '0': '\0'}.get(found[1], found[1]), field)


class Server:
    """
    :param folder: where everything is; its path must be short, for the socket
    :raises Missing: there is no MariaDB to run
    """

    def __init__(self, folder):
        install, server, self._client = map(_program, (
            'mariadb-install-db', 'mariadbd', 'mariadb'))
        self.folder = folder
        self.port = free_port()
        self._process = None
        self._socket = folder / 'socket'
        # The superuser is refused unless one insists.
        user = ['--user=root'] if os.geteuid() == 0 else []
        done = subprocess.run(
            [install, '--no-defaults', *user,
             '--datadir=%s' % (folder / 'data'), '--skip-test-db',
             '--auth-root-authentication-method=normal'],
            text=True, timeout=120, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode:
            raise AssertionError(done.stdout)
        self._command = [
            server, '--no-defaults', *user,
            '--datadir=%s' % (folder / 'data'), '--socket=%s' % self._socket,
            '--bind-address=127.0.0.1', '--port=%d' % self.port,
            '--skip-name-resolve', '--lock-wait-timeout=120',
            # What Debian sets.
            '--character-set-server=utf8mb4',
            '--collation-server=utf8mb4_general_ci',
            # Small, and fast: nobody pulls this machine's plug.
            '--innodb-buffer-pool-size=64M', '--innodb-log-file-size=32M',
            '--innodb-flush-log-at-trx-commit=2',
            '--innodb-flush-method=nosync', '--performance-schema=OFF']

    def start(self):
        self._process = Process(self._command, self.folder / 'log')
        until('MariaDB answers', self._answers)

    def _answers(self):
        if self._process.ended():
            raise AssertionError('MariaDB has ended:\n%s'
                                 % self._process.text()[-3000:])
        return self._query('SELECT 1').returncode == 0

    def kill(self):
        """End it as a crash would, with everything it has not written."""
        self._process.kill()

    def frozen(self):
        """A context in which it accepts connections and never answers."""
        return self._process.frozen()

    def url(self, database, user='root'):
        """For Nova's configuration."""
        return 'mysql+pymysql://%s@127.0.0.1:%d/%s' % (
            user, self.port, database)

    def _command_line(self, *words):
        return [self._client, '--no-defaults', '--socket=%s' % self._socket,
                '--user=root', '--batch', '--skip-column-names',
                '--unbuffered', '--default-character-set=utf8mb4', *words]

    def _query(self, sql, database=''):
        return subprocess.run(
            self._command_line(database), input=sql, text=True,
            capture_output=True, timeout=60)

    def run(self, sql, database=''):
        """Run statements; the rows of all of them, as tuples of texts."""
        done = self._query(sql, database)
        if done.returncode:
            raise AssertionError('%s\n%s' % (sql[:2000], done.stderr))
        return [tuple(map(_text, line.split('\t')))
                for line in done.stdout.splitlines()]

    def value(self, sql, database=''):
        """The only field of the only row."""
        ((found,),) = self.run(sql, database)
        return found

    def tables(self, database):
        """The definition of every table, by its name."""
        names = [name for name, in self.run('SHOW TABLES', database)]
        rows = self.run(''.join(
            'SHOW CREATE TABLE `%s`;' % name for name in names), database)
        return {name: re.sub(r' AUTO_INCREMENT=\d+', '', definition)
                for name, definition in rows}

    def copy(self, source, target):
        """Make `target` a database with the tables and rows of `source`."""
        tables = self.tables(source)
        self.run(
            'CREATE DATABASE %s; USE %s; SET foreign_key_checks = 0;' % (
                target, target)
            + ''.join('%s;' % definition for definition in tables.values())
            + ''.join('INSERT INTO `%s` SELECT * FROM %s.`%s`;' % (
                name, source, name) for name in tables))

    @contextlib.contextmanager
    def locked(self, sql):
        """What `sql` locks stays so within the context.

        :param sql: such as LOCK TABLES; the lock goes with its connection
        """
        client = subprocess.Popen(
            self._command_line(), text=True, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE)
        try:
            client.stdin.write('%s; SELECT 1;\n' % sql)
            client.stdin.flush()
            # The answer to the second says that the first is done.
            assert client.stdout.readline() == '1\n'
            yield
        finally:
            client.communicate()

    def waiting(self, pattern):
        """How many connections wait for a lock in a statement LIKE this."""
        return int(self.value(
            'SELECT COUNT(*) FROM information_schema.processlist'
            ' WHERE state LIKE "Waiting%%" AND info LIKE "%s"' % pattern))
