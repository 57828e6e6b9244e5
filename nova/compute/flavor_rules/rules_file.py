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

"""The YAML file of flavor rules: read strictly, written back.

The format is that of ``schema.json`` beside this file. Every scalar is taken
as the text that was written: ``1`` is the flavor ``1``, not a number, and
``on`` not a truth value. What cannot be meant is an error that names its line,
and then nothing of the file is used.
"""

import codecs
import functools
import os
import re
import typing as ty

import jsonschema
from oslo_serialization import jsonutils
import yaml

from nova.compute.flavor_rules import rules

VERSION = '1'

# Ten thousand projects with a few patterns each are about a megabyte.
MAX_BYTES = 32 * 1024 * 1024

# The format is three levels deep; a parser that goes down further is only of
# use to someone who wants it to fail.
_MAX_DEPTH = 8

# Enough to mend a file in one go.
_MAX_MESSAGES = 10

# What ends a line in YAML; str.splitlines() knows more.
_LINE_END = re.compile('\r\n|[\r\n\x85\u2028\u2029]')

_Loader = getattr(yaml, 'CSafeLoader', yaml.SafeLoader)
_Dumper = getattr(yaml, 'CSafeDumper', yaml.SafeDumper)


class InvalidRulesFile(ValueError):
    """A rules file that cannot be used.

    The message is for people, and has one line for each fault.
    """

    def __init__(self, path: str, faults: ty.List[ty.Tuple[int, str]]):
        """:param faults: pairs of a line, from 1, and what is wrong there;
            line 0 stands for the file as a whole
        """
        faults = sorted(faults)
        lines = [
            '%s%s: %s' % (path, ', line %d' % line if line else '', message)
            for line, message in faults[:_MAX_MESSAGES]]
        if len(faults) > _MAX_MESSAGES:
            lines.append('and %d more' % (len(faults) - _MAX_MESSAGES))
        super().__init__('\n'.join(lines))


@functools.lru_cache(None)
def schema() -> ty.Dict[str, ty.Any]:
    """The JSON schema of the file's content."""
    path = os.path.join(os.path.dirname(__file__), 'schema.json')
    with open(path, 'rb') as stream:
        return jsonutils.load(stream)


class _Builder:
    """Makes plain data of the parser's events, and remembers the lines.

    YAML's own constructors would guess types and keep the last of two equal
    keys without a word; its composer follows any depth.
    """

    def __init__(self) -> None:
        self.lines: ty.Dict[ty.Tuple, int] = {}
        self.faults: ty.List[ty.Tuple[int, str]] = []
        self.data: ty.Any = None
        # Of the open collections: the path, the collection, and of a mapping
        # the key that waits for its value.
        self._open: ty.List[ty.List[ty.Any]] = []
        self._documents = 0

    def build(self, content: bytes) -> None:
        for event in yaml.parse(content, Loader=_Loader):
            line = event.start_mark.line + 1
            if isinstance(event, yaml.DocumentStartEvent):
                self._documents += 1
                if self._documents > 1:
                    raise _Stop(line, 'a second YAML document begins here; '
                                      'there can be one only')
            elif isinstance(event, yaml.AliasEvent):
                raise _Stop(line, 'anchors and aliases are not supported')
            elif isinstance(event, yaml.ScalarEvent):
                self._add(event, line, event.value)
            elif isinstance(event, yaml.MappingStartEvent):
                self._start(event, line, {})
            elif isinstance(event, yaml.SequenceStartEvent):
                self._start(event, line, [])
            elif isinstance(event, yaml.CollectionEndEvent):
                self._open.pop()

    def _start(self, event, line, value):
        if len(self._open) >= _MAX_DEPTH:
            raise _Stop(line, 'more than %d levels deep' % _MAX_DEPTH)
        path = self._add(event, line, value)
        self._open.append([path, value, None])

    def _add(self, event, line, value):
        """Put a value where it belongs, and return its path."""
        if event.anchor:
            raise _Stop(line, 'anchors and aliases are not supported')
        # A ! before a quoted text is no more than emphasis.
        if event.tag and event.tag != '!':
            raise _Stop(line, 'tags such as %s are not supported' %
                        _short(event.tag))
        if not self._open:
            self.data = value
            self.lines[()] = line
            return ()
        path, parent, key = self._open[-1]
        if isinstance(parent, list):
            path = path + (len(parent),)
            parent.append(value)
            self.lines[path] = line
        elif key is None:
            if not isinstance(value, str):
                raise _Stop(line, 'a key must be a text')
            if value in parent:
                self.faults.append((line, 'the key %s is here again; it is '
                                    'already on line %d' % (
                                        _short(value),
                                        self.lines[path + (value,)])))
            self._open[-1][2] = value
            self.lines[path + (value,)] = line
            return path + (value,)
        else:
            # A value's line is that of its key, which is where people look.
            path = path + (key,)
            parent[key] = value
            self._open[-1][2] = None
        return path


class _Stop(Exception):
    """A fault after which the rest of the file has no meaning."""

    def __init__(self, line, message):
        super().__init__(line, message)
        self.fault = (line, message)


def _short(value):
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + '...'


def _where(path):
    """A place in the file, on one line of a message whatever its keys hold."""
    parts = [str(part) for part in path]
    return '.'.join(part if part.isprintable() and len(part) <= 60
                    else _short(part) for part in parts) or 'the file'


