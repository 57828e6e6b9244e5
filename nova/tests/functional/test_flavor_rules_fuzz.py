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

"""Flavor rules and references to flavors that nobody thought of.

hypothesis makes them up, see nova.tests.unit.compute.flavor_rules.test_fuzz.
The requests go through all of the API, its schemas included; only what would
build or resize a server is replaced.
"""

import logging
import os

import fixtures
from hypothesis import strategies as st
from oslo_serialization import jsonutils

from nova.compute import api as compute_api
from nova.compute import flavor_rules
from nova.compute.flavor_rules import cache
from nova.compute import flavors
from nova import context as nova_context
from nova import objects
from nova import test
from nova.tests import fixtures as nova_fixtures
from nova.tests.unit.compute.flavor_rules import test_fuzz
from nova.tests.unit import fake_instance

RULES = """
version: 1
default:
  deny: ['*denied*', caf\u00e9, '7', '\U0001f680*']
"""

# Pairs of flavor id and name.
ALLOWED = (('ok', 'm1.ok'), ('8', 'm1.eight'), ('cafe', 'm1.plain'),
           ('a b', 'm1.space'), ('caf\u00e8', 'm1.other'))
DENIED = (('denied', 'm1.denied'), ('no', 'm1.denied.by.name'),
          ('7', 'm1.seven'), ('caf\u00e9', 'm1.accent'),
          ('\U0001f680', 'm1.rocket'), ('d', '\U0001f680 fast'))

DENIED_IDS = {flavorid for flavorid, _ in DENIED}

# What a URL, a database or JSON may give a meaning to, and ids of flavors.
PARTS = [flavorid for flavorid, _ in ALLOWED + DENIED] + [
    '/', '//', ':', '?', '#', '%', '%2F', '%64', ';', '&', '=', '@', '[', ']',
    '..', '\\', "'", '"', '`', '*', '_', '-', '+', ' ', '\t', '\r\n', '\0',
    'http:', 'http://x/flavors/', '//[::1]/', '\u3000', '\u200b', '\ufeff',
    'e\u0301', '\u2100', '\u212a', '\ud800', '\udfff', '\U0001f600', '0',
    '1' * 300, 'None', 'null', '%s', '{}', '\x7f', '\uff0f', 'DENIED']

FLAVOR_IDS = st.sampled_from([flavorid for flavorid, _ in ALLOWED + DENIED])

REFERENCES = st.one_of(
    # Where what is a URL to one reader is none to another.
    st.tuples(
        st.sampled_from(['', '/', '//h/', 'http://h/', 'ok/', 'ok?', 'ok#',
                         '../', '%2F', ' ', '\n', '\ufeff']),
        FLAVOR_IDS,
        st.sampled_from(['', '/', '?', '#', '?/ok', '#/ok', '?x=ok', ' ', '\n',
                         '\0', ';ok', '%00', '/..', '\u200b'])).map(''.join),
    st.sampled_from(PARTS),
    st.lists(st.sampled_from(PARTS), max_size=5).map(''.join),
    st.text(max_size=30),
    st.text(st.characters(exclude_categories=()), max_size=5),
    st.integers(),
    st.sampled_from([7, 8, 0, -1, 10 ** 400, 7.0, 1e308]),
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(
            st.text(max_size=3), inner, max_size=2), max_leaves=4))


class _Errors(logging.Handler):
    """Keeps the log records that have a traceback."""

    def __init__(self):
        super().__init__()
        self.records = []

    def emit(self, record):
        if record.exc_info:
            self.records.append(record)


class FlavorReferenceFuzzTestCase(test.TestCase):
    """Whatever is referred to, the rules only ever change one answer: of a
    flavor that is there and is denied.
    """

    REQUIRES_LOCKING = False

    def setUp(self):
        super().setUp()
        self.useFixture(nova_fixtures.RealPolicyFixture())
        self.path = os.path.join(
            self.useFixture(fixtures.TempDir()).path, 'rules')
        with open(self.path, 'w', encoding='utf-8') as stream:
            stream.write(RULES)
        self.useFixture(fixtures.MockPatchObject(
            flavor_rules, '_CACHE', cache.Cache()))
        self.api = self.useFixture(
            nova_fixtures.OSAPIFixture(api_version='v2.1')).api
        context = nova_context.get_admin_context()
        for flavorid, name in ALLOWED + DENIED:
            objects.Flavor(
                context, name=name, flavorid=flavorid, memory_mb=1, vcpus=1,
                root_gb=1, ephemeral_gb=0, swap=0, rxtx_factor=1,
                disabled=False, is_public=True, extra_specs={}).create()
        self.instance = fake_instance.fake_instance_obj(
            context, project_id=self.api.project_id)
        # The ids of the flavors that got through.
        self.used = []
        for name, function in (('get', self._get), ('create', self._create),
                               ('resize', self._resize)):
            self.useFixture(fixtures.MockPatchObject(
                compute_api.API, name, function))
        self.errors = _Errors()
        logging.getLogger().addHandler(self.errors)
        self.addCleanup(logging.getLogger().removeHandler, self.errors)

    def _get(self, *args, **kwargs):
        return self.instance

    def _create(self, context, flavor, *args, **kwargs):
        self.used.append(flavor.flavorid)
        return [self.instance], 'r-1'

    def _resize(self, context, instance, flavor_id, **kwargs):
        # What the real one begins with.
        flavor = flavors.get_flavor_by_flavor_id(flavor_id, read_deleted='no')
        self.used.append(flavor.flavorid)

    def _post(self, path, body, rules_file):
        """Send a request.

        :returns: the status of the answer, the flavors that got through, and
            the number of tracebacks in the log
        """
        self.flags(rules_file=rules_file, group='flavor_rules')
        self.used.clear()
        self.errors.records.clear()
        status = self.api.api_request(
            path, method='POST', body=jsonutils.dumps(body)).status_code
        return status, list(self.used), len(self.errors.records)

    def _check(self, path, body):
        stock = self._post(path, body, None)
        ours = self._post(path, body, self.path)

        status, used, tracebacks = stock
        if set(used) & DENIED_IDS:
            self.assertEqual((403, [], 0), ours)
        elif status < 500:
            self.assertEqual(0, tracebacks)
            self.assertEqual(stock, ours)
        else:
            # Stock Nova fails on what is no URL at all, such as http://[, and
            # on what no database takes, a lone surrogate.
            self.assertEqual([], ours[1])
            self.assertLessEqual(ours[2], tracebacks)

    def _check_create(self, reference):
        self._check('/servers', {'server': {
            'name': 'x', 'flavorRef': reference,
            'imageRef': nova_fixtures.GlanceFixture.image1['id']}})

    def _check_resize(self, reference):
        self._check('/servers/%s/action' % self.instance.uuid, {
            'resize': {'flavorRef': reference}})

    @test_fuzz.fuzzed(200, REFERENCES)
    def test_create(self, reference):
        self._check_create(reference)

    @test_fuzz.fuzzed(200, REFERENCES)
    def test_resize(self, reference):
        self._check_resize(reference)

    def test_each_of_the_flavors(self):
        for flavorid, _ in ALLOWED + DENIED:
            for reference in (flavorid, 'http://x/flavors/%s' % flavorid):
                self._check_create(reference)
                self.assertEqual(
                    [] if flavorid in DENIED_IDS else [flavorid], self.used)
            self._check_resize(flavorid)
            self.assertEqual(
                [] if flavorid in DENIED_IDS else [flavorid], self.used)
