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

"""What goes wrong between us and a CMDB.

The texts are logged and shown as they are. They never hold a secret, the name
of a server or an address; a server's id they may.
"""

import typing as ty


class CMDBError(Exception):
    """Something is wrong with the CMDB, or with how we are to reach it."""


class Unavailable(CMDBError):
    """The CMDB does not do its work at present: try again later.

    It cannot be reached or is too slow, has a fault of its own, limits us,
    does not accept our token, or answers what is no answer.
    """

    def __init__(self, message: str,
                 retry_after: ty.Optional[float] = None):
        """:param retry_after: for how many seconds the CMDB asks not to be
            called again; None where it does not ask
        """
        super().__init__(message)
        self.retry_after = retry_after


class Rejected(CMDBError):
    """The CMDB refuses this one record, and may well take others."""


class Misconfigured(CMDBError):
    """An option, or what it names, does not let us use the CMDB.

    The text says which option, its value, and what is expected.
    """
