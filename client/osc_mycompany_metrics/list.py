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

"""openstack server metrics list"""

from osc_lib.command import command

from osc_mycompany_metrics import display
from osc_mycompany_metrics import selection


class ListServerMetrics(command.Lister):
    _description = 'List what servers use right now'

    def get_parser(self, prog_name):
        parser = super().get_parser(prog_name)
        selection.add_arguments(parser)
        return parser

    def take_action(self, parsed_args):
        chosen = selection.Selection(
            self.app.client_manager.sdk_connection, parsed_args)
        rows = display.sort(chosen.rows(), *parsed_args.sort)
        rows = rows[:parsed_args.limit]
        if not parsed_args.raw:
            rows = map(display.figures, rows)
        return display.COLUMNS, rows
