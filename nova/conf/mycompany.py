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

"""The options of the fork: the one place that ties them into nova.conf.

A feature keeps its options in a module of its own in this package, with
``register_opts`` and ``list_opts`` as upstream's have, and is named in
``_MODULES``. The sample configuration file needs no more than the module.
"""

from nova.conf import business_spread
from nova.conf import cmdb
from nova.conf import cmdb_http
from nova.conf import cmdb_netbox
from nova.conf import compute_hooks
from nova.conf import flavor_rules
from nova.conf import remote_pdb
from nova.conf import vm_metrics

# The modules that hold options of the fork.
_MODULES = (
    business_spread,
    cmdb,
    cmdb_http,
    cmdb_netbox,
    compute_hooks,
    flavor_rules,
    remote_pdb,
    vm_metrics,
)


def register_opts(conf):
    for module in _MODULES:
        module.register_opts(conf)


def list_opts():
    # The generator of the sample file asks every module of this package by
    # itself, those in _MODULES too.
    return {}
