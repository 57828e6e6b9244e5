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

"""The business tag and its limit, as a flavor's extra specs say them."""

import dataclasses
import typing as ty
import unicodedata

import nova.conf

CONF = nova.conf.CONF

NAMESPACE = 'mycompany:'
TAG = 'business_tag'
LIMIT = 'business_max_per_host'

# As long as the column, in characters.
MAX_TAG_LENGTH = 255

# More servers than any host holds, and an integer for every database.
MAX_LIMIT = 1000000


class InvalidSpread(ValueError):
    """An extra spec that cannot be used; the message is for people."""


@dataclasses.dataclass(frozen=True)
class Spread:
    """At most this many servers with this tag on one host (and node)."""
    tag: str
    limit: int


def check_tag(tag: ty.Any) -> str:
    """The tag in the form in which tags are compared.

    Case counts. The several ways in which Unicode can write one letter are
    the same letter.

    :raises InvalidSpread: it is not 1 to 255 printable characters, or it
        begins or ends with a space: databases differ in whether that counts
    """
    if not isinstance(tag, str):
        raise InvalidSpread('%r is not a text' % (tag,))
    tag = unicodedata.normalize('NFC', tag)
    if not 1 <= len(tag) <= MAX_TAG_LENGTH:
        raise InvalidSpread('%r has %d characters; expected are 1 to %d' % (
            tag[:32], len(tag), MAX_TAG_LENGTH))
    if not tag.isprintable():
        raise InvalidSpread('%r has characters that cannot be printed' % tag)
    if tag != tag.strip():
        raise InvalidSpread('%r begins or ends with a space' % tag)
    # Nova's tables hold no others on MySQL.
    if max(tag) > '\uffff':
        raise InvalidSpread('%r has characters beyond U+FFFF' % tag)
    return tag


def check_limit(limit: ty.Any) -> int:
    """:raises InvalidSpread: it is not an integer from 1 to MAX_LIMIT"""
    try:
        value = int(limit)
    except (TypeError, ValueError):
        raise InvalidSpread('%r is not an integer' % (limit,))
    if not 1 <= value <= MAX_LIMIT:
        raise InvalidSpread('%r is not from 1 to %d' % (limit, MAX_LIMIT))
    return value


def _get(extra_specs, name):
    """A value and the key it was found by; the namespaced form wins."""
    for key in (NAMESPACE + name, name):
        if key in extra_specs:
            return key, extra_specs[key]
    return name, None


def tag_of(extra_specs: ty.Mapping[str, str]) -> ty.Optional[str]:
    """The tag of a flavor with these extra specs; None for none.

    :raises InvalidSpread: it has one that cannot be used
    """
    key, tag = _get(extra_specs, TAG)
    if tag is None:
        return None
    try:
        return check_tag(tag)
    except InvalidSpread as error:
        raise InvalidSpread('extra spec %s: %s' % (key, error))


def spread_of(extra_specs: ty.Mapping[str, str]) -> ty.Optional[Spread]:
    """The tag and limit of a flavor with these extra specs; None for no tag.

    :raises InvalidSpread: one of them cannot be used
    """
    tag = tag_of(extra_specs)
    if tag is None:
        return None
    key, limit = _get(extra_specs, LIMIT)
    if limit is None:
        return Spread(tag, CONF.business_spread.default_max_per_host)
    try:
        return Spread(tag, check_limit(limit))
    except InvalidSpread as error:
        raise InvalidSpread('extra spec %s: %s' % (key, error))


def has_tag(flavor, tag: str) -> bool:
    """Whether servers of a flavor count for a tag.

    :param flavor: objects.Flavor, or None
    """
    if flavor is None:
        return False
    try:
        return tag_of(flavor.extra_specs) == tag
    except InvalidSpread:
        # It was never taken for this tag, nor for another.
        return False
