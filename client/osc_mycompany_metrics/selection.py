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

"""Which servers to list, and their rows; for ``list`` and for ``watch``."""

import argparse

from openstack import exceptions as sdk_exceptions
from osc_lib import exceptions

from osc_mycompany_metrics import api
from osc_mycompany_metrics import display


def positive(text):
    """The number that an argument is."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError('%s: expected 1 at least' % text)
    return number


def add_arguments(parser):
    parser.add_argument(
        '--host', metavar='<hostname>',
        help='Only servers on this host, of all projects (admin only)')
    parser.add_argument(
        '--project', metavar='<project>',
        help='Only servers of this project (name or ID) (admin only)')
    parser.add_argument(
        '--project-domain', metavar='<project-domain>',
        help='Domain the project belongs to (name or ID), in case names of '
             'projects are not unique')
    parser.add_argument(
        '--sort', metavar='<key>[:asc|:desc]', type=display.parse_sort,
        default=(display.DEFAULT_SORT, None),
        help='Sort by %s (default: %s); figures descending and names '
             'ascending unless told' % (
                 ', '.join(display.SORTS), display.DEFAULT_SORT))
    parser.add_argument(
        '--limit', metavar='<number>', type=positive,
        help='Show at most this many servers, the first after sorting')
    parser.add_argument(
        '--no-name-lookup', action='store_true',
        help='Do not ask the API for the names of the servers')
    parser.add_argument(
        '--raw', action='store_true',
        help='Show plain numbers in tables too: bytes, bytes per second')


class Selection:
    """The servers that the arguments choose.

    :param connection: the SDK's
    """

    def __init__(self, connection, parsed_args):
        self._compute = connection.compute
        self._lookup = not parsed_args.no_name_lookup
        self._host = parsed_args.host
        self._project = parsed_args.project and _find_project(
            connection, parsed_args.project, parsed_args.project_domain)
        self._names = {}

    def rows(self):
        """Ask for the metrics, and for names when there are new servers."""
        found, missing = api.list_all(
            self._compute, host=self._host, project_id=self._project)
        ids = {one['server_id'] for one in found + missing}
        if self._lookup and not ids <= self._names.keys():
            self._names = api.names(
                self._compute, host=self._host, project_id=self._project,
                all_tenants=1 if self._host or self._project else None)
            # One that is gone by now would be asked for again and again.
            self._names.update(dict.fromkeys(ids - self._names.keys()))
        return display.rows(found, missing, self._names)


def _find_project(connection, name_or_id, domain):
    """The id of a project; what was given, if we may not look it up."""
    where = {}
    try:
        if domain:
            where['domain_id'] = connection.identity.find_domain(
                domain, ignore_missing=False).id
        found = connection.identity.find_project(name_or_id, **where)
    except sdk_exceptions.ForbiddenException:
        return name_or_id
    if found is None:
        raise exceptions.CommandError(
            'No project is called %s.' % name_or_id)
    return found.id
