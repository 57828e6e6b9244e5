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

compute_hooks_group = cfg.OptGroup(
    'compute_hooks',
    title='Compute hooks',
    help="""
Plug-ins that are told what happens to servers.

Each enabled hook runs in a process of its own, which nova-compute (or
nova-api) starts with the first event. With none enabled nothing is started,
sent or looked up.
""")

compute_hooks_opts = [
    cfg.ListOpt(
        'enabled',
        default=[],
        help="""
The hooks that are told of events, by their names in the entry points
``nova.compute.hooks``.

A service tells its hooks with one write into a pipe that never waits. What a
hook does with an event, how long it takes, and whether it can be loaded at all
has no effect on the server. A hook that is too slow misses events: the pipe
holds 256 of them, and those that do not fit are dropped, counted and logged.

On compute nodes it is told when a server was built, has failed to build, was
deleted, or has changed its host, addresses or state. Set it for nova-api too
to be told of a new name, and of servers that are deleted while their compute
node is down; each worker of nova-api then has a process for each hook.

Possible values:

* ``cmdb``: tell nova-cmdb-agent, see ``[cmdb]``
* Any other name of an entry point
* Empty: nobody is told of anything
"""),
]


def register_opts(conf):
    conf.register_group(compute_hooks_group)
    conf.register_opts(compute_hooks_opts, group=compute_hooks_group)


def list_opts():
    return {compute_hooks_group: compute_hooks_opts}
