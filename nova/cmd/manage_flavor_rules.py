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

"""nova-manage flavor_rules: set, unset, list, check, import and export.

Rules are changed in the API database only; a rules file belongs to whoever
deploys it. Answers go to standard output, faults and warnings to standard
error. What every command returns is in its description.
"""

import functools
import sys

from oslo_serialization import jsonutils
import prettytable

from nova.cmd import common as cmd_common
from nova.compute.flavor_rules import rules
from nova.compute.flavor_rules import rules_file
from nova.compute.flavor_rules import store
from nova.compute import flavors
import nova.conf
from nova import context as nova_context
from nova import exception
from nova.i18n import _
from nova import objects

CONF = nova.conf.CONF

# A cell of the table holds only so many patterns; --json has them all.
_SHOWN_PATTERNS = 6


class _Fault(Exception):
    """What was asked cannot be done; the message says why, for people."""


def _say(message):
    print(message, file=sys.stderr)


def _command(text):
    """Make a command of a method; when it cannot be done, it returns 2."""
    def decorator(function):
        @functools.wraps(function)
        def wrapped(self, *args, **kwargs):
            try:
                return function(self, *args, **kwargs)
            except (_Fault, rules_file.InvalidRulesFile, rules.InvalidRule,
                    store.InvalidStoredRule, OSError) as fault:
                _say(str(fault))
            except store.FAULTS as fault:
                _say(_('The API database cannot be used: %s\nIs it up, and '
                       'has nova-manage api_db sync been run?') % fault)
            return 2
        return cmd_common.action_description(text)(wrapped)
    return decorator


def _target(project, default):
    if bool(project) == bool(default):
        raise _Fault(_('Say whose entry: either --project or --default'))
    if project == rules.DEFAULT:
        raise _Fault(_('The entry for projects without one is --default'))
    return rules.DEFAULT if default else project


def _name(project_id):
    return 'default' if project_id == rules.DEFAULT else project_id


def _plain(source, entry):
    return {'project': _name(entry.project_id),
            'source': 'database' if source == rules.DATABASE else 'file',
            'allow': None if entry.allow is None else list(entry.allow),
            'deny': list(entry.deny)}


def _cell(patterns):
    text = '\n'.join(patterns[:_SHOWN_PATTERNS])
    if len(patterns) > _SHOWN_PATTERNS:
        text += '\n... %d more' % (len(patterns) - _SHOWN_PATTERNS)
    return text


def _all_flavors():
    """Pairs of name and id of all flavors, private and disabled ones too."""
    context = nova_context.get_admin_context()
    return [(flavor.name, flavor.flavorid)
            for flavor in objects.FlavorList.get_all(
                context, filters={'is_public': None})]


def _find_flavor(text):
    """The flavor of an id, as the API takes it, or else of a name."""
    try:
        return flavors.get_flavor_by_flavor_id(
            flavorid=text, ctxt=nova_context.get_admin_context(),
            read_deleted='no')
    except exception.FlavorNotFound:
        pass
    try:
        return objects.Flavor.get_by_name(
            nova_context.get_admin_context(), text)
    except exception.FlavorNotFound:
        raise _Fault(_('There is no flavor with the id or the name %r')
                     % text)


def _from_file(path=None):
    """The entries of a file, or else of the configured one."""
    path = path or CONF.flavor_rules.rules_file
    return rules_file.read(path) if path else []


def _warn_if_unused():
    if not CONF.flavor_rules.use_database:
        _say(_('Note: [flavor_rules] use_database is not set in the '
               'configuration read here. Only API services that have it set '
               'go by the rules in the database.'))


