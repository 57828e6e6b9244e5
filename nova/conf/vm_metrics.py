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

vm_metrics_group = cfg.OptGroup(
    'vm_metrics',
    title='Live metrics of servers',
    help="""
What ``GET /servers/{server_id}/metrics`` and ``GET /servers/metrics`` answer
from: nova-compute samples all guests of its node with one call of the
hypervisor, again and again while somebody is asking, and the API fetches that.

While nobody asks, nothing is done.
""")

vm_metrics_opts = [
    cfg.IntOpt(
        'sample_interval',
        default=10,
        min=1,
        help="""
How often nova-compute samples its guests, while somebody asks for their
metrics. However many ask, the hypervisor is called no more often.

It is also how old an answer may be, and the least window that rates and
utilisation are taken over.

Possible values:

* Seconds, at least 1

Related options:

* ``[vm_metrics] stop_after``
"""),
    cfg.IntOpt(
        'stop_after',
        default=180,
        min=1,
        help="""
When nobody has asked nova-compute for metrics for so long, it stops sampling
and forgets its samples. The next answer is then again a first one: it has
counters, but no rates yet.

Possible values:

* Seconds; more than the time between two scrapes of whatever monitors the
  servers of the cloud
"""),
    cfg.FloatOpt(
        'sample_timeout',
        default=3,
        min=0.1,
        help="""
How long nova-compute lets a request wait for a sample that is being taken,
when there is none yet or only one older than three times ``sample_interval``.
After that the API answers 503.

It is also how long sampling waits for the hypervisor's call. One that takes
longer, because a guest hangs, is left alone and another one is made, which
leaves that guest out. Not more than five calls are left so.

Possible values:

* Seconds; less than ``rpc_timeout``
"""),
    cfg.FloatOpt(
        'rpc_timeout',
        default=5,
        min=0.1,
        help="""
How long nova-api waits for the metrics that one compute node has. Then it
answers 503, for the servers of that node, and does not ask the node again for
ten seconds.

Possible values:

* Seconds; more than ``sample_timeout``, and far less than
  ``[DEFAULT] rpc_response_timeout``
"""),
    cfg.FloatOpt(
        'list_timeout',
        default=15,
        min=0.1,
        help="""
How long nova-api asks the compute nodes of one page of ``GET
/servers/metrics``, all in all. The servers of nodes that have not answered by
then are listed as missing.

Possible values:

* Seconds, at least ``rpc_timeout``
"""),
    cfg.IntOpt(
        'list_workers',
        default=32,
        min=1,
        help="""
How many compute nodes one call of ``GET /servers/metrics`` asks at the same
time.

Possible values:

* An integer of at least 1
"""),
]


def register_opts(conf):
    conf.register_group(vm_metrics_group)
    conf.register_opts(vm_metrics_opts, group=vm_metrics_group)


def list_opts():
    return {vm_metrics_group: vm_metrics_opts}
