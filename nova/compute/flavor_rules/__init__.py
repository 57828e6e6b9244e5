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

"""Flavor rules: which flavors a project may use.

What the API calls is here, and it is all that is tied into upstream's code:

* ``load()`` when the API starts,
* ``get_allowed_flavor()`` for the flavor of a new server,
* ``check_resize()`` for the flavor that a server is to be resized to,
* ``get_listed_flavors()`` for the list of flavors.

With neither a rules file nor the database configured, each does what upstream
does without it. When the rules cannot be told, no server gets through: the
user is answered with 503. ``rules`` says what a rule means, ``rules_file`` and
``store`` where it comes from, ``cache`` how a worker keeps up with changes.
"""

from oslo_log import log as logging

from nova.compute.flavor_rules import cache
from nova.compute.flavor_rules import rules_file
from nova.compute.flavor_rules import store
from nova.compute import flavors
import nova.conf
from nova import exception
from nova.i18n import _
from nova import objects
from nova.policies import flavor_rules as policies

CONF = nova.conf.CONF
LOG = logging.getLogger(__name__)

_CACHE = cache.Cache()


class FlavorNotAllowed(exception.Forbidden):
    msg_fmt = _("FlavorNotAllowed: flavor %(flavor)s is not allowed for "
                "project %(project_id)s.")


# What upstream's API lets pass of the exceptions that its methods do not name
# are Forbidden, NotSupported, Unauthorized and this one, which alone keeps its
# code (nova.api.openstack.wsgi.expected_errors, ResourceExceptionHandler).
# The other way were an edit in the decorator of each method.
class FlavorRulesUnavailable(exception.ValidationError):
    msg_fmt = _("It cannot be told now which flavors project %(project_id)s "
                "may use. Nothing was changed. Please try again later.")
    code = 503


# What a resize says of a flavor that is not there, when it gets that far.
class ResizeFlavorNotFound(exception.ValidationError):
    msg_fmt = exception.FlavorNotFound.msg_fmt


class InvalidFlavorRules(exception.NovaException):
    msg_fmt = _("[flavor_rules] rules_file cannot be used, so the API does "
                "not start: %(reason)s")


def _is_configured():
    return bool(CONF.flavor_rules.rules_file or CONF.flavor_rules.use_database)


def load():
    """Read the rules file, when the API starts.

    The database is asked when a request first needs it.

    :raises InvalidFlavorRules: the file is not valid, or cannot be read
    """
    if CONF.flavor_rules.rules_file:
        try:
            _CACHE.load_file()
        except (rules_file.InvalidRulesFile, OSError) as error:
            raise InvalidFlavorRules(reason=error)


def _rules(project_id):
    try:
        return _CACHE.get()
    except cache.RulesUnavailable as error:
        LOG.warning('No flavor is allowed for project %(project)s now: '
                    '%(error)s', {'project': project_id, 'error': error})
        raise FlavorRulesUnavailable(project_id=project_id)


def _lookup(project_id, flavorid, **kwargs):
    """Look up a flavor; one that cannot be looked up is not allowed."""
    try:
        return flavors.get_flavor_by_flavor_id(flavorid=flavorid, **kwargs)
    except store.FAULTS as error:
        LOG.warning('Flavor %(flavorid)r cannot be looked up, so project '
                    '%(project)s may not use it now: %(error)s',
                    {'flavorid': flavorid, 'project': project_id,
                     'error': str(error).partition('\n')[0]})
        raise FlavorRulesUnavailable(project_id=project_id)


