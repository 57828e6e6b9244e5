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

cmdb_http_group = cfg.OptGroup(
    'cmdb_http',
    title='CMDB with a REST interface',
    help="""
Where the CMDB of ``[cmdb] driver = http`` is.
""")

cmdb_http_opts = [
    cfg.StrOpt(
        'url',
        help="""
The URL below which the CMDB has ``/vms``.

Possible values:

* ``https://HOST[:PORT][/PATH]``
* ``http://...`` for a host that is ``localhost`` or a loopback address, or
  with ``[cmdb] insecure``: the token and the records are sent in the clear

Related options:

* ``[cmdb] cafile``
* ``[cmdb_http] token_file``
"""),
    cfg.StrOpt(
        'token_file',
        help="""
Absolute path of a file with the token that the CMDB accepts.

It is sent as ``Authorization: Bearer TOKEN``. The agent refuses a file that
anyone but its owner can read. A changed file is read again at the next
request, without a restart; while it does not do, the last good token stays
in use.

Possible values:

* The path of a file with mode 0600 or 0400 that belongs to the user of
  nova-cmdb-agent and holds the token on one line
"""),
]


def register_opts(conf):
    conf.register_group(cmdb_http_group)
    conf.register_opts(cmdb_http_opts, group=cmdb_http_group)


def list_opts():
    return {cmdb_http_group: cmdb_http_opts}