def _kind(value):
    return {dict: 'a mapping', list: 'a list'}.get(
        type(value), 'the text %s' % _short(value))


def _faults_of(error, lines):
    """The faults that an error of jsonschema stands for, in our words."""
    path = tuple(error.absolute_path)
    line = lines.get(path, 0)
    where = _where(path)
    value = error.instance
    if 'propertyNames' in error.absolute_schema_path:
        # The path is that of the mapping, and the value is the key.
        line = lines[path + (value,)]
        where = 'a key of %s' % where
    if error.validator == 'additionalProperties':
        known = sorted(error.schema['properties'])
        return [(lines[path + (key,)], 'unknown key %s in %s; expected: %s' % (
            _short(key), where, ', '.join(known)))
            for key in value if key not in known]
    if error.validator == 'required':
        missing = [key for key in error.validator_value if key not in value]
        return [(line, 'the key %s is missing in %s' % (
            ', '.join(missing), where))]
    if error.validator == 'enum':
        return [(line, '%s is %s; this release reads version %s only' % (
            where, _kind(value), VERSION))]
    if error.validator == 'not':
        return [(line, 'the key %r is not a project id; the entry for '
                       'projects without one is called default' % value)]
    if error.validator == 'type':
        kinds = {'object': 'a mapping', 'array': 'a list', 'string': 'a text'}
        return [(line, '%s is %s; expected %s' % (
            where, _kind(value), kinds[error.validator_value]))]
    # A text of the wrong length, or something else in the place of one.
    return [(line, '%s is %s; expected a text of 1 to %d characters' % (
        where, _kind(value), rules.MAX_LENGTH))]


def _line_of(error, content):
    """The line where the parser stopped, or 0 when it does not say."""
    mark = getattr(error, 'problem_mark', None)
    if mark:
        return mark.line + 1
    if not isinstance(error, yaml.reader.ReaderError):
        return 0
    # What is no text at all has no line yet, only a count of bytes.
    is_utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    before = content[:error.position].decode(
        'utf-16' if is_utf16 else 'utf-8', 'replace')
    return len(_LINE_END.findall(before)) + 1


def parse(content: bytes, path: str) -> ty.List[rules.Entry]:
    """Read rules from the content of a file.

    :param content: YAML, as UTF-8 or UTF-16 with a byte order mark
    :param path: for the messages
    :raises InvalidRulesFile: with every fault that could be found
    """
    if len(content) > MAX_BYTES:
        raise InvalidRulesFile(path, [
            (0, 'is larger than %d bytes' % MAX_BYTES)])
    builder = _Builder()
    try:
        builder.build(content)
    except _Stop as stop:
        raise InvalidRulesFile(path, builder.faults + [stop.fault])
    except (yaml.YAMLError, UnicodeError, ValueError) as error:
        raise InvalidRulesFile(path, builder.faults + [
            (_line_of(error, content), 'not valid YAML: %s' % (
                getattr(error, 'problem', None) or
                getattr(error, 'reason', None) or error))])
    if builder.data in (None, ''):
        raise InvalidRulesFile(path, [
            (0, 'is empty; expected at least "version: %s"' % VERSION)])

    faults = builder.faults
    for error in jsonschema.Draft7Validator(schema()).iter_errors(
            builder.data):
        faults.extend(_faults_of(error, builder.lines))
    if faults:
        raise InvalidRulesFile(path, faults)

    entries = []
    data = builder.data
    named = [(('default',), rules.DEFAULT, data['default'])] if (
        'default' in data) else []
    named += [(('projects', key), key, entry)
              for key, entry in data.get('projects', {}).items()]
    for place, project_id, entry in named:
        try:
            entries.append(rules.Entry(
                project_id, entry.get('allow'), entry.get('deny', ())))
        except rules.InvalidRule:
            faults.extend(
                _rule_faults(place, project_id, entry, builder.lines))
    if faults:
        raise InvalidRulesFile(path, faults)
    return entries


def _rule_faults(place, project_id, entry, lines):
    """Every fault in the texts of an entry, each with its line."""
    checks = [(place, rules.check_text, ('project id', project_id))]
    checks += [(place + (kind, i), rules.check_pattern, (pattern,))
               for kind in ('allow', 'deny')
               for i, pattern in enumerate(entry.get(kind, ()))]
    faults = []
    for where, check, args in checks:
        try:
            check(*args)
        except rules.InvalidRule as error:
            faults.append((lines[where], str(error)))
    return faults


def read(path: str) -> ty.List[rules.Entry]:
    """Read the rules of a file.

    :raises InvalidRulesFile: it is not valid
    :raises OSError: it cannot be read
    """
    with open(path, 'rb') as stream:
        return parse(stream.read(MAX_BYTES + 1), path)


def render(entries: ty.Iterable[rules.Entry]) -> str:
    """The content of a file with these entries, which parse reads back."""
    data: ty.Dict[str, ty.Any] = {'version': int(VERSION)}
    projects = {}
    for entry in entries:
        value: ty.Dict[str, ty.Any] = {}
        if entry.allow is not None:
            value['allow'] = list(entry.allow)
        if entry.deny:
            value['deny'] = list(entry.deny)
        if entry.project_id == rules.DEFAULT:
            data['default'] = value
        else:
            projects[entry.project_id] = value
    if projects:
        data['projects'] = projects
    return yaml.dump(data, Dumper=_Dumper, allow_unicode=True,
                     default_flow_style=False, sort_keys=False)
