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

from nova.api.validation.extra_specs import validators
from nova.compute.business_spread import spec
from nova import exception
from nova import objects
from nova import test


class SpreadTestCase(test.NoDBTestCase):

    def test_no_tag_is_no_spread(self):
        self.assertIsNone(spec.spread_of({}))
        self.assertIsNone(spec.spread_of({'business_max_per_host': '2'}))
        self.assertIsNone(spec.spread_of({'other:business_tag': 'web'}))

    def test_the_limit_is_the_options_unless_the_flavor_says_otherwise(self):
        specs = {'business_tag': 'web'}
        self.assertEqual(spec.Spread('web', 3), spec.spread_of(specs))
        self.flags(default_max_per_host=5, group='business_spread')
        self.assertEqual(spec.Spread('web', 5), spec.spread_of(specs))
        specs['business_max_per_host'] = '2'
        self.assertEqual(spec.Spread('web', 2), spec.spread_of(specs))

    def test_the_namespaced_forms_win_one_by_one(self):
        self.assertEqual(spec.Spread('web', 2), spec.spread_of({
            'business_tag': 'plain', 'mycompany:business_tag': 'web',
            'business_max_per_host': '2'}))
        self.assertEqual(spec.Spread('plain', 1), spec.spread_of({
            'business_tag': 'plain', 'business_max_per_host': '2',
            'mycompany:business_max_per_host': '1'}))

    def test_one_letter_is_one_letter_however_it_is_written(self):
        self.assertEqual(spec.tag_of({'business_tag': 'caf\u00e9'}),
                         spec.tag_of({'business_tag': 'cafe\u0301'}))

    def test_case_counts(self):
        self.assertNotEqual(spec.tag_of({'business_tag': 'Web'}),
                            spec.tag_of({'business_tag': 'web'}))

    def test_what_cannot_be_used_is_named_with_its_extra_spec(self):
        for specs, message in (
            ({'business_tag': ''}, 'business_tag: .* 0 characters'),
            ({'mycompany:business_tag': 'x' * 256},
             'mycompany:business_tag: .* 256 characters'),
            ({'business_tag': 'a\tb'}, 'cannot be printed'),
            ({'business_tag': 'web '}, 'begins or ends with a space'),
            ({'business_tag': '\U0001f5a5'}, r'beyond U\+FFFF'),
            ({'business_tag': 'a', 'business_max_per_host': '0'},
             'business_max_per_host: .* is not from 1'),
            ({'business_tag': 'a', 'business_max_per_host': ''},
             'is not an integer'),
            ({'business_tag': 'a', 'business_max_per_host': '2.5'},
             'is not an integer'),
            ({'business_tag': 'a', 'business_max_per_host': '1000001'},
             'is not from 1 to 1000000'),
        ):
            self.assertRaisesRegex(
                spec.InvalidSpread, message, spec.spread_of, specs)

    def test_has_tag_is_no_for_a_flavor_that_cannot_be_used(self):
        self.assertFalse(spec.has_tag(None, 'web'))
        for specs, answer in (({}, False), ({'business_tag': 'web'}, True),
                              ({'business_tag': 'web '}, False)):
            self.assertIs(answer, spec.has_tag(
                objects.Flavor(extra_specs=specs), 'web'))


class ValidatorsTestCase(test.NoDBTestCase):

    def test_what_the_scheduler_takes_the_api_takes(self):
        for name, value in (
            ('business_tag', 'x' * 255),
            ('mycompany:business_tag', 'gr\u00fc'),
            ('business_max_per_host', '1'),
            ('mycompany:business_max_per_host', '1000000'),
        ):
            validators.validate(name, value)

    def test_what_the_scheduler_refuses_the_api_refuses(self):
        for name, value in (
            ('business_tag', ''), ('business_tag', 'x' * 256),
            ('business_tag', ' web'), ('mycompany:business_tag', 'a\nb'),
            ('business_max_per_host', '0'), ('business_max_per_host', 'x'),
            ('mycompany:business_max_per_host', '-1'),
            ('mycompany:business_max_per_hosts', '1'),
        ):
            self.assertRaises(exception.ValidationError,
                              validators.validate, name, value)
