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

"""Flavor rules in the API database.

Every change replaces the token of the one row of the state table, in the same
transaction: readers compare it to know whether they have the present rules.
"""

import typing as ty

from oslo_db import api as oslo_db_api
from oslo_db import exception as db_exc
from oslo_serialization import jsonutils
from oslo_utils import uuidutils
import sqlalchemy as sa

from nova.compute.flavor_rules import rules
from nova import context as nova_context
from nova.db.api import api as api_db_api
from nova.db.mycompany import models

_STATE_ID = 1

# What a database that cannot be used raises. oslo.db translates most of it,
# but not what goes wrong where it is not listening, such as on connecting
# again.
FAULTS = (db_exc.DBError, db_exc.CantStartEngineError,
          sa.exc.SQLAlchemyError)


# Two that write at the same time may both find no row, or lock each other.
_retried = oslo_db_api.wrap_db_retry(
    max_retries=5, retry_on_deadlock=True,
    exception_checker=lambda error: isinstance(
        error, db_exc.DBDuplicateEntry))


class InvalidStoredRule(ValueError):
    """A row of the database that cannot be used, such as one edited by hand.
    """


def _decode(row) -> rules.Entry:
    try:
        lists = [None if text is None else jsonutils.loads(text)
                 for text in (row.allow, row.deny)]
        for text, value in zip((row.allow, row.deny), lists):
            # NULL is no list; a null in it would be one that is left out.
            if text is not None and not isinstance(value, list):
                raise ValueError('%r is not a list' % text)
        return rules.Entry(row.project_id, lists[0], lists[1] or ())
    except ValueError as error:
        raise InvalidStoredRule(
            'the row of project %r in table %s of the API database cannot be '
            'used: %s. Set it again with nova-manage flavor_rules set' % (
                row.project_id, models.FlavorRules.__tablename__, error))


def _encode(patterns):
    return None if patterns is None else jsonutils.dumps(list(patterns))


def read(
    known_token: ty.Optional[str] = None,
) -> ty.Tuple[str, ty.Optional[ty.List[rules.Entry]]]:
    """Read all rules, if they are not those that the caller has.

    :param known_token: of the rules that the caller has
    :returns: the token of the present rules, and the rules; None instead of
        the rules when the token is the known one
    :raises InvalidStoredRule: a row cannot be used; no rule is left out
        without a word
    """
    return _read(nova_context.get_admin_context(), known_token)


@api_db_api.context_manager.reader
def _read(context, known_token):
    # The token first: should the rules be newer than it, they are only read
    # once more.
    token = context.session.query(
        models.FlavorRulesState.token).scalar() or ''
    if token == known_token:
        return token, None
    columns = models.FlavorRules
    return token, [_decode(row) for row in context.session.query(
        columns.project_id, columns.allow, columns.deny)]


def save(entries: ty.Iterable[rules.Entry], replace: bool = False) -> None:
    """Set the entries of some projects, all or none.

    :param replace: remove all other entries
    """
    _save(nova_context.get_admin_context(), list(entries), replace)


@_retried
@api_db_api.context_manager.writer
def _save(context, entries, replace):
    _touch(context)
    table = models.FlavorRules
    if replace:
        context.session.query(table).delete()
        there = {}
    else:
        there = {row.project_id: row for row in context.session.query(table)}
    for entry in entries:
        row = there.get(entry.project_id)
        if row is None:
            row = table(project_id=entry.project_id)
            context.session.add(row)
        row.allow = _encode(entry.allow)
        row.deny = _encode(entry.deny)


def delete(project_id: str) -> bool:
    """Remove the entry of a project.

    :returns: whether there was one
    """
    return _delete(nova_context.get_admin_context(), project_id)


@_retried
@api_db_api.context_manager.writer
def _delete(context, project_id):
    _touch(context)
    return bool(context.session.query(models.FlavorRules).filter_by(
        project_id=project_id).delete())


def _touch(context):
    """Replace the token; this row's lock also puts writers in a row."""
    token = uuidutils.generate_uuid()
    state = models.FlavorRulesState
    done = context.session.execute(
        sa.update(state).where(state.id == _STATE_ID).values(token=token))
    if not done.rowcount:
        context.session.add(state(id=_STATE_ID, token=token))
        context.session.flush()
