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

"""The calls that the commands make, and what they say when one fails.

They are plain requests through the SDK's compute proxy. Its own lookups of
servers take other arguments from release to release, and this one package has
to run on those of years.
"""

import re
import urllib.parse
import uuid

from keystoneauth1 import exceptions as ksa_exceptions
from osc_lib import exceptions

# Those with which it may be different a moment later.
TEMPORARY = (429, 500, 502, 503, 504)

# What the API of a Nova without metrics answers: no route, and no server that
# is called so.
_NO_ROUTE = 'The resource could not be found'
_NO_ID = re.compile(r'Instance (id )?metrics could not be found')


class MetricsError(exceptions.CommandError):
    """No metrics; ``openstack`` prints it and exits with 1.

    `status` is that of the answer, None when there was none. `retry_after` is
    in seconds, None when the API has not said.
    """

    def __init__(self, message, status=None, retry_after=None):
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after

    @property
    def temporary(self):
        """Whether it is worth asking again later."""
        return self.status is None or self.status in TEMPORARY


def show(compute, server_id, name=None):
    """The metrics of a server: the dict that the API calls server_metrics.

    :param name: what to call it in an error
    :raises MetricsError: there are none
    """
    return _get(compute, '/servers/%s/metrics' % server_id,
                'No metrics of server %s' % (name or server_id)
                )['server_metrics']


def list_all(compute, **query):
    """The metrics of many servers.

    :param query: filters as the API names them; None is left out
    :returns: the servers' metrics, and for those servers without any the
        dicts that the API calls servers_metrics_missing
    :raises MetricsError: the API has not answered
    """
    found, missing = [], []
    for body in _pages(compute, '/servers/metrics', 'No metrics of servers',
                       'servers_metrics_links', query):
        found += body['servers_metrics']
        missing += body['servers_metrics_missing']
    return found, missing


def names(compute, **query):
    """The names of servers, by id.

    :param query: filters as the API names them; None is left out
    :raises MetricsError: the API has not answered
    """
    return {server['id']: server['name']
            for body in _pages(compute, '/servers', 'No list of servers',
                               'servers_links', query)
            for server in body['servers']}


def find_server(compute, name_or_id, all_projects=False):
    """The id of a server.

    :param all_projects: look for the name in those of others too
    :raises MetricsError: no server is called so, or several are
    """
    try:
        return str(uuid.UUID(name_or_id))
    except ValueError:
        pass
    # The API takes a regular expression, and that of its database.
    found = [server_id for server_id, name in names(
        compute, name='^%s$' % re.sub(r'[^\w\s-]', '.', name_or_id),
        all_tenants=1 if all_projects else None).items()
        if name == name_or_id]
    if not found:
        raise MetricsError('No server is called %s.' % name_or_id, 404)
    if len(found) > 1:
        raise MetricsError('%d servers are called %s; say which by its id: %s'
                           % (len(found), name_or_id, ', '.join(found)), 409)
    return found[0]


def _pages(compute, path, failed, links, query):
    """The bodies of a list's pages, one after the other."""
    query = {key: value for key, value in query.items() if value is not None}
    while True:
        body = _get(compute, '%s?%s' % (path, urllib.parse.urlencode(query))
                    if query else path, failed)
        yield body
        following = [link['href'] for link in body.get(links, ())
                     if link['rel'] == 'next']
        if not following:
            return
        # Its query only: the link's host may be none that we can reach.
        query = dict(urllib.parse.parse_qsl(
            urllib.parse.urlsplit(following[0]).query))


def _get(compute, path, failed):
    """The body of an answer.

    :param failed: how an error begins
    """
    try:
        response = compute.get(path)
    except ksa_exceptions.ConnectionError as error:
        raise MetricsError('No answer from the compute API: %s' % error)
    status = response.status_code
    if status == 200:
        return response.json()
    said = _message(response)
    if status == 404 and (_NO_ROUTE in said or _NO_ID.search(said)):
        raise MetricsError("This cloud's compute API has no server metrics.",
                           status)
    raise MetricsError(
        '%s: %s (HTTP %d)' % (failed, said, status), status,
        _seconds(response.headers.get('Retry-After')))


def _message(response):
    """What the API has said of an error: {"itemNotFound": {"message": ...}}
    """
    try:
        for fault in response.json().values():
            return fault['message']
    except (AttributeError, KeyError, TypeError, ValueError):
        pass
    return re.sub(r'<[^>]*>|\s+', ' ', response.text).strip() or (
        response.reason or 'no reason given')


def _seconds(retry_after):
    # A date is allowed too; Nova sends seconds.
    return int(retry_after) if (retry_after or '').isdigit() else None
