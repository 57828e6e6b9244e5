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

"""The interface between the records of servers and a kind of CMDB.

A record is a dict of what JSON can hold, with these keys:

``id``
    uuid of the server, in lower case
``name``, ``project_id``, ``user_id``
    texts
``flavor``
    the flavor's name
``vcpus``, ``memory_mb``, ``disk_gb``
    integers: virtual CPUs, MiB, GiB of the root disk
``host``, ``node``, ``cell``, ``availability_zone``
    texts, or None while there is none
``addresses``
    a list, sorted by address, of dicts with ``address``, ``version`` (4 or
    6), ``type`` (``fixed`` or ``floating``), ``mac_address``, ``network``
    (its name) and ``port_id``
``state``
    ``active``, ``building``, ``error``, ``stopped``, ``shelved``, ...
``fault``
    None, or a dict with ``code`` (an integer) and ``message``
``created_at``
    ``2026-11-25T15:41:18Z``
``business_tag``
    a text, or None
"""

import abc
import typing as ty

Record = ty.Dict[str, ty.Any]


class Entry(ty.NamedTuple):
    """What the CMDB has about a server."""

    #: uuid, in lower case
    server_id: str

    #: in the form that the driver's ``differences`` understands
    content: ty.Dict[str, ty.Any]


class Driver(abc.ABC):
    """One CMDB.

    Its methods may be called from several threads at once. Each makes one
    attempt, within a time that is bounded whatever the CMDB does: who calls
    decides when to try again. Each may raise
    :class:`nova.cmdb.errors.Unavailable`, ``put`` and ``delete`` also
    :class:`nova.cmdb.errors.Rejected`.
    """

    @abc.abstractmethod
    def __init__(self) -> None:
        """Take the options from nova.conf.CONF.

        :raises nova.cmdb.errors.Misconfigured: they do not do
        """

    @abc.abstractmethod
    def put(self, record: Record) -> None:
        """Create the server's entry, or bring it in line with the record.

        Doing it again, or again after an attempt that broke off half way,
        leads to the same.
        """

    @abc.abstractmethod
    def delete(self, server_id: str) -> None:
        """Remove the server's entry; that there is none is a success."""

    @abc.abstractmethod
    def page(self, limit: int,
             marker: ty.Optional[str] = None) -> ty.List[Entry]:
        """The next entries of this cloud, ascending by server id.

        :param limit: no more than so many are returned
        :param marker: only entries with a greater server id are returned
        :returns: nothing when there are no more; fewer than ``limit`` does
            not mean that
        :raises nova.cmdb.errors.Unavailable: also when the answer is none,
            such as a server id that is not a uuid or not in order
        """

    def differences(self, record: Record,
                    content: ty.Dict[str, ty.Any]) -> ty.List[str]:
        """Names of the fields in which an entry is not what it should be.

        What a CMDB has beside the record is its own affair.

        :param record: of the same server
        :param content: of an :class:`Entry` that ``page`` returned
        """
        return sorted(key for key in record if
                      key not in content or record[key] != content[key])

    def reload(self) -> None:
        """Read again what may change while a service runs."""

    def close(self) -> None:
        """Let go of connections; the driver is not used any more."""
