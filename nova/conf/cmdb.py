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
    cfg.IntOpt(
        'workers',
        default=8,
        min=1,
        max=64,
        help="""
How many servers one nova-cmdb-agent brings in line at the same time, for each
message bus.

It is also how many messages the agent holds while the CMDB is down. All else
stays on the bus.
"""),
    cfg.FloatOpt(
        'retry_max_delay',
        default=60,
        min=0.1,
        help="""
The longest pause before the CMDB is tried again, in seconds.

Pauses double from half a second up to this, and a part of each is by chance.
While the CMDB fails, one request at a time tries whether it works again. A
CMDB that asks for a longer pause (``Retry-After``) gets it, up to ten minutes.
"""),
    cfg.IntOpt(
        'reconcile_interval',
        default=3600,
        min=0,
        help="""
How often all servers of all cells are compared with the CMDB, and what differs
is repaired, in seconds from the end of one such run to the beginning of the
next.

However many agents there are, one of them does it. A run that was cut short is
begun anew after a tenth of this.

Possible values:

* Seconds
* 0: only ``nova-manage cmdb sync`` does it
"""),
    cfg.IntOpt(
        'reconcile_page_size',
        default=500,
        min=1,
        max=1000,
        help="""
How many servers, and how many records of the CMDB, are read at once when they
are compared. What is held in memory is one page of each cell and one of the
CMDB.
"""),
    cfg.FloatOpt(
        'max_delete_share',
        default=0.05,
        min=0,
        max=1,
        help="""
Which share of the CMDB's records one comparison may delete, because there is
no server to them.

When there are more, none is deleted, and an ERROR says so: a database restored
from an old backup, or another cloud's configuration, looks just like that. Ten
records may always be deleted. ``nova-manage cmdb sync --force`` deletes all.

Possible values:

* From 0 to 1
"""),
    cfg.StrOpt(
        'metrics_file',
        help="""
Absolute path of a file that nova-cmdb-agent writes its health and counters to
every 15 seconds, in the text format of Prometheus.

It is meant for the textfile collector of Prometheus' node exporter. A new
version is renamed into place. Agents on one host need a file each.

Possible values:

* A path in a folder that the user of nova-cmdb-agent may write to, with a name
  that ends in ``.prom``
* Unset: no file is written; the counters are in the log after each comparison
"""),
]


def register_opts(conf):
    conf.register_group(cmdb_group)
    conf.register_opts(cmdb_opts, group=cmdb_group)


def list_opts():
    return {cmdb_group: cmdb_opts}
