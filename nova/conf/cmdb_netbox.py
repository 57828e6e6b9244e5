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

cmdb_netbox_group = cfg.OptGroup(
    'cmdb_netbox',
    title='NetBox as CMDB',
    help="""
Where the NetBox of ``[cmdb] driver = netbox`` is, and what is ours in it.

Custom fields, a tag and a type of clusters have to be in NetBox first; the
operator's guide says how to make them.
""")

cmdb_netbox_opts = [
    cfg.StrOpt(
        'url',
        help="""
The URL of NetBox, below which it has ``/api``.

Possible values:

* ``https://HOST[:PORT][/PATH]``
* ``http://...`` for a host that is ``localhost`` or a loopback address, or
  with ``[cmdb] insecure``: the token and the records are sent in the clear

Related options:

* ``[cmdb] cafile``
* ``[cmdb_netbox] token_file``
"""),
    cfg.StrOpt(
        'token_file',
        help="""
Absolute path of a file with a token of NetBox, of either kind.

The agent refuses a file that anyone but its owner can read. A changed file is
read again at the next request, without a restart; while it does not do, the
last good token stays in use.

Possible values:

* The path of a file with mode 0600 or 0400 that belongs to the user of
  nova-cmdb-agent and holds the token on one line
"""),
    cfg.StrOpt(
        'tag',
        help="""
The slug of the tag that marks what is ours in NetBox.

Objects without it are never changed or deleted. Each cloud that writes to the
same NetBox needs a tag of its own: a cloud removes virtual machines with its
tag of which it has no server.

Possible values:

* The slug of a tag that is in NetBox and that nobody else uses
"""),
    cfg.StrOpt(
        'cluster_by',
        default='availability_zone',
        choices=[
            ('availability_zone', 'A cluster for each availability zone, and '
             'one for servers that are in none'),
            ('cell', 'A cluster for each cell'),
        ],
        help="""
What makes a cluster of NetBox.

The cluster is found by its name and ``[cmdb_netbox] cluster_type``, and made
when there is none.
"""),
    cfg.StrOpt(
        'cluster_type',
        help="""
The slug of the type that our clusters have.

Possible values:

* The slug of a cluster type that is in NetBox
"""),
    cfg.StrOpt(
        'vrf',
        help="""
The name of the VRF that our IP addresses are in.

Networks of different projects may use the same addresses. NetBox takes each
only once, in the global table and in a VRF that enforces unique space, so that
most clouds need a VRF of their own that does not.

Possible values:

* The name of a VRF that is in NetBox
* Unset: the global table
"""),
]


def register_opts(conf):
    conf.register_group(cmdb_netbox_group)
    conf.register_opts(cmdb_netbox_opts, group=cmdb_netbox_group)


def list_opts():
    return {cmdb_netbox_group: cmdb_netbox_opts}
