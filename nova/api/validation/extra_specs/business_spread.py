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

"""Validators for the extra specs of spreading by business tag."""

from nova.api.validation.extra_specs import base
from nova.compute.business_spread import spec
from nova import exception

_PLAIN_IS_LIMITED = (
    ' The AggregateInstanceExtraSpecsFilter refuses every host for a name '
    'without a namespace; use the form with ``mycompany:`` with it.')


class SpreadValidator(base.ExtraSpecValidator):
    """A validator that applies the very rules that the scheduler applies."""

    _CHECKS = {str: spec.check_tag, int: spec.check_limit}

    def validate(self, name, value):
        super().validate(name, value)
        try:
            self._CHECKS[self.value['type']](value)
        except spec.InvalidSpread as error:
            raise exception.ValidationError(
                f"Validation failed; extra spec '{name}': {error}.")


def _validators(namespace, note):
    return [
        SpreadValidator(
            name=namespace + spec.TAG,
            description=(
                'The business that servers with this flavor belong to. Those '
                'of one business are spread over hosts.' + note),
            value={
                'type': str,
                'description': (
                    f'1 to {spec.MAX_TAG_LENGTH} printable characters; case '
                    'counts.'),
            },
        ),
        SpreadValidator(
            name=namespace + spec.LIMIT,
            description=(
                'How many servers of its business a host may hold for a '
                'server with this flavor to get a place there. Defaults to '
                '``[business_spread] default_max_per_host``.' + note),
            value={
                'type': int,
                'min': 1,
                'max': spec.MAX_LIMIT,
                'description': 'The number of servers.',
            },
        ),
    ]


EXTRA_SPEC_VALIDATORS = (
    _validators(spec.NAMESPACE, '') + _validators('', _PLAIN_IS_LIMITED))
