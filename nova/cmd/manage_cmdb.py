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

"""nova-manage cmdb: compare the CMDB with the servers, and repair it.

Answers go to standard output; progress, faults and warnings to standard error.
What every command returns is in its description.
"""

import sys
import threading
import time

from oslo_serialization import jsonutils

from nova.cmd import common as cmd_common
from nova.cmdb import agent
from nova.cmdb import delivery
from nova.cmdb import errors
from nova.cmdb import lease as cmdb_lease
from nova.cmdb import reconcile
from nova.cmdb import record as cmdb_record
from nova.i18n import _

# How often progress is said where it is not drawn, in seconds.
_SAY_EVERY = 10

_BAR = 40


class _Progress:
    """How far a comparison is, on standard error.

    Server ids are spread evenly, so how far one has come is read off the
    last one, and nobody has to count all first.
    """

    def __init__(self, stream):
        self._stream = stream
        self._drawn = stream.isatty()
        self._said_at = time.monotonic()
        self._count = 0

    def walked(self, server_id):
        self._count += 1
        now = time.monotonic()
        if now - self._said_at < (0.2 if self._drawn else _SAY_EVERY):
            return
        self._said_at = now
        share = int(server_id[:8], 16) / 2 ** 32
        if self._drawn:
            done = int(_BAR * share)
            self._stream.write('\r[%s%s] %3d %%, %d' % (
                '#' * done, '.' * (_BAR - done), 100 * share, self._count))
        else:
            self._stream.write('%d %%, %d\n' % (100 * share, self._count))
        self._stream.flush()

    def clear(self):
        """Make room for another line."""
        if self._drawn:
            self._stream.write('\r\033[K')
            self._stream.flush()


class CMDBCommands:
    """The CMDB's records of all servers."""

    @cmd_common.action_description("""Compare the CMDB's records with the
servers of all cells, and list what differs: servers without a record
(missing), records that differ (stale), and records without a server (ghost).
Changes nothing. Returns 0 when nothing differs, 1 when something does, 2 when
not all could be compared.""")
    @cmd_common.args('--json', action='store_true', dest='as_json',
                     help='As JSON.')
    def diff(self, as_json=False):
        status, result = self._run('diff', as_json)
        return status or int(bool(result.differences))

    @cmd_common.action_description("""Compare the CMDB's records with the
servers of all cells, and repair what differs. Waits while an agent does the
same. Returns 0 when all is repaired, 1 when something is left, as the CMDB
refuses it or [cmdb] max_delete_share forbids it, 2 when not all could be
compared.""")
    @cmd_common.args('--json', action='store_true', dest='as_json',
                     help='As JSON.')
    @cmd_common.args('--force', action='store_true', dest='force',
                     help='Delete records without a server, however many '
                          'they are.')
    def sync(self, as_json=False, force=False):
        lease = cmdb_lease.Lease()
        waited = False
        while not lease.acquire():
            if not waited:
                waited = True
                print(_('Another comparison is under way; waiting for it.'),
                      file=sys.stderr)
            time.sleep(1)
        status = 2
        try:
            status, result = self._run('sync', as_json, lease, force)
        except cmdb_lease.Lost:
            print(_('Another comparison has taken over.'), file=sys.stderr)
            return 2
        finally:
            lease.release(done=status == 0)
        return status or int(result.refused or bool(result.rejected))

    def _run(self, command, as_json, lease=None, force=False):
        """An exit status, 0 unless it failed, and a reconcile.Result."""
        progress = _Progress(sys.stderr)
        differences = []

        def found(kind, server_id, fields):
            progress.clear()
            if as_json:
                differences.append({'kind': kind, 'server_id': server_id,
                                    'fields': fields})
            else:
                print('%s %s %s' % (kind, server_id, ' '.join(fields)))

        def walked(server_id):
            progress.walked(server_id)
            if lease is not None:
                lease.renew()

        try:
            driver = agent.load_driver()
        except errors.Misconfigured as error:
            print(str(error), file=sys.stderr)
            return 2, reconcile.Result()
        reconciler = reconcile.Reconciler(
            driver, cmdb_record.Servers(), delivery.Gate(threading.Event()),
            found=found, walked=walked)
        try:
            if command == 'sync':
                result = reconciler.sync(force)
            else:
                result = reconciler.diff()
        except errors.Unavailable as error:
            progress.clear()
            print(_('The CMDB does not work: %s') % error, file=sys.stderr)
            return 2, reconcile.Result()
        finally:
            driver.close()
        progress.clear()
        self._print(result, differences, as_json)
        return 0 if result.complete else 2, result

    @staticmethod
    def _print(result, differences, as_json):
        if as_json:
            print(jsonutils.dumps(
                dict(vars(result), differences=differences), indent=4))
            return
        print(_('%(servers)d servers, %(entries)d records: %(missing)d '
                'missing, %(stale)d stale, %(ghosts)d ghosts; %(repaired)d '
                'repaired, %(deleted)d deleted') % vars(result))
        if result.rejected:
            print(_('%d records were refused by the CMDB; the log says why')
                  % result.rejected, file=sys.stderr)
        if result.refused:
            print(_('No ghost was deleted: they are more than [cmdb] '
                    'max_delete_share allows. See --force.'), file=sys.stderr)
        for cell in result.cells_failed:
            print(_('Cell %s did not answer: its servers were not compared, '
                    'and no record was deleted') % cell, file=sys.stderr)
        if result.unknown:
            print(_('%d servers could not be read') % result.unknown,
                  file=sys.stderr)
