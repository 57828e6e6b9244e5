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

"""Compare all servers of all cells with all entries of the CMDB.

Both come as streams, ascending by id and read in pages, and are walked side by
side: memory does not depend on their number.

An entry without a server is a ghost. Ghosts are counted in a first walk and
deleted in a second, so that too many of them are noticed before the first one
is deleted. While a cell does not answer none is, as its servers look the same.
And each is looked up by itself before it is deleted: what was a page a moment
ago may have changed.
"""

import dataclasses
import typing as ty

from oslo_log import log as logging

from nova.cmdb import delivery
from nova.cmdb.drivers import base
from nova.cmdb import errors
from nova.cmdb import record as cmdb_record
import nova.conf

CONF = nova.conf.CONF
LOG = logging.getLogger(__name__)

MISSING, STALE, GHOST = 'missing', 'stale', 'ghost'

# So many ghosts may be deleted, however few records there are.
_FLOOR = 10

# How often one request is tried before the comparison is given up.
_TRIES = 8


@dataclasses.dataclass
class Result:
    """What a comparison has found and done."""
    servers: int = 0
    entries: int = 0
    missing: int = 0
    stale: int = 0
    ghosts: int = 0
    repaired: int = 0
    deleted: int = 0
    #: the CMDB has refused them
    rejected: int = 0
    #: could not be looked up at the time
    unknown: int = 0
    #: names of the cells that did not answer
    cells_failed: ty.List[str] = dataclasses.field(default_factory=list)
    #: ghosts were left, as they are too large a share
    refused: bool = False

    @property
    def differences(self):
        return self.missing + self.stale + self.ghosts

    @property
    def complete(self):
        """Whether all there is was compared."""
        return not self.cells_failed and not self.unknown


class Reconciler:
    """One comparison.

    :param gate: where to wait while the CMDB does not work
    :param found: called with each difference: its kind, the server's id, and
        the names of the fields that differ
    :param walked: called after each server or entry, with its id; the lease
        and the progress bar hang on it
    """

    def __init__(self, driver: base.Driver, servers: cmdb_record.Servers,
                 gate: delivery.Gate,
                 found: ty.Callable = lambda kind, server_id, fields: None,
                 walked: ty.Callable = lambda server_id: None):
        self._driver = driver
        self._servers = servers
        self._gate = gate
        self._found = found
        self._walked = walked
        self._result = Result()

    def diff(self) -> Result:
        """Only compare.

        :raises errors.Unavailable: the CMDB does not work
        """
        self._walk(self._report)
        return self._result

    def sync(self, force: bool = False) -> Result:
        """Compare and repair.

        :param force: delete ghosts, however many they are
        :raises errors.Unavailable: the CMDB does not work
        """
        result = self._result
        self._walk(self._repair)
        if not result.ghosts:
            return result
        if not result.complete:
            LOG.error('%(count)d records of the CMDB seem to have no server. '
                      'None is deleted, as not all servers could be read.',
                      {'count': result.ghosts})
            return result
        allowed = max(_FLOOR, int(
            CONF.cmdb.max_delete_share * result.entries))
        if result.ghosts > allowed and not force:
            result.refused = True
            LOG.error(
                '%(ghosts)d of %(entries)d records of the CMDB have no '
                'server, and [cmdb] max_delete_share allows %(allowed)d of '
                'them to be deleted: none is. If they should go, run '
                'nova-manage cmdb sync --force.',
                {'ghosts': result.ghosts, 'entries': result.entries,
                 'allowed': allowed})
            return result
        self._left = result.ghosts if force else allowed
        self._walk(self._delete_ghost, count=False)
        return result

    def _walk(self, act, count=True):
        """Call ``act(server_id, record, content)`` for each id of the two.

        :param act: of the last two one may be None
        """
        result = self._result
        records = self._servers.stream(
            CONF.cmdb.reconcile_page_size, self._cell_failed)
        entries = self._entries()
        record, entry = next(records, None), next(entries, None)
        while record is not None or entry is not None:
            server_id = min(each for each in (
                record and record['id'], entry and entry.server_id) if each)
            here = record is not None and record['id'] == server_id
            there = entry is not None and entry.server_id == server_id
            if count:
                result.servers += here
                result.entries += there
            act(server_id, record if here else None,
                entry.content if there else None)
            self._walked(server_id)
            if here:
                record = next(records, None)
            if there:
                entry = next(entries, None)

    def _entries(self):
        marker = None
        while True:
            page = self._gate.call(
                self._driver.page, CONF.cmdb.reconcile_page_size, marker,
                tries=_TRIES)
            if not page:
                return
            yield from page
            marker = page[-1].server_id

    def _cell_failed(self, cell, error):
        name = cell.name or cell.uuid
        if name not in self._result.cells_failed:
            self._result.cells_failed.append(name)
        LOG.error('Cell %(cell)s does not answer (%(error)s): its servers '
                  'are not compared, and no record is deleted.',
                  {'cell': name, 'error': type(error).__name__})

    def _difference(self, server_id, record, content):
        """The kind of a difference and its fields; None for none.

        Pages grow old, so the server is read again before it is called one.
        """
        if record is not None and content is not None:
            if not self._driver.differences(record, content):
                return None
        try:
            record = self._servers.read(server_id)
        except Exception as error:
            self._result.unknown += 1
            LOG.warning('Server %(id)s cannot be read now: %(error)s',
                        {'id': server_id, 'error': type(error).__name__})
            return None
        if record is None:
            # What was deleted just now has a message under way.
            return None if content is None else (GHOST, [])
        if content is None:
            return MISSING, []
        fields = self._driver.differences(record, content)
        return (STALE, fields) if fields else None

    def _report(self, server_id, record, content):
        difference = self._difference(server_id, record, content)
        if difference is None:
            return None
        kind, fields = difference
        self._result.missing += kind == MISSING
        self._result.stale += kind == STALE
        self._result.ghosts += kind == GHOST
        self._found(kind, server_id, fields)
        return kind

    def _repair(self, server_id, record, content):
        kind = self._report(server_id, record, content)
        if kind in (MISSING, STALE):
            self._result.repaired += self._settle(server_id)

    def _delete_ghost(self, server_id, record, content):
        if record is not None or not self._left or not (
                self._result.complete):
            return
        difference = self._difference(server_id, record, content)
        if difference == (GHOST, []):
            self._left -= 1
            self._result.deleted += self._settle(server_id)

    def _settle(self, server_id):
        """Whether the server's entry is now as it should be."""
        try:
            self._gate.call(delivery.settle, self._driver, self._servers,
                            server_id, tries=_TRIES)
            return True
        except errors.Rejected as error:
            self._result.rejected += 1
            LOG.warning('The CMDB refuses the record of server %(id)s: '
                        '%(error)s', {'id': server_id, 'error': error})
        except (errors.CMDBError, delivery.Stopped):
            raise
        except Exception as error:
            self._result.unknown += 1
            LOG.warning('Server %(id)s cannot be read now: %(error)s',
                        {'id': server_id, 'error': type(error).__name__})
        return False
