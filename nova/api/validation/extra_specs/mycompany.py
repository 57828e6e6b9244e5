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

"""Validators for the extra specs that the fork's features read.

Upstream loads this module by its entry point, as it does its own. A feature
keeps its validators in a module of its own and is named here.
"""

import itertools

from nova.api.validation.extra_specs import business_spread

# The modules that hold validators of the fork.
_MODULES = (
    business_spread,
)


def register():
    return list(itertools.chain.from_iterable(
        module.EXTRA_SPEC_VALIDATORS for module in _MODULES))