def _check(context, known_rules, flavor, project_id, action, exempting):
    """Refuse a flavor that a project may not use, unless policy exempts.

    :param known_rules: the RuleSet in force
    :param exempting: name of the policy rule that exempts
    :raises FlavorNotAllowed: naming the flavor and the project
    """
    decision = known_rules.decide(project_id, flavor.name, flavor.flavorid)
    if decision.allowed:
        return
    exempt = context.can(
        exempting, target={'project_id': project_id,
                           'user_id': context.user_id}, fatal=False)
    LOG.info(
        'Flavor rules: %(verdict)s action=%(action)s project=%(project)s '
        'user=%(user)s flavor=%(name)r flavorid=%(flavorid)r by %(decision)s',
        {'verdict': 'exempted' if exempt else 'refused', 'action': action,
         'project': project_id, 'user': context.user_id, 'name': flavor.name,
         'flavorid': flavor.flavorid, 'decision': decision})
    if not exempt:
        # A name that the user cannot see is not for who guesses its id.
        hidden = not flavor.is_public or flavor.disabled
        raise FlavorNotAllowed(
            project_id=project_id, flavor=flavor.flavorid if
            hidden or flavor.name == flavor.flavorid
            else '%s (%s)' % (flavor.name, flavor.flavorid))


def get_allowed_flavor(flavorid, ctxt, read_deleted):
    """Look up the flavor of a new server, as flavors.get_flavor_by_flavor_id.

    :param ctxt: of the request; the new server's project is its project
    :raises FlavorNotFound: there is no such flavor
    :raises FlavorNotAllowed: the project may not use it
    :raises FlavorRulesUnavailable: that cannot be told now
    """
    if not _is_configured():
        return flavors.get_flavor_by_flavor_id(
            flavorid, ctxt=ctxt, read_deleted=read_deleted)
    known_rules = _rules(ctxt.project_id)
    flavor = _lookup(ctxt.project_id, flavorid, ctxt=ctxt,
                     read_deleted=read_deleted)
    _check(ctxt, known_rules, flavor, ctxt.project_id, 'create',
           policies.CREATE_ANY_FLAVOR)
    return flavor


def check_resize(context, instance, flavorid):
    """Refuse a resize to a flavor that the server's project may not use.

    It is the server's project that counts, whoever asks.

    :raises ResizeFlavorNotFound: there is no such flavor
    :raises FlavorNotAllowed: the project may not use the flavor
    :raises FlavorRulesUnavailable: that cannot be told now
    """
    if not _is_configured():
        return
    known_rules = _rules(instance.project_id)
    # Looked up as the resize will, so that it is the same flavor.
    try:
        flavor = _lookup(instance.project_id, flavorid, read_deleted='no')
    except exception.FlavorNotFound:
        # Left to the resize, it could be there by then.
        raise ResizeFlavorNotFound(flavor_id=flavorid)
    _check(context, known_rules, flavor, instance.project_id, 'resize',
           policies.RESIZE_ANY_FLAVOR)


def get_listed_flavors(context, limit=None, marker=None, **kwargs):
    """The flavors that a caller is shown, as objects.FlavorList.get_all.

    :param limit: as many are returned, unless there are no more that the
        caller may see
    :raises FlavorRulesUnavailable: it cannot be told which those are
    """
    if (not CONF.flavor_rules.hide_from_listing or not _is_configured() or
            context.is_admin or
            context.can(policies.CREATE_ANY_FLAVOR, fatal=False)):
        return objects.FlavorList.get_all(
            context, limit=limit, marker=marker, **kwargs)
    known_rules = _rules(context.project_id)
    # Not pages of the caller's size: one by one would be a query for each
    # flavor that is hidden.
    size = None if limit is None else max(limit, CONF.api.max_limit)
    shown = None
    while True:
        try:
            page = objects.FlavorList.get_all(
                context, limit=size, marker=marker, **kwargs)
        except exception.MarkerNotFound:
            if shown is None:
                raise
            # Ours has been deleted meanwhile; the caller may ask again.
            return shown
        ended = size is None or len(page) < size
        if page.objects:
            marker = page.objects[-1].flavorid
        page.objects = [
            flavor for flavor in page.objects if known_rules.decide(
                context.project_id, flavor.name, flavor.flavorid).allowed]
        if shown is None:
            shown = page
        else:
            shown.objects += page.objects
        if ended or len(shown) >= limit:
            shown.objects = shown.objects[:limit]
            return shown
