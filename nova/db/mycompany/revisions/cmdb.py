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

"""The table that says who compares the CMDB, in the API database."""

import sqlalchemy as sa

DATABASE = 'api'

LEASES = 'mycompany_cmdb_leases'


def missing(inspector):
    return [] if LEASES in inspector.get_table_names() else [LEASES]


def upgrade(operations, missing):
    table = sa.Table(
        LEASES, sa.MetaData(),
        sa.Column('name', sa.String(36), primary_key=True, nullable=False),
        sa.Column('holder', sa.String(36)),
        sa.Column('beat', sa.Integer, nullable=False),
        sa.Column('ended_at', sa.DateTime),
        sa.Column('created_at', sa.DateTime),
        sa.Column('updated_at', sa.DateTime),
        mysql_engine='InnoDB', mysql_charset='utf8mb4')
    # Another sync may be at the same revision at the same time.
    operations.execute(sa.schema.CreateTable(table, if_not_exists=True))
