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

"""instances.business_tag, the column of the shadow table, and two indexes.

Adding a column that may be NULL at the end of a table changes no row: MariaDB
from 10.3 and MySQL from 8.0 do it at once, whatever the size of the table, and
build the indexes in place while servers come and go.
"""

import sqlalchemy as sa

DATABASE = 'main'

COLUMN = 'business_tag'
# Their tables and columns.
INDEXES = {
    'instances_business_tag_deleted_host_node_uuid_idx': (
        'instances', [COLUMN, 'deleted', 'host', 'node', 'uuid']),
    'migrations_deleted_status_idx': ('migrations', ['deleted', 'status']),
}


def missing(inspector):
    result = [
        '%s.%s' % (table, COLUMN) for table in ('instances',
                                                'shadow_instances')
        if COLUMN not in {
            column['name'] for column in inspector.get_columns(table)}]
    return result + [
        name for name, (table, _columns) in INDEXES.items() if name not in {
            index['name'] for index in inspector.get_indexes(table)}]


def upgrade(operations, missing):
    for piece in missing:
        if piece in INDEXES:
            operations.create_index(piece, *INDEXES[piece])
        else:
            # Compared to the letter, also on MySQL, whose tables ignore case.
            operations.add_column(
                piece.partition('.')[0],
                sa.Column(COLUMN, sa.String(255).with_variant(
                    sa.String(255, collation='utf8_bin'), 'mysql')))
