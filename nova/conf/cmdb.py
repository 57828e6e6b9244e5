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

cmdb_group = cfg.OptGroup(
    'cmdb',
    title='CMDB',
    help="""
Records of all servers in a CMDB.

Nothing here is read by nova-api, nova-scheduler, nova-conductor or
nova-compute; the options of a CMDB belong on the controllers that run
nova-cmdb-agent only.
""")

cmdb_opts = [
    cfg.StrOpt(
        'driver',
        default='http',
        help="""
The driver that speaks to the CMDB.

Possible values:

* ``http``: a CMDB with the REST interface of the operator's guide, see
  ``[cmdb_http]``
* ``netbox``: NetBox, see ``[cmdb_netbox]``
* The name of any other entry point in ``nova.cmdb.drivers``
"""),
    cfg.FloatOpt(
        'request_timeout',
        default=10,
        min=0.1,
        help="""
How long one request to the CMDB may take, from connecting to the last byte of
the answer.

A request that takes longer is given up, and what it was for is tried again
later. Looking up the CMDB's name is bounded by the system's resolver instead.

Possible values:

* Seconds, at least 0.1
"""),
    cfg.StrOpt(
        'cafile',
        help="""
Absolute path of a file with the certificates (PEM) of the authorities that
may vouch for the CMDB's TLS certificate.

Possible values:

* A path that the user of nova-cmdb-agent can read
* Unset: the authorities that the Python ``requests`` library of the system
  trusts

Related options:

* ``[cmdb] insecure``: this is not used when that is set
"""),
    cfg.BoolOpt(
        'insecure',
        default=False,
        help="""
Do not verify the CMDB's TLS certificate.

Whoever can get between the agent and the CMDB then reads its token and the
records. Meant for a first try in a laboratory.
"""),
]


def register_opts(conf):
    conf.register_group(cmdb_group)
    conf.register_opts(cmdb_opts, group=cmdb_group)


def list_opts():
    return {cmdb_group: cmdb_opts}
