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

from oslo_config import cfg

flavor_rules_group = cfg.OptGroup(
    'flavor_rules',
    title='Flavor rules',
    help="""
Which flavors a project may use for new servers and for resizes.

Rules come from a file, from the API database, or from both. With neither
``rules_file`` nor ``use_database`` set nothing is checked, read or hidden.
""")

flavor_rules_opts = [
    cfg.StrOpt(
        'rules_file',
        help="""
Absolute path of a YAML file with flavor rules.

nova-api refuses to start when the file cannot be read or is not valid. While
it runs it looks for a change of the file when a request needs the rules, and
not more often than ``refresh_interval``. An edit that is not valid is logged
once as an ERROR by each worker, and the last good rules that the worker has
read stay in force until it is mended. Workers may differ until then.

Write a new version beside the file and rename it into place, so that it is
never read half written. ``nova-manage flavor_rules check --file`` tells
whether a file is valid.

Possible values:

* A path that the user of nova-api can read, the same rules on every API host
* Unset: there are no rules from a file

Related options:

* ``[flavor_rules] use_database``: for one project the database's entry wins
"""),
    cfg.BoolOpt(
        'use_database',
        default=False,
        help="""
Read flavor rules from the API database too.

They are set with ``nova-manage flavor_rules set``, and hold on every API host
without a restart. The tables are made by ``nova-manage api_db sync``.

Related options:

* ``[flavor_rules] refresh_interval``
* ``[flavor_rules] database_timeout``
* ``[flavor_rules] database_max_age``
"""),
    cfg.FloatOpt(
        'refresh_interval',
        default=5,
        min=0,
        help="""
For how many seconds an API worker goes on with the rules it has before it
looks for a change.

A change of the rules holds in every worker on every host within this time.
Looking costs one short query, or one stat of the file, and is done by the
next request that needs the rules: an idle worker does nothing.

Possible values:

* Seconds; 0 looks for a change on every request
"""),
    cfg.FloatOpt(
        'database_timeout',
        default=5,
        min=0.1,
        help="""
For how many seconds a request waits for the rules of the database.

After that it goes on with the rules that the worker has, if they are not older
than ``database_max_age``, and is answered with 503 otherwise.

Possible values:

* Seconds, at least 0.1

Related options:

* ``[flavor_rules] database_max_age``
"""),
    cfg.FloatOpt(
        'database_max_age',
        default=60,
        min=0,
        help="""
For how many seconds after they were last read the rules of the database are
used while the database cannot be read.

When they are older, no server is created or resized: users are answered with
503 until the database can be read again. A worker that has never read them
answers with 503 from the start. That the database cannot be read is found out
when ``refresh_interval`` is over, so no rules are used for less than that.

Possible values:

* Seconds; 0 never uses rules once reading them again has failed

Related options:

* ``[flavor_rules] refresh_interval``
"""),
    cfg.BoolOpt(
        'hide_from_listing',
        default=False,
        help="""
Leave flavors that the caller's project may not use out of ``GET /flavors`` and
``GET /flavors/detail``.

The format of the answers stays the same, and so does paging. Administrators
and whoever the policy ``os_compute_api:servers:create:any_flavor`` exempts see
all flavors. ``GET /flavors/{id}`` shows a hidden flavor to whoever knows its
id, as before: a server may have one from the time before a rule.
"""),
]


def register_opts(conf):
    conf.register_group(flavor_rules_group)
    conf.register_opts(flavor_rules_opts, group=flavor_rules_group)


def list_opts():
    return {flavor_rules_group: flavor_rules_opts}
