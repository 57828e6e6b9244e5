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

import pathlib

import nova
from nova.api.openstack.compute.schemas import vm_metrics as schema
from nova import test

_REFERENCE = pathlib.Path(nova.__file__).parents[1] / 'api-ref' / 'source'


def _names(properties, prefix=''):
    """The names in the schema of an object, each with those it is within."""
    for name, value in properties.items():
        yield prefix + name
        value = value.get('items', value)
        yield from _names(
            value.get('properties', {}), '%s%s.' % (prefix, name))


class ReferenceTestCase(test.NoDBTestCase):
    """The API reference says what the schemas do."""

    def setUp(self):
        super().setUp()
        page = (_REFERENCE / 'vm-metrics.inc').read_text()
        # By the request that it is about: what the page names in its lists.
        self.names = {
            part.split('\n', 1)[0]: {
                line.strip(' -').partition(':')[0]
                for line in part.splitlines() if line.startswith('  - ')}
            for part in page.split('.. rest_method:: ')}

    def test_the_reference_has_our_page(self):
        index = (_REFERENCE / 'index.rst').read_text()
        self.assertIn('.. include:: vm-metrics.inc', index.splitlines())

    def test_all_of_an_answer_is_described(self):
        answer = schema.show_response['properties']
        self.assertEqual(
            {'server_id', 'Retry-After', *answer,
             *_names(answer['server_metrics']['properties'])},
            self.names['GET /servers/{server_id}/metrics'])

    def test_all_of_a_list_is_described(self):
        # The entries are described with the answer for one server, and links
        # are what they are everywhere.
        answer = dict(schema.list_response['properties'],
                      servers_metrics={}, servers_metrics_links={})
        self.assertEqual(
            {'Retry-After', *schema.list_query['properties'],
             *_names(answer)},
            self.names['GET /servers/metrics'])