class FlavorRulesCommands:
    """Which flavors a project may use."""

    @_command("""Set the entry of a project, or the default one, in the API
database; it replaces the entry that was there. Returns 0 when done, 2 when it
could not be.""")
    @cmd_common.args('--project', metavar='<id>', help='Id of the project.')
    @cmd_common.args('--default', action='store_true', dest='default',
                     help='For all projects without an entry of their own.')
    @cmd_common.args('--allow', metavar='<pattern>', action='append',
                     help='A flavor name or id, or a shell-style pattern, '
                     'that may be used. Give it again for more. Left out: '
                     'everything but the denied.')
    @cmd_common.args('--allow-none', action='store_true', dest='allow_none',
                     help='Allow nothing.')
    @cmd_common.args('--allow-all', action='store_true', dest='allow_all',
                     help='Allow everything that is not denied.')
    @cmd_common.args('--deny', metavar='<pattern>', action='append',
                     help='What may not be used, whatever is allowed. Give '
                     'it again for more.')
    def set(self, project=None, default=False, allow=None, allow_none=False,
            allow_all=False, deny=None):
        project_id = _target(project, default)
        if sum(map(bool, (allow, allow_none, allow_all))) > 1:
            raise _Fault(_('--allow, --allow-none and --allow-all exclude '
                           'each other'))
        if not (allow or allow_none or allow_all or deny):
            raise _Fault(_('Say what is allowed or denied: --allow, '
                           '--allow-none, --allow-all, --deny'))
        store.save([rules.Entry(
            project_id, () if allow_none else allow, deny or ())])
        _warn_if_unused()
        return 0

    @_command("""Remove the entry of a project, or the default one, from the
API database. Returns 0 when it is removed, 1 when there was none, 2 when that
could not be done.""")
    @cmd_common.args('--project', metavar='<id>', help='Id of the project.')
    @cmd_common.args('--default', action='store_true', dest='default',
                     help='The entry for projects without one.')
    def unset(self, project=None, default=False):
        project_id = _target(project, default)
        if store.delete(project_id):
            return 0
        _say(_('There is no entry of %s in the API database') %
             _name(project_id))
        return 1

    @_command("""List the entries of the rules file and of the API database,
and which are in force. Returns 0, or 2 when they cannot be read.""")
    @cmd_common.args('--json', action='store_true', dest='as_json',
                     help='As JSON, with all patterns.')
    def list(self, as_json=False):
        from_file = _from_file()
        # Listed though not in use: that is what one wants to see.
        from_database = store.read()[1]
        used = from_database if CONF.flavor_rules.use_database else []
        in_force = {entry.project_id: source
                    for source, entry in rules.RuleSet(from_file, used)}
        rows = []
        for source, entries in ((rules.FILE, from_file),
                                (rules.DATABASE, from_database)):
            for entry in entries:
                row = _plain(source, entry)
                row['in_force'] = in_force.get(entry.project_id) == source
                rows.append(row)
        rows.sort(key=lambda row: (row['project'] != 'default',
                                   row['project'], row['source']))
        if as_json:
            print(jsonutils.dumps(rows, indent=4))
            return 0
        table = prettytable.PrettyTable(
            ['Project', 'Source', 'In force', 'Allow', 'Deny'])
        table.align = 'l'
        for row in rows:
            table.add_row([
                row['project'], row['source'],
                'yes' if row['in_force'] else 'no',
                '(everything)' if row['allow'] is None
                else _cell(row['allow']) or '(nothing)',
                _cell(row['deny'])])
        print(table)
        if from_database:
            _warn_if_unused()
        return 0

    @_command("""Say whether a project may use a flavor, and which rule
decides, by the configuration read here. Warns of rules that name no flavor.
Without --project and --flavor all rules are looked at for that. Returns 0 when
the flavor may be used, or when no rule is to be warned of; 1 when not; 2 when
that cannot be told.""")
    @cmd_common.args('--project', metavar='<id>', help='Id of the project.')
    @cmd_common.args('--flavor', metavar='<flavor>',
                     help='Id or name of the flavor.')
    @cmd_common.args('--file', metavar='<path>', dest='path',
                     help='Use this rules file instead of the configured '
                     'one, for instance before it is deployed.')
    @cmd_common.args('--json', action='store_true', dest='as_json',
                     help='As JSON.')
    def check(self, project=None, flavor=None, path=None, as_json=False):
        if bool(project) != bool(flavor):
            raise _Fault(_('--project and --flavor belong together'))
        if not (path or CONF.flavor_rules.rules_file or
                CONF.flavor_rules.use_database):
            _say(_('Note: neither [flavor_rules] rules_file nor use_database '
                   'is set in the configuration read here.'))
        from_database = store.read()[1]
        if from_database:
            _warn_if_unused()
        known = rules.RuleSet(
            _from_file(path),
            from_database if CONF.flavor_rules.use_database else [])
        answer = {}
        looked_at = list(known)
        if project:
            found = _find_flavor(flavor)
            decision = known.decide(project, found.name, found.flavorid)
            answer = {
                'project': project,
                'flavor': {'name': found.name, 'id': found.flavorid},
                'allowed': decision.allowed,
                'decided_by': str(decision),
            }
            looked_at = [pair for pair in looked_at
                         if pair == known.entry_for(project)]
        all_flavors = _all_flavors() if looked_at else []
        answer['no_flavor_for'] = [
            {'project': _name(entry.project_id),
             'source': _plain(source, entry)['source'],
             'list': kind, 'pattern': pattern}
            for source, entry in looked_at
            for kind, pattern in entry.unmatched(all_flavors)]
        if as_json:
            print(jsonutils.dumps(answer, indent=4))
        else:
            self._print_check(answer, len(looked_at))
        if project:
            return 0 if answer['allowed'] else 1
        return 1 if answer['no_flavor_for'] else 0

    @staticmethod
    def _print_check(answer, count):
        for row in answer['no_flavor_for']:
            _say(_('Warning: no flavor has a name or an id that matches '
                   '%(list)s pattern %(pattern)r of %(project)s in the '
                   '%(source)s') % row)
        if 'allowed' in answer:
            print('%s: project %s %s flavor %s (%s): %s' % (
                'yes' if answer['allowed'] else 'no', answer['project'],
                'may use' if answer['allowed'] else 'may not use',
                answer['flavor']['name'], answer['flavor']['id'],
                answer['decided_by']))
        elif not answer['no_flavor_for']:
            print(_('%d entries, all patterns match a flavor') % count)

    @_command("""Take the entries of a rules file into the API database, all or
none of them; each replaces the entry that was there. Returns 0 when done, 2
when it could not be.""")
    @cmd_common.args('path', metavar='<file>',
                     help='A file as [flavor_rules] rules_file.')
    @cmd_common.args('--replace', action='store_true', dest='replace',
                     help='Remove all entries that the file does not have.')
    def import_(self, path, replace=False):
        entries = rules_file.read(path)
        store.save(entries, replace)
        print(_('%d entries are set') % len(entries))
        _warn_if_unused()
        return 0

    @_command("""Write the entries of the API database to standard output, in
the format of the rules file. Returns 0, or 2 when they cannot be read.""")
    def export(self):
        sys.stdout.write(rules_file.render(sorted(
            store.read()[1], key=lambda entry: entry.project_id)))
        return 0


# A command is called like its method, and import is a word of the language.
setattr(FlavorRulesCommands, 'import', FlavorRulesCommands.import_)
del FlavorRulesCommands.import_
