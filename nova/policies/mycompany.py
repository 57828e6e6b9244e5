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

"""The policies of the fork: the one place that ties them into the API.

A feature keeps its rules in a module of its own in this package, with
``list_rules`` as upstream's have, and is named in ``_MODULES``.
"""

import itertools

from nova.policies import flavor_rules
from nova.policies import vm_metrics

# The modules that hold policies of the fork.
_MODULES = (
    flavor_rules,
    vm_metrics,
)


def list_rules():
    return itertools.chain.from_iterable(
        module.list_rules() for module in _MODULES)
