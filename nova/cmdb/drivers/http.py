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

"""The driver for a CMDB with a small REST interface.

``doc/operator/cmdb-http.openapi.yaml`` describes it.
"""

from nova.cmdb.drivers import base
from nova.cmdb.drivers import rest
from nova.cmdb import errors
import nova.conf

CONF = nova.conf.CONF


class HTTPDriver(base.Driver):

    def __init__(self):
        url = rest.check_url('[cmdb_http] url', CONF.cmdb_http.url)
        self._token_file = rest.TokenFile(
            '[cmdb_http] token_file', CONF.cmdb_http.token_file)
        self._client = rest.Client(
            url, lambda: 'Bearer ' + self._token_file.token())

    def put(self, record):
        server_id = rest.check_server_id(record['id'])
        answer = self._client.request(
            'PUT', '/vms/' + server_id, body=record, fine=(404,))
        if answer.status == 404:
            # No record can be the cause: it would have been made.
            raise errors.Unavailable('it has no /vms there; is [cmdb_http] '
                                     'url right?')

    def delete(self, server_id):
        self._client.request(
            'DELETE', '/vms/' + rest.check_server_id(server_id),
            fine=(404, 410))

    def page(self, limit, marker=None):
        params = [('limit', limit)]
        if marker is not None:
            params.append(('marker', rest.check_server_id(marker)))
        try:
            data = self._client.request('GET', '/vms', params).data
        except errors.Rejected as error:
            # There is no record to refuse.
            raise errors.Unavailable(str(error)) from None
        vms = data.get('vms') if isinstance(data, dict) else None
        if not isinstance(vms, list):
            raise _not_understood('no list of vms')
        if len(vms) > limit:
            raise _not_understood('more records than were asked for')
        entries = []
        for content in vms:
            server_id = content.get('id') if isinstance(content, dict) else ''
            if not rest.is_server_id(server_id):
                raise _not_understood('the id of a record is not the text of '
                                      'a uuid in lower case')
            if marker is not None and server_id <= marker:
                raise _not_understood('its records are not in ascending '
                                      'order, or not above the marker')
            entries.append(base.Entry(server_id, content))
            marker = server_id
        return entries

    def reload(self):
        self._token_file.reload()

    def close(self):
        self._client.close()


def _not_understood(what):
    return errors.Unavailable('answer not understood: %s' % what)
