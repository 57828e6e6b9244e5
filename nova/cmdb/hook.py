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

"""The compute hook ``cmdb``: tell the agents which server has changed.

It says no more than the server's id. So a compute node needs no address of the
CMDB and no secret, and it does not matter how late, how often or in which
order the agents hear of it.
"""

from nova.cmdb import bus
from nova.compute import hooks


class CMDBHook(hooks.Hook):

    def __init__(self):
        self._publisher = bus.Publisher()

    def handle(self, event):
        self._publisher.send(event.server_id)
