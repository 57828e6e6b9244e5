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

"""openstack server metrics show"""

from osc_lib.command import command

from osc_mycompany_metrics import api
from osc_mycompany_metrics import display


class ShowServerMetrics(command.ShowOne):
    _description = 'Show what a server uses right now'

    def get_parser(self, prog_name):
        parser = super().get_parser(prog_name)
        parser.add_argument(
            'server', metavar='<server>', help='Server (name or ID)')
        parser.add_argument(
            '--all-projects', action='store_true',
            help='Look for the name in all projects (admin only)')
        parser.add_argument(
            '--raw', action='store_true',
            help='Show plain numbers in tables too: bytes, nanoseconds')
        return parser

    def take_action(self, parsed_args):
        compute = self.app.client_manager.sdk_connection.compute
        server_id = api.find_server(
            compute, parsed_args.server, parsed_args.all_projects)
        pairs = display.flat(
            api.show(compute, server_id, parsed_args.server))
        if not parsed_args.raw:
            pairs = [(name, display.Figure(value, name))
                     for name, value in pairs]
        return zip(*pairs)
