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

"""The fork's own migration chain, beside upstream's two.

A revision here has a name, not a number, and no alembic identity: upstream's
``alembic_version`` stays exactly what stock Nova would have, so stock Nova of
the same release runs on the database after the fork is gone, and upstream's
next revisions meet no second head.

Whether a revision is applied is read off the schema itself. A table of our own
for that would stop ``nova-manage db archive_deleted_rows``, which wants a
model for every table of a cell's database. It would also lie: MariaDB commits
after each DDL statement, so a run that was killed leaves a revision half
applied. Hence each revision looks at every piece of itself, and adds what is
missing; running it again is always safe, and so is running it twice at the
same time.

A revision is a module of ``revisions`` with

* ``DATABASE``: ``main`` or ``api``;
* ``missing(inspector)``: the names of the pieces that are not there yet, as a
  list of texts for people, in the order in which they are made;
* ``upgrade(operations, missing)``: makes them. ``operations`` is an
  ``alembic.operations.Operations``.

Revisions only add: tables, indexes, nullable columns. There is no downgrade.
"""

import os

from alembic import operations as alembic_operations
from alembic.runtime import migration as alembic_migration
from oslo_db import exception as db_exc
from oslo_log import log as logging
import sqlalchemy as sa

from nova.db.api import api as api_db_api
from nova.db.main import api as main_db_api
# Imported for what it does: upstream's model of the API database then has our
# tables, and its check that models and schema agree covers them.
from nova.db.mycompany import models  # noqa: F401
from nova.db.mycompany.revisions import business_tag
from nova.db.mycompany.revisions import cmdb
from nova.db.mycompany.revisions import flavor_rules

LOG = logging.getLogger(__name__)

# In the order in which they are applied.
REVISIONS = (
    flavor_rules,
    business_tag,
    cmdb,
)


def _name(revision):
    return revision.__name__.rpartition('.')[2]


def upgrade(engine, config, version=None):
    """Apply what is missing, after upstream's chain.

    :param engine: of the database that upstream's chain has just brought up
    :param config: upstream's alembic configuration, whose place says which of
        the databases this is
    :param version: the revision of upstream's chain that was asked for. An
        older schema than this release's is somebody's test: it is left alone
    """
    if version not in (None, 'head', 'heads'):
        return
    database = os.path.basename(os.path.dirname(config.config_file_name))
    for revision in REVISIONS:
        if revision.DATABASE == database:
            _apply(engine, revision)


def _apply(engine, revision):
    fault, before = None, None
    while True:
        with engine.connect() as connection:
            missing = revision.missing(sa.inspect(connection))
        if not missing:
            return
        # What another sync has made since we looked fails here, and is there
        # when we look again. A fault that leaves all as it was is another.
        if missing == before:
            raise fault
        LOG.info('Applying %(name)s of mycompany: %(missing)s',
                 {'name': _name(revision), 'missing': ', '.join(missing)})
        try:
            with engine.begin() as connection:
                context = alembic_migration.MigrationContext.configure(
                    connection)
                revision.upgrade(
                    alembic_operations.Operations(context), missing)
            return
        except (sa.exc.SQLAlchemyError, db_exc.DBError) as error:
            fault, before = error, missing


def status(database):
    """What of the chain is applied.

    :param database: ``main`` or ``api``
    :returns: pairs of a revision's name and the list of what it still misses
    """
    api = {'main': main_db_api, 'api': api_db_api}[database]
    inspector = sa.inspect(api.get_engine())
    return [(_name(revision), revision.missing(inspector))
            for revision in REVISIONS if revision.DATABASE == database]


def print_status(database):
    """Print the line that follows upstream's version, for nova-manage.

    It never fails: scripts read upstream's line and the exit status.
    """
    try:
        text = ', '.join(
            '%s (missing: %s)' % (name, ', '.join(missing)) if missing
            else name for name, missing in status(database))
    except Exception as error:
        text = 'unknown: %s' % error
    print('mycompany: %s' % text)
