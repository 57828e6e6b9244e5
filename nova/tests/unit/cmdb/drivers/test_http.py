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

import email.utils
import ipaddress
import logging
import os
import ssl
import threading
import time

from cryptography import x509
import fixtures

from nova.cmdb.drivers import http
from nova.cmdb import errors
import nova.conf
from nova import test
from nova.tests.fixtures import http_cmdb
from nova.tests.unit.cmdb.drivers import helpers

CONF = nova.conf.CONF


class HTTPTestCase(test.NoDBTestCase):
    """A driver and a CMDB that it is to reach."""

    certificate = None

    def setUp(self):
        super().setUp()
        self.cmdb = self.start_cmdb(self.certificate)
        self.token_file = helpers.token_file(self)
        self.flags(url=self.cmdb.url, token_file=self.token_file,
                   group='cmdb_http')

    def start_cmdb(self, certificate=None):
        cmdb = http_cmdb.CMDB(certificate=certificate)
        cmdb.start()
        self.addCleanup(cmdb.close)
        return cmdb

    def driver(self):
        driver = http.HTTPDriver()
        self.addCleanup(driver.close)
        return driver

    def unavailable(self, call, *args):
        return self.assertRaises(errors.Unavailable, call, *args)


class RecordsTestCase(HTTPTestCase):

    def test_a_record_that_was_put_is_on_a_page_without_a_difference(self):
        driver = self.driver()
        driver.put(helpers.record())
        entry, = driver.page(10)
        self.assertEqual(helpers.ID_1, entry.server_id)
        self.assertEqual(
            [], driver.differences(helpers.record(), entry.content))

    def test_putting_again_replaces_the_record(self):
        driver = self.driver()
        driver.put(helpers.record())
        driver.put(helpers.record(name='renamed'))
        self.assertEqual({helpers.ID_1: helpers.record(name='renamed')},
                         self.cmdb.records)

    def test_differences_names_the_fields_that_are_not_as_they_should_be(self):
        driver = self.driver()
        driver.put(helpers.record(host='compute-2'))
        content = driver.page(10)[0].content
        del content['state']
        self.assertEqual(
            ['host', 'state'],
            driver.differences(helpers.record(), content))

    def test_what_the_cmdb_adds_to_a_record_is_no_difference(self):
        content = helpers.record(seen_by_people=True)
        self.assertEqual(
            [], self.driver().differences(helpers.record(), content))

    def test_deleting_removes_the_record_of_that_server_only(self):
        driver = self.driver()
        for server_id in (helpers.ID_1, helpers.ID_2):
            driver.put(helpers.record(server_id))
        driver.delete(helpers.ID_1)
        self.assertEqual([helpers.ID_2], list(self.cmdb.records))

    def test_deleting_what_is_not_there_is_a_success(self):
        self.driver().delete(helpers.ID_1)
        self.assertEqual(1, self.cmdb.requests['DELETE'])

    def test_pages_are_walked_to_the_end_in_order(self):
        driver = self.driver()
        for server_id in (helpers.ID_3, helpers.ID_1, helpers.ID_2):
            driver.put(helpers.record(server_id))
        first = driver.page(2)
        second = driver.page(2, first[-1].server_id)
        self.assertEqual(
            [helpers.ID_1, helpers.ID_2, helpers.ID_3],
            [entry.server_id for entry in first + second])
        self.assertEqual([], driver.page(2, second[-1].server_id))

    def test_a_record_the_cmdb_refuses_is_rejected_and_others_are_not(self):
        driver = self.driver()
        self.cmdb.refuses = lambda record: record['id'] == helpers.ID_1
        error = self.assertRaises(
            errors.Rejected, driver.put, helpers.record())
        self.assertEqual('it refuses the record (status 422: name)',
                         str(error))
        driver.put(helpers.record(helpers.ID_2))
        self.assertIn(helpers.ID_2, self.cmdb.records)

    def test_an_id_that_is_no_uuid_is_not_sent(self):
        driver = self.driver()
        for server_id in ('../users/1', '', 'x', None, 7, helpers.ID_1 + '/',
                          helpers.ID_1.upper(), '{%s}' % helpers.ID_1):
            self.assertRaises(errors.Rejected, driver.put,
                              helpers.record(server_id))
            self.assertRaises(errors.Rejected, driver.delete, server_id)
        self.assertEqual(0, sum(self.cmdb.requests.values()))

    def test_one_connection_serves_many_requests(self):
        driver = self.driver()
        opened = []
        real = self.cmdb._server.finish_request
        self.cmdb._server.finish_request = (
            lambda *args: (opened.append(args), real(*args)))
        for i in range(5):
            driver.put(helpers.record())
            driver.page(10)
            driver.delete(helpers.ID_1)
        self.assertEqual(1, len(opened))

    def test_threads_use_the_driver_at_the_same_time(self):
        driver = self.driver()
        failed = []

        def work(number):
            try:
                for i in range(20):
                    driver.put(helpers.record(
                        '%08x-5e6f-4a1b-8c2d-%012x' % (number, i)))
            except Exception as error:
                failed.append(error)

        threads = [threading.Thread(target=work, args=(number,))
                   for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([], failed)
        self.assertEqual(160, len(self.cmdb.records))


class FaultsTestCase(HTTPTestCase):

    def calls(self):
        driver = self.driver()
        return [(driver.put, helpers.record()), (driver.delete, helpers.ID_1),
                (driver.page, 10)]

    def assertUnavailable(self, text, retry_after=None):
        for call, argument in self.calls():
            error = self.unavailable(call, argument)
            self.assertEqual((text, retry_after),
                             (str(error), error.retry_after))

    def assertGivenUpInTime(self):
        self.flags(request_timeout=0.5, group='cmdb')
        for call, argument in self.calls():
            start = time.monotonic()
            error = self.unavailable(call, argument)
            # Of the minutes that it would go on for.
            self.assertLess(time.monotonic() - start, 20)
            self.assertEqual('no whole answer within 0.5 s', str(error))

    def test_a_cmdb_that_is_down_and_comes_back(self):
        self.cmdb.stop()
        for call, argument in self.calls():
            error = self.unavailable(call, argument)
            self.assertIn('it cannot be reached: ', str(error))
        self.cmdb.start()
        for call, argument in self.calls():
            call(argument)

    def test_a_cmdb_that_restarts_between_two_requests(self):
        driver = self.driver()
        driver.put(helpers.record())
        self.cmdb.stop()
        self.cmdb.start()
        driver.put(helpers.record(helpers.ID_2))
        self.assertIn(helpers.ID_2, self.cmdb.records)

    def test_a_cmdb_that_accepts_and_never_answers(self):
        with self.cmdb.fault(http_cmdb.hang):
            self.assertGivenUpInTime()

    def test_a_cmdb_that_dribbles_its_headers(self):
        with self.cmdb.fault(http_cmdb.dribble_headers):
            self.assertGivenUpInTime()

    def test_a_cmdb_that_dribbles_its_answer(self):
        with self.cmdb.fault(http_cmdb.dribble_body):
            self.assertGivenUpInTime()

    def test_a_request_after_a_slow_one_has_its_whole_time_again(self):
        # The connection was left with what little time there was.
        self.flags(request_timeout=3, group='cmdb')
        driver = self.driver()

        def slow(handler):
            time.sleep(2)
            handler.answer(204)

        self.cmdb.misbehave(slow)
        for i in range(3):
            driver.put(helpers.record())
        self.assertEqual(3, self.cmdb.requests['PUT'])

    def test_an_answer_without_end_is_given_up(self):
        with self.cmdb.fault(http_cmdb.endless):
            self.assertUnavailable(
                'answer not understood: larger than 33554432 bytes')

    def test_a_fault_of_the_cmdb(self):
        for number in (500, 502, 503, 504, 599):
            with self.cmdb.fault(http_cmdb.status(number)):
                self.assertUnavailable(
                    'it answered with status %d' % number)

    def test_a_cmdb_that_limits_us_says_for_how_long(self):
        with self.cmdb.fault(http_cmdb.status(429, '7')):
            self.assertUnavailable('it answered with status 429', 7)
        with self.cmdb.fault(http_cmdb.status(503, '1.5')):
            self.assertUnavailable('it answered with status 503', 1.5)

    def test_a_retry_after_that_is_a_date(self):
        then = email.utils.formatdate(time.time() + 100, usegmt=True)
        with self.cmdb.fault(http_cmdb.status(429, then)):
            error = self.unavailable(self.driver().delete, helpers.ID_1)
        self.assertTrue(90 < error.retry_after <= 100, error.retry_after)

    def test_a_retry_after_is_bounded_and_nonsense_is_none(self):
        for value, expected in (
                ('1e9', 3600), ('-5', 0), ('inf', None), ('nan', None),
                ('soon', None), ('', None),
                ('Wed, 99 Foo 2026 00:00:00 GMT', None),
                ('Wed, 01 Jan 2020 00:00:00 GMT', 0)):
            with self.cmdb.fault(http_cmdb.status(429, value)):
                self.assertUnavailable('it answered with status 429', expected)

    def test_an_answer_that_is_no_json(self):
        with self.cmdb.fault(http_cmdb.garbage):
            self.assertUnavailable('answer not understood: no JSON')

    def test_an_answer_that_nests_without_end(self):
        with self.cmdb.fault(lambda handler: handler.answer(
                200, content=b'[' * 1000000)):
            self.assertUnavailable('answer not understood: no JSON')

    def test_a_compressed_answer_is_not_unfolded(self):
        with self.cmdb.fault(lambda handler: handler.answer(
                200, content=b'\x1f\x8b\x08\x00',
                headers=[('Content-Encoding', 'gzip')])):
            self.assertUnavailable('answer not understood: no JSON')

    def test_an_answer_that_is_cut_off(self):
        # With no text, or blanks, it could be taken for one without a body.
        for fault in (http_cmdb.cut_off, http_cmdb.cut_off_at_once,
                      http_cmdb.cut_off_in_a_chunk):
            with self.cmdb.fault(fault):
                for call, argument in self.calls():
                    self.unavailable(call, argument)

    def test_a_connection_that_is_closed_without_an_answer(self):
        def close(handler):
            handler.close_connection = True

        with self.cmdb.fault(close):
            self.assertUnavailable('the connection failed: RemoteDisconnected')

    def test_a_token_that_is_not_accepted(self):
        with self.cmdb.fault(http_cmdb.unauthorized):
            self.assertUnavailable('it does not accept our token (status 401)')
        with self.cmdb.fault(http_cmdb.status(403)):
            self.assertUnavailable('it does not accept our token (status 403)')

    def test_a_cmdb_without_vms_is_not_a_refused_record(self):
        with self.cmdb.fault(http_cmdb.status(404)):
            error = self.unavailable(self.driver().put, helpers.record())
        self.assertIn('is [cmdb_http] url right?', str(error))

    def test_a_redirect_is_not_followed_and_the_token_goes_nowhere_else(self):
        other = self.start_cmdb()
        for number in (301, 302, 303, 307, 308):
            with self.cmdb.fault(lambda handler: handler.answer(
                    number, headers=[('Location', other.url + '/vms')])):
                for call, argument in self.calls():
                    error = self.unavailable(call, argument)
                    self.assertIn('redirects us (status %d)' % number,
                                  str(error))
        self.assertEqual(0, sum(other.requests.values()))

    def test_the_body_of_a_redirect_is_not_read_either(self):
        def endless_redirect(handler):
            handler.close_connection = True
            handler.send_response(302)
            handler.send_header('Location', '/elsewhere')
            handler.end_headers()
            http_cmdb.endless(handler)

        self.flags(request_timeout=30, group='cmdb')
        with self.cmdb.fault(endless_redirect):
            start = time.monotonic()
            self.unavailable(self.driver().page, 10)
        self.assertLess(time.monotonic() - start, 20)

    def test_neither_proxies_nor_netrc_of_the_environment_are_used(self):
        home = self.useFixture(fixtures.TempDir()).path
        with open(os.path.join(home, '.netrc'), 'w') as stream:
            stream.write('machine 127.0.0.1 login eve password stolen\n')
        os.chmod(os.path.join(home, '.netrc'), 0o600)
        for name, value in (('HOME', home), ('no_proxy', ''),
                            ('http_proxy', 'http://127.0.0.1:9')):
            self.useFixture(fixtures.EnvironmentVariable(name, value))
        self.driver().put(helpers.record())
        self.assertIn(helpers.ID_1, self.cmdb.records)

    def test_cookies_are_not_kept(self):
        driver = self.driver()
        with self.cmdb.fault(lambda handler: handler.answer(
                204, headers=[('Set-Cookie', 'a=b')])):
            driver.delete(helpers.ID_1)
        driver.delete(helpers.ID_1)
        self.assertNotIn('Cookie', self.cmdb.seen[-1][2])


class HostileEntriesTestCase(HTTPTestCase):

    def assertNotUnderstood(self, data, marker=None, limit=3):
        with self.cmdb.fault(http_cmdb.page(data)):
            error = self.unavailable(self.driver().page, limit, marker)
        self.assertIn('answer not understood', str(error))
        self.assertLess(len(str(error)), 200)

    def test_ids_that_are_no_uuids(self):
        for server_id in ('../../users/1', 'a/b', '', None, 7, [], {},
                          'x' * 1000000, helpers.ID_1 + '\n',
                          helpers.ID_1.upper(), helpers.ID_1.replace('-', ''),
                          '%2e%2e%2f', helpers.ID_1 + '?force=1'):
            self.assertNotUnderstood({'vms': [{'id': server_id}]})

    def test_entries_that_are_no_records(self):
        for entry in (None, 'text', 7, [], {}, [helpers.ID_1]):
            self.assertNotUnderstood({'vms': [entry]})

    def test_answers_that_are_no_pages(self):
        for data in ([], {}, 'text', 7, {'vms': None}, {'vms': {}},
                     {'vms': 'text'}):
            self.assertNotUnderstood(data)

    def test_a_page_without_a_body(self):
        with self.cmdb.fault(lambda handler: handler.answer(204)):
            error = self.unavailable(self.driver().page, 10)
        self.assertEqual('answer not understood: no list of vms', str(error))

    def test_records_out_of_order(self):
        self.assertNotUnderstood(
            {'vms': [{'id': helpers.ID_2}, {'id': helpers.ID_1}]})

    def test_a_record_twice(self):
        self.assertNotUnderstood(
            {'vms': [{'id': helpers.ID_1}, {'id': helpers.ID_1}]})

    def test_records_not_above_the_marker(self):
        # Whoever walks the pages would never come to an end.
        self.assertNotUnderstood(
            {'vms': [{'id': helpers.ID_1}]}, marker=helpers.ID_1)

    def test_more_records_than_were_asked_for(self):
        self.assertNotUnderstood(
            {'vms': [{'id': helpers.ID_1}, {'id': helpers.ID_2}]}, limit=1)

    def test_a_refused_page_is_no_refused_record(self):
        with self.cmdb.fault(http_cmdb.status(400)):
            self.unavailable(self.driver().page, 10)


class TLSTestCase(HTTPTestCase):

    def setUp(self):
        # Imported before eventlet came, which ssl does not bear: bug 1808951.
        self.useFixture(fixtures.MonkeyPatch(
            'urllib3.util.ssl_.SSLContext', ssl.SSLContext))
        self.folder = self.useFixture(fixtures.TempDir()).path
        self.authority = helpers.Authority(self.folder)
        self.certificate = self.authority.certificate(
            x509.IPAddress(ipaddress.ip_address('127.0.0.1')))
        super().setUp()

    def test_a_certificate_of_the_given_authority_is_accepted(self):
        self.flags(cafile=self.authority.cafile, group='cmdb')
        self.driver().put(helpers.record())
        self.assertIn(helpers.ID_1, self.cmdb.records)

    def test_a_certificate_of_an_unknown_authority_is_not(self):
        error = self.unavailable(self.driver().put, helpers.record())
        self.assertIn('its TLS certificate is not accepted', str(error))
        self.assertEqual(0, sum(self.cmdb.requests.values()))

    def test_a_certificate_for_another_host_is_not(self):
        other = self.start_cmdb(
            self.authority.certificate(x509.DNSName('other.example')))
        self.flags(url=other.url, group='cmdb_http')
        self.flags(cafile=self.authority.cafile, group='cmdb')
        error = self.unavailable(self.driver().put, helpers.record())
        self.assertIn('its TLS certificate is not accepted', str(error))
        self.assertEqual(0, sum(other.requests.values()))

    def test_the_environment_cannot_name_other_authorities(self):
        self.useFixture(fixtures.EnvironmentVariable(
            'REQUESTS_CA_BUNDLE', self.authority.cafile))
        self.unavailable(self.driver().put, helpers.record())

    def test_insecure_takes_any_certificate(self):
        self.flags(insecure=True, group='cmdb')
        self.driver().put(helpers.record())
        self.assertIn(helpers.ID_1, self.cmdb.records)

    def test_a_cmdb_that_hangs_or_dribbles_is_given_up_in_time(self):
        self.flags(cafile=self.authority.cafile, request_timeout=0.5,
                   group='cmdb')
        for fault in (http_cmdb.hang, http_cmdb.dribble_headers,
                      http_cmdb.dribble_body):
            with self.cmdb.fault(fault):
                start = time.monotonic()
                error = self.unavailable(self.driver().page, 10)
            self.assertLess(time.monotonic() - start, 20)
            self.assertEqual('no whole answer within 0.5 s', str(error))

    def test_a_cmdb_that_does_not_speak_tls(self):
        plain = self.start_cmdb()
        self.flags(url=plain.url.replace('http:', 'https:'),
                   group='cmdb_http')
        error = self.unavailable(self.driver().put, helpers.record())
        self.assertIn('TLS failed', str(error))


class OptionsTestCase(HTTPTestCase):

    def assertMisconfigured(self, text):
        error = self.assertRaises(errors.Misconfigured, http.HTTPDriver)
        self.assertIn(text, str(error))
        return str(error)

    def test_urls_that_do_not_do(self):
        for url in ('cmdb.example', 'ftp://cmdb.example', 'https://', '/vms',
                    'https://cmdb.example/?a=b', 'https://cmdb.example/#a',
                    'https://cmdb.example:port', 'https://[::1',
                    'https://cmdb.example/a b'):
            self.flags(url=url, group='cmdb_http')
            self.assertMisconfigured(
                '[cmdb_http] url = %s is no base of URLs; expected '
                'https://HOST[:PORT][/PATH]' % url)

    def test_no_url(self):
        self.flags(url=None, group='cmdb_http')
        self.assertMisconfigured('[cmdb_http] url is not set')

    def test_a_password_in_the_url_is_refused_and_not_shown(self):
        self.flags(url='https://eve:secret@cmdb.example', group='cmdb_http')
        self.assertNotIn('secret', self.assertMisconfigured(
            '[cmdb_http] url holds a user or a password'))

    def test_a_url_in_the_clear_is_for_loopback_or_insecure_only(self):
        self.flags(url='http://cmdb.example', group='cmdb_http')
        self.assertMisconfigured('in the clear')
        self.flags(insecure=True, group='cmdb')
        self.driver()

    def test_a_slash_at_the_end_of_the_url_makes_no_difference(self):
        self.flags(url=self.cmdb.url + '/', group='cmdb_http')
        self.driver().put(helpers.record())
        self.assertIn(helpers.ID_1, self.cmdb.records)

    def test_a_cafile_that_cannot_be_used(self):
        self.flags(cafile='/nowhere/ca.pem', group='cmdb')
        self.assertMisconfigured('[cmdb] cafile = /nowhere/ca.pem cannot be '
                                 'used: No such file or directory')
        self.flags(cafile=self.token_file, group='cmdb')
        self.assertMisconfigured('expected a file of certificates in PEM')


class TokenFileTestCase(HTTPTestCase):

    def write(self, content, mode=0o600):
        fresh = self.token_file + '.new'
        with open(fresh, 'w') as stream:
            stream.write(content)
        os.chmod(fresh, mode)
        os.replace(fresh, self.token_file)

    def assertMisconfigured(self, text):
        error = self.assertRaises(errors.Misconfigured, http.HTTPDriver)
        self.assertEqual('[cmdb_http] token_file = %s %s' % (
            self.token_file, text), str(error))

    def test_a_file_that_others_can_read_is_refused(self):
        for mode in (0o640, 0o604, 0o660, 0o620, 0o601, 0o777):
            os.chmod(self.token_file, mode)
            self.assertMisconfigured(
                'has mode %04o; expected 0600 or 0400, so that only the user '
                'of nova-cmdb-agent can read the token' % mode)

    def test_a_file_that_only_its_owner_can_read_does(self):
        for mode in (0o600, 0o400):
            os.chmod(self.token_file, mode)
            self.driver()

    def test_no_file_is_named(self):
        self.flags(token_file=None, group='cmdb_http')
        error = self.assertRaises(errors.Misconfigured, http.HTTPDriver)
        self.assertIn('[cmdb_http] token_file is not set', str(error))

    def test_a_file_that_is_not_there(self):
        os.unlink(self.token_file)
        self.assertMisconfigured('cannot be read: No such file or directory')

    def test_what_is_no_ordinary_file(self):
        os.unlink(self.token_file)
        os.mkfifo(self.token_file, 0o600)
        self.assertMisconfigured('is no ordinary file')

    def test_content_that_is_no_token(self):
        for content in ('', '\n', 'two words', 'two\nlines', 'a\tb', 'ü',
                        'x' * 20000):
            self.write(content)
            self.assertMisconfigured(
                'holds no token; expected one line of printable ASCII without '
                'spaces, of at most 16384 bytes')

    def test_a_changed_file_is_read_again_at_the_next_request(self):
        driver = self.driver()
        self.cmdb.token = 'another'
        self.unavailable(driver.put, helpers.record())
        self.write('another\n')
        driver.put(helpers.record())
        self.assertIn(helpers.ID_1, self.cmdb.records)

    def test_a_changed_file_that_does_not_do_leaves_the_last_token(self):
        driver = self.driver()
        logs = helpers.AllLogs(self)
        self.write('another\n', mode=0o644)
        driver.put(helpers.record())
        driver.put(helpers.record())
        self.assertEqual(1, logs.text(logging.ERROR).count('has mode 0644'))
        self.assertNotIn('another', logs.text())

    def test_a_file_that_goes_away_leaves_the_last_token(self):
        driver = self.driver()
        os.unlink(self.token_file)
        driver.put(helpers.record())
        self.assertIn(helpers.ID_1, self.cmdb.records)

    def test_reload_reads_the_file_again(self):
        driver = self.driver()
        self.cmdb.token = http_cmdb.TOKEN[::-1]
        # In place, with the same length: nothing but the time tells.
        found = os.stat(self.token_file)
        with open(self.token_file, 'w') as stream:
            stream.write(self.cmdb.token + '\n')
        os.utime(self.token_file, ns=(found.st_atime_ns, found.st_mtime_ns))
        self.unavailable(driver.put, helpers.record())
        driver.reload()
        driver.put(helpers.record())
        self.assertIn(helpers.ID_1, self.cmdb.records)


class LogsTestCase(HTTPTestCase):

    def test_what_is_logged_never_has_the_token_and_no_names(self):
        logs = helpers.AllLogs(self)
        driver = self.driver()
        texts = []
        for fault in (None, http_cmdb.garbage, http_cmdb.cut_off,
                      http_cmdb.unauthorized, http_cmdb.status(500),
                      http_cmdb.status(422), http_cmdb.status(404),
                      lambda handler: handler.answer(
                          400, {'web-1': ['10.0.0.5'], 'name': ['web-1']})):
            self.cmdb.misbehave(fault)
            for call, argument in ((driver.put, helpers.record()),
                                   (driver.page, 10),
                                   (driver.delete, helpers.ID_1)):
                try:
                    call(argument)
                except errors.CMDBError as error:
                    texts.append(str(error))
        self.assertNotIn(http_cmdb.TOKEN, logs.text())
        # That there is something to find it in.
        self.assertIn('"PUT /vms/%s HTTP/1.1"' % helpers.ID_1, logs.text())
        for text in [logs.text(logging.INFO), *texts]:
            for secret in (http_cmdb.TOKEN, 'web-1', '10.0.0.5'):
                self.assertNotIn(secret, text)

    def test_the_dump_of_the_options_has_no_token(self):
        logs = helpers.AllLogs(self)
        CONF.log_opt_values(logging.getLogger('nova'), logging.DEBUG)
        self.assertIn('cmdb_http.token_file', logs.text())
        self.assertNotIn(http_cmdb.TOKEN, logs.text())
