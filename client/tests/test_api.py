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

import json
import unittest
from unittest import mock

from keystoneauth1 import exceptions as ksa_exceptions

from osc_mycompany_metrics import api

UUID = '3f2b7a52-5a0d-4a52-8a5f-6d1d2f0f6a6e'


class Answer:
    reason = 'the reason'

    def __init__(self, body, status=200, **headers):
        self.text = body if isinstance(body, str) else json.dumps(body)
        self.status_code = status
        self.headers = headers

    def json(self):
        return json.loads(self.text)


def fault(status, message, **headers):
    return Answer({'fault': {'code': status, 'message': message}}, status,
                  **headers)


class Compute:
    """The SDK's proxy: it gives one answer after the other."""

    def __init__(self, *answers):
        self.get = mock.Mock(side_effect=answers)

    @property
    def asked(self):
        return [call.args[0] for call in self.get.call_args_list]


class FindServerTestCase(unittest.TestCase):

    def _servers(self, *names):
        return Compute(Answer({'servers': [
            {'id': 'id%d' % number, 'name': name}
            for number, name in enumerate(names)]}))

    def test_an_id_is_not_looked_up(self):
        compute = Compute()
        self.assertEqual(UUID, api.find_server(compute, UUID.upper()))
        self.assertEqual([], compute.asked)

    def test_a_name_is_not_taken_for_a_pattern(self):
        compute = self._servers('web-1', 'web.1')
        self.assertEqual('id1', api.find_server(compute, 'web.1'))

    def test_what_is_special_in_some_pattern_is_not_sent(self):
        compute = self._servers('a+(b\\')
        self.assertEqual('id0', api.find_server(compute, 'a+(b\\'))
        self.assertEqual(['/servers?name=%5Ea..b.%24'], compute.asked)

    def test_a_name_of_no_server_is_refused(self):
        with self.assertRaisesRegex(api.MetricsError, 'No server is called'):
            api.find_server(self._servers(), 'web')

    def test_a_name_of_several_servers_is_refused_with_their_ids(self):
        with self.assertRaisesRegex(
                api.MetricsError, '2 servers are called web; .*id0, id1'):
            api.find_server(self._servers('web', 'web'), 'web')

    def test_the_name_is_looked_for_in_all_projects_if_told(self):
        compute = self._servers('web')
        api.find_server(compute, 'web', all_projects=True)
        self.assertIn('all_tenants=1', compute.asked[0])


class ErrorTestCase(unittest.TestCase):

    def _error(self, answer):
        with self.assertRaises(api.MetricsError) as caught:
            api.show(Compute(answer), UUID, 'web')
        return caught.exception

    def test_it_says_which_server_what_and_the_status(self):
        self.assertEqual(
            'No metrics of server web: it is stopped (HTTP 409)',
            str(self._error(fault(409, 'it is stopped'))))

    def test_only_what_may_pass_is_temporary(self):
        for status, temporary in ((503, True), (500, True), (429, True),
                                  (404, False), (403, False), (501, False)):
            with self.subTest(status):
                self.assertIs(temporary,
                              self._error(fault(status, 'no')).temporary)

    def test_no_answer_is_temporary(self):
        error = self._error(ksa_exceptions.ConnectTimeout('nobody there'))
        self.assertTrue(error.temporary)
        self.assertIn('nobody there', str(error))

    def test_the_time_to_wait_is_the_apis(self):
        answer = fault(503, 'no', **{'Retry-After': '7'})
        self.assertEqual(7, self._error(answer).retry_after)
        self.assertIsNone(self._error(fault(503, 'no')).retry_after)

    def test_a_nova_without_metrics_is_called_so(self):
        for said in ('The resource could not be found.',
                     'Instance metrics could not be found.'):
            with self.subTest(said):
                self.assertIn('has no server metrics',
                              str(self._error(fault(404, said))))

    def test_a_server_that_is_gone_is_no_nova_without_metrics(self):
        said = 'Instance %s could not be found.' % UUID
        self.assertIn(said, str(self._error(fault(404, said))))

    def test_an_error_page_of_a_proxy_is_shown_without_its_tags(self):
        page = Answer('<html><h1>502 Bad\nGateway</h1></html>', 502)
        self.assertIn(': 502 Bad Gateway (HTTP 502)', str(self._error(page)))

    def test_an_empty_error_has_the_reason_of_its_status(self):
        self.assertIn('the reason', str(self._error(Answer('', 502))))


class ListTestCase(unittest.TestCase):

    def _page(self, number, *links):
        return Answer({
            'servers_metrics': [number],
            'servers_metrics_missing': [-number],
            **({'servers_metrics_links': list(links)} if links else {})})

    def test_all_pages_are_read_from_the_api_we_know(self):
        compute = Compute(
            self._page(1, {'rel': 'next', 'href':
                           'http://inside/v2.1/servers/metrics?host=h&marker=m'
                           }),
            self._page(2))
        self.assertEqual(([1, 2], [-1, -2]), api.list_all(
            compute, host='h', project_id=None))
        self.assertEqual(['/servers/metrics?host=h',
                          '/servers/metrics?host=h&marker=m'], compute.asked)
