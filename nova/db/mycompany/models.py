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

"""The fork's own tables, as models beside upstream's."""

import sqlalchemy as sa

from nova.db.api import models as api_models
from nova.db import types


class FlavorRules(api_models.BASE):
    """The flavor rules of one project, or of all without any of their own."""

    __tablename__ = 'mycompany_flavor_rules'
    __table_args__ = (
        sa.UniqueConstraint(
            'project_id', name='uniq_mycompany_flavor_rules0project_id'),
    )

    id = sa.Column(sa.Integer, primary_key=True)
    # A project id of Keystone, or '*'.
    project_id = sa.Column(sa.String(255), nullable=False)
    # JSON lists of patterns. NULL in allow is no list at all, which is not the
    # same as an empty one.
    allow = sa.Column(types.MediumText())
    deny = sa.Column(types.MediumText())


class FlavorRulesState(api_models.BASE):
    """One row, with a token that every change of the rules replaces.

    So a worker that has the rules sees by one small query whether they are
    still the present ones.
    """

    __tablename__ = 'mycompany_flavor_rules_state'

    id = sa.Column(sa.Integer, primary_key=True, autoincrement=False)
    token = sa.Column(sa.String(36), nullable=False)


class CMDBLease(api_models.BASE):
    """Who compares the CMDB with the servers at present."""

    __tablename__ = 'mycompany_cmdb_leases'

    name = sa.Column(sa.String(36), primary_key=True)
    # Made up by each process anew; NULL for nobody.
    holder = sa.Column(sa.String(36))
    # Changed again and again by a holder that lives.
    beat = sa.Column(sa.Integer, nullable=False)
    # When a comparison last went through to its end.
    ended_at = sa.Column(sa.DateTime)
