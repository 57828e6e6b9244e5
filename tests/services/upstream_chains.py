"""Upstream's migrations of some release and ours, on one database.

A program of its own in the fork's tree. Its arguments are the name of the
database (main or api), its URL, and the steps: `ours`, or the folder of a
release's migrations. What comes from that release are its revisions; the
environment in which alembic runs them is the same in all.

It prints the JSON list of how the database is after each step.
"""

import json
import pathlib
import sys

from alembic import command
from nova.db import migration
from nova.db.mycompany import chain
import sqlalchemy as sa


def theirs(engine, config, folder):
    config.set_main_option(
        'version_locations', str(pathlib.Path(folder) / 'versions'))
    with engine.begin() as connection:
        config.attributes['connection'] = connection
        command.upgrade(config, 'head')


def state(engine, database):
    with engine.connect() as connection:
        inspector = sa.inspect(connection)
        return {
            'version': [list(row) for row in connection.execute(
                sa.text('SELECT * FROM alembic_version'))],
            'missing': [piece for revision in chain.REVISIONS
                        if revision.DATABASE == database
                        for piece in revision.missing(inspector)],
        }


def main(database, url, *steps):
    engine = sa.create_engine(url)
    config = migration._find_alembic_conf(database)
    # Its place says which of the databases it is of.
    states = []
    for step in steps:
        if step == 'ours':
            chain.upgrade(engine, config)
        else:
            theirs(engine, config, step)
        states.append(state(engine, database))
    return states


if __name__ == '__main__':
    print(json.dumps([main(*job) for job in json.loads(sys.argv[1])]))
