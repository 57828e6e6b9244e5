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

import ipaddress

from oslo_config import cfg
from oslo_config import types


class LoopbackAddress(types.IPAddress):
    """An IP address of this machine's own, that no other can reach."""

    def __call__(self, value):
        value = super().__call__(value)
        if not ipaddress.ip_address(value).is_loopback:
            raise ValueError(
                '%s is not a loopback address. Who reaches the debugger can '
                'run any code as this service; expected 127.0.0.1 or ::1'
                % value)
        return value


remote_pdb_group = cfg.OptGroup(
    'remote_pdb',
    title='Remote debugging',
    help="""
A breakpoint in a running service, for Python's debugger pdb over a socket.

The breakpoint is closed until the service is told to open it, with a signal
or with ``open_at_start``. The next request that comes by is stopped, and waits
for a client on a port that the log names. Nothing listens before. Where the
service is concurrent, its other requests go on.

Read by nova-api, nova-conductor, nova-scheduler, nova-compute and
nova-cmdb-agent, but not by console proxies, nova-manage and the processes of
compute hooks.

Whoever is let in can do all that the service can. Only root and the service's
own user are, from the same machine.
""")

remote_pdb_opts = [
    cfg.BoolOpt(
        'enabled',
        default=False,
        help="""
Whether this service can be told to open a breakpoint.

With it on, the signal URG opens the breakpoint: the next request is stopped,
the ones after it are not. With it off, the service ignores that signal, as any
program does, and nothing is done.
"""),
    cfg.ListOpt(
        'break_at',
        default=[],
        help="""
The functions at which the breakpoint is, in place of the start of every
request. Their modules are imported when the service starts, so name them in
the configuration of that service alone.

What has been taken from its module or class before the service starts is not
seen there; among these are periodic tasks, so name a function that they call.

Possible values:

* A list of ``module:function`` or ``module:Class.method``, for example
  ``nova.compute.manager:ComputeManager.reboot_instance``. A service that does
  not find one refuses to start.
* Empty: the start of every request of the API, and of every RPC; in
  nova-cmdb-agent, of every delivery of a server's record

Related options:

* ``enabled`` must be on
"""),
    cfg.BoolOpt(
        'open_at_start',
        default=False,
        help="""
Whether the breakpoint is open when the service starts, so that the first
request is stopped, once for each worker. For servers of WSGI applications,
which have their own use of signals.

Related options:

* ``enabled`` must be on
"""),
    cfg.Opt(
        'host',
        type=LoopbackAddress(),
        default='127.0.0.1',
        help="""
The address on which a stopped request waits for a client.

Possible values:

* A loopback address. With any other, a service for which ``enabled`` is on
  refuses to start.
"""),
    cfg.PortOpt(
        'port',
        default=0,
        help="""
The port on which a stopped request waits for a client. When it is taken, a
request is not stopped, and the log says so.

Possible values:

* A port that no other service or worker of this machine has
* 0: a free one, which the log names
"""),
    cfg.IntOpt(
        'timeout',
        default=300,
        min=1,
        help="""
How long a signal keeps the breakpoint open for a request to come by; how long
a stopped request waits for a client; and how long for the client's next
command. After that it goes on as if nothing had been.

Possible values:

* Seconds, at least 1
"""),
]


def register_opts(conf):
    conf.register_group(remote_pdb_group)
    conf.register_opts(remote_pdb_opts, group=remote_pdb_group)


def list_opts():
    return {remote_pdb_group: remote_pdb_opts}
