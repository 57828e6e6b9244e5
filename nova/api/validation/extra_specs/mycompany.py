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

Upstream loads this module by its entry point, as it does its own.
"""

# Of type nova.api.validation.extra_specs.base.ExtraSpecValidator.
EXTRA_SPEC_VALIDATORS = []


def register():
    return EXTRA_SPEC_VALIDATORS
