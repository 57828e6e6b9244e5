"""The databases that the benchmark runs on, each with nothing in it at first.

An object of a class here has

* ``url(name)``: of a database, for Nova's configuration;
* ``copy(source, target)``: make a database like another;
* ``loaded(name)``: a database has got its rows, and takes no more;
* ``processor_time()``: seconds that the server has had, as far as it is a
  process of its own;
* ``stop()``: nothing is written to its folder any more.
"""

import pathlib
import shutil
import sys
import time

sys.path.append(str(
    pathlib.Path(__file__).resolve().parents[2] / 'tests/services'))

import mariadb  # noqa: E402


class SQLite:
    """Files, which this process itself reads."""

    def __init__(self, folder):
        self._folder = folder

    def _file(self, name):
        return self._folder / ('%s.sqlite' % name)

    def url(self, name):
        return 'sqlite:///%s' % self._file(name)

    def copy(self, source, target):
        shutil.copy(self._file(source), self._file(target))

    def loaded(self, name):
        pass

    def processor_time(self):
        return 0

    def stop(self):
        pass


class MariaDB:
    """A server of the benchmark's own."""

    def __init__(self, folder):
        self._server = mariadb.Server(folder)
        self._server.start()
        # A database server that is worth its name holds its tables in memory.
        self._server.run('SET GLOBAL innodb_buffer_pool_size = 1 << 30')
        pid = int(pathlib.Path(
            self._server.value('SELECT @@pid_file')).read_text())
        # As clock_getcpuclockid(3) makes it of a process id: nanoseconds,
        # where /proc counts hundredths of a second.
        self._clock = (~pid << 3) | 2
        self._server.run('CREATE DATABASE api; CREATE DATABASE cell0;')

    def url(self, name):
        return self._server.url(name) + '?charset=utf8'

    def copy(self, source, target):
        self._server.copy(source, target)

    def loaded(self, name):
        # InnoDB does this itself, some time after so many rows have come.
        self._server.run(''.join(
            'ANALYZE TABLE %s;' % table for table in (
                'instances', 'instance_extra', 'migrations', 'services',
                'compute_nodes')), name)

    def processor_time(self):
        return time.clock_gettime(self._clock)

    def stop(self):
        self._server.kill()


BY_NAME = {'mariadb': MariaDB, 'sqlite': SQLite}
