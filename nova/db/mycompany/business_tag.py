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

"""The column instances.business_tag, and how it follows the flavor.

A server's flavor is stored as JSON in ``instance_extra``. Whatever writes that
also writes the tag, in the same transaction, so the two agree after any crash.

NULL says that nobody has looked yet: the server is older than the column, or
was made by stock Nova. An empty text says that its flavor has no tag. So what
is left to be filled in is found by the index, not by reading every flavor.
"""


from oslo_serialization import jsonutils
import sqlalchemy as sa

from nova.compute.business_spread import spec
from nova.db.main import models

COLUMN = 'business_tag'
INDEX = 'instances_business_tag_deleted_host_node_uuid_idx'
# With the last one the counts are read off the index alone.
INDEX_COLUMNS = (COLUMN, 'deleted', 'host', 'node', 'uuid')


# By it the few moves that are under way are found among those that ended.
MOVES_INDEX = 'migrations_deleted_status_idx'


# Upstream's models are completed here rather than in their file. The index
# serves the grouped count, and finding the rows that are left to be filled in.
models.Instance.business_tag = sa.Column(COLUMN, sa.String(255))
sa.Index(INDEX, *(getattr(models.Instance, name) for name in INDEX_COLUMNS))
sa.Index(MOVES_INDEX, models.Migration.deleted, models.Migration.status)


def of_flavor_info(text, which='cur'):
    """The column's value for a flavor as instance_extra holds it.

    :param text: JSON with the flavors cur, old and new, or None
    :param which: of them
    :returns: the tag of that one, '' for none, None if that cannot be
        told. A tag that cannot be used is none: no server gets a place by it
    """
    if not text:
        return None
    # Few flavors have a tag, and every flavor that is saved comes by here.
    if spec.TAG not in text:
        return ''
    try:
        flavor = jsonutils.loads(text)[which] or {'nova_object.data': {}}
        return spec.tag_of(
            flavor['nova_object.data'].get('extra_specs') or {}) or ''
    except spec.InvalidSpread:
        return ''
    except (ValueError, KeyError, TypeError):
        return None


def set_on_create(instance_ref):
    """Set the tag of a server that is about to be created.

    :param instance_ref: models.Instance, with its extra
    """
    instance_ref.business_tag = of_flavor_info(instance_ref.extra.flavor)


def follow_flavor(context, instance_uuid, updates):
    """Write the tag when a server's flavor is written.

    :param updates: of the columns of instance_extra
    """
    tag = of_flavor_info(updates.get('flavor'))
    if tag is None:
        return
    table = models.Instance
    context.session.query(table).filter(
        table.uuid == instance_uuid,
        sa.or_(table.business_tag.is_(None), table.business_tag != tag),
    ).update({
        table.business_tag: tag,
        # The server itself has not changed.
        table.updated_at: table.updated_at,
    }, synchronize_session=False)
