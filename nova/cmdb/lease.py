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

"""One comparison at a time, over all agents and nova-manage.

A row in the API database names who does it. Its holder changes the row again
and again; who sees it unchanged for LEASE seconds of its own clock takes it
over. So a holder that was killed is in nobody's way for long, and the clocks
of the hosts need not agree. A holder that has lost the row notices when it
next changes it, and stops.

tooz would do, but Nova sets up none unless somebody configures a backend, and
the API database is always there.
"""

import time
import typing as ty

from oslo_db import exception as db_exc
from oslo_utils import timeutils
from oslo_utils import uuidutils
import sqlalchemy as sa

from nova import context as nova_context
from nova.db.api import api as api_db_api
from nova.db.mycompany import models

#: After so many seconds without a sign of life a holder is taken for dead.
LEASE = 30

# A holder gives a sign of life this often, in seconds.
_BEAT = LEASE / 6

_NAME = 'reconcile'


class Lost(Exception):
    """Another has taken the lease over: stop."""


class Lease:

    def __init__(self):
        self._context = nova_context.get_admin_context()
        self._me = uuidutils.generate_uuid()
        self._beat_at = 0.0
        # What was last seen of another holder, and when.
        self._seen: ty.Optional[ty.Tuple] = None
        self._seen_at = 0.0

    def idle_for(self) -> ty.Optional[float]:
        """Seconds since the last comparison has ended; None for never."""
        row = _read(self._context)
        if row is None or row.ended_at is None:
            return None
        return max(0, timeutils.delta_seconds(
            row.ended_at, timeutils.utcnow()))

    def acquire(self) -> bool:
        """Take the lease if nobody has it, or whoever has is dead.

        To find that out takes LEASE seconds of further calls.
        """
        row = _read(self._context)
        if row is not None and row.holder is not None:
            seen = (row.holder, row.beat)
            if seen != self._seen:
                self._seen, self._seen_at = seen, time.monotonic()
                return False
            if time.monotonic() - self._seen_at < LEASE:
                return False
        if not _take(self._context, row, self._me):
            return False
        self._beat_at = time.monotonic()
        return True

    def renew(self) -> None:
        """Give a sign of life, if it is time to.

        :raises Lost: another has the lease
        """
        now = time.monotonic()
        if now - self._beat_at < _BEAT:
            return
        if not _renew(self._context, self._me):
            raise Lost()
        self._beat_at = now

    def release(self, done: bool) -> None:
        """Let others have it.

        :param done: whether the comparison went through to its end
        """
        _release(self._context, self._me, done)


@api_db_api.context_manager.reader
def _read(context):
    lease = models.CMDBLease
    return context.session.query(
        lease.holder, lease.beat, lease.ended_at).filter(
            lease.name == _NAME).one_or_none()


def _take(context, row, me):
    if row is not None:
        return _take_over(context, row, me)
    try:
        _insert(context, me)
    except db_exc.DBDuplicateEntry:
        return False
    return True


@api_db_api.context_manager.writer
def _insert(context, me):
    context.session.add(models.CMDBLease(name=_NAME, holder=me, beat=0))


@api_db_api.context_manager.writer
def _take_over(context, row, me):
    lease = models.CMDBLease
    # Only from the state that was seen: of two, one gets it.
    done = context.session.execute(
        sa.update(lease).where(
            lease.name == _NAME, lease.beat == row.beat,
            lease.holder.is_(None) if row.holder is None
            else lease.holder == row.holder,
        ).values(holder=me, beat=row.beat + 1))
    return bool(done.rowcount)


@api_db_api.context_manager.writer
def _renew(context, me):
    lease = models.CMDBLease
    done = context.session.execute(
        sa.update(lease).where(
            lease.name == _NAME, lease.holder == me,
        ).values(beat=lease.beat + 1))
    return bool(done.rowcount)


@api_db_api.context_manager.writer
def _release(context, me, done):
    lease = models.CMDBLease
    values = {'holder': None, 'beat': lease.beat + 1}
    if done:
        values['ended_at'] = timeutils.utcnow()
    context.session.execute(sa.update(lease).where(
        lease.name == _NAME, lease.holder == me).values(**values))
