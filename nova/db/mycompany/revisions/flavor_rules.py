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

"""The tables of flavor rules, in the API database."""

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

DATABASE = 'api'

RULES = 'mycompany_flavor_rules'
STATE = 'mycompany_flavor_rules_state'


def _patterns():
    # Thousands of patterns are longer than the 64 KiB of MySQL's TEXT.
    return sa.Text().with_variant(mysql.MEDIUMTEXT(), 'mysql')


def _table(name):
    columns = {
        RULES: (
            sa.Column('id', sa.Integer, primary_key=True, nullable=False),
            sa.Column('project_id', sa.String(255), nullable=False),
            sa.Column('allow', _patterns()),
            sa.Column('deny', _patterns()),
            sa.UniqueConstraint(
                'project_id', name='uniq_mycompany_flavor_rules0project_id'),
        ),
        STATE: (
            sa.Column('id', sa.Integer, primary_key=True, nullable=False,
                      autoincrement=False),
            sa.Column('token', sa.String(36), nullable=False),
        ),
    }[name]
    # Project ids are compared to the letter, as Keystone does.
    return sa.Table(
        name, sa.MetaData(), *columns,
        sa.Column('created_at', sa.DateTime),
        sa.Column('updated_at', sa.DateTime),
        mysql_engine='InnoDB', mysql_charset='utf8mb4',
        mysql_collate='utf8mb4_bin')


def missing(inspector):
    there = set(inspector.get_table_names())
    return [table for table in (RULES, STATE) if table not in there]


def upgrade(operations, missing):
    for table in missing:
        # Another sync may be at the same revision at the same time.
        operations.execute(sa.schema.CreateTable(
            _table(table), if_not_exists=True))
