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


import datetime

from oslo_utils.fixture import uuidsentinel as uuids

from nova import context as nova_context
from nova.db.main import api as db
from nova.db.mycompany import server_page
from nova import exception
from nova import test

_COLUMNS = ('uuid', 'id', 'created_at', 'project_id', 'host', 'vm_state',
            'task_state')
_KEYS, _DIRS = ['created_at', 'id', 'uuid'], ['desc', 'desc', 'asc']


class ServerPageTestCase(test.TestCase):

    def setUp(self):
        super().setUp()
        self.context = nova_context.get_admin_context()
        day = datetime.datetime(2024, 4, 3)
        for number in range(8):
            self._create('server%d' % number, vm_state='active',
                         host='host%d' % (number % 2),
                         # Several of one second, as those of one request.
                         created_at=day + datetime.timedelta(number // 3))
        self._create('other', project_id='other')
        self._create('soft-deleted', vm_state='soft-delete')
        self._create('hidden', hidden=True)
        self._create('stateless', vm_state=None, hidden=None)
        self._create('deleted', created_at=day)
        db.instance_destroy(self.context, uuids.deleted)

    def _create(self, name, **values):
        db.instance_create(self.context, dict({
            'uuid': getattr(uuids, name), 'project_id': 'p',
            'info_cache': {'network_info': '["%s"]' % name}}, **values))

    def _get(self, filters, limit=None, marker=None):
        return server_page.get(self.context, filters, limit, marker,
                               _KEYS, _DIRS)

    def _upstreams(self, filters, limit=None, marker=None):
        return db.instance_get_all_by_filters_sort(
            self.context, dict(filters, deleted=False), limit=limit,
            marker=marker, columns_to_join=['info_cache'],
            sort_keys=_KEYS, sort_dirs=_DIRS)

    def test_they_are_those_that_upstream_lists(self):
        for filters in ({}, {'project_id': 'p'}, {'host': 'host1'},
                        {'project_id': 'other'},
                        {'project_id': 'p', 'host': 'host0'},
                        {'uuid': [uuids.server3, uuids.server4]}):
            theirs = self._upstreams(filters)
            self.assertTrue(theirs)
            self.assertEqual(
                [[one[name] for name in _COLUMNS] +
                 [one['info_cache']['network_info']] for one in theirs],
                [[getattr(one, name) for name in _COLUMNS] +
                 [one.network_info] for one in self._get(filters)])

    def test_pages_are_upstreams_too(self):
        marker, seen = None, 0
        while True:
            page = [one.uuid for one in self._get({}, 2, marker)]
            self.assertEqual(
                [one['uuid'] for one in self._upstreams({}, 2, marker)], page)
            if not page:
                break
            seen, marker = seen + len(page), page[-1]
        self.assertEqual(10, seen)

    def test_a_marker_may_have_been_deleted(self):
        whole = [one.uuid for one in self._get({})]
        db.instance_destroy(self.context, whole[3])
        self.assertEqual(
            whole[4:6], [one.uuid for one in self._get({}, 2, whole[3])])

    def test_a_marker_that_was_never_there_is_refused(self):
        self.assertRaises(exception.MarkerNotFound, self._get, {}, 2,
                          uuids.never)

    def test_a_server_may_be_without_its_network(self):
        db.instance_create(self.context, {
            'uuid': uuids.bare, 'project_id': 'bare', 'info_cache': None})
        self.assertIsNone(self._get({'project_id': 'bare'})[0].network_info)
