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

"""The rules that a worker goes by, kept up to date.

Nothing runs by itself. When a request needs the rules and those at hand are
older than ``[flavor_rules] refresh_interval``, it looks whether they have
changed: by a stat of the file, and by one query for the database's token.

The database is asked in a thread of its own, one at a time, because nothing
else bounds how long an answer takes. A request waits for it for
``database_timeout`` at most, counted from when the question was asked. After
that the rules at hand are used while they are younger than
``database_max_age``, and then there are none: no server gets through.
"""

import os
import threading
import time
import typing as ty

from oslo_log import log as logging

from nova.compute.flavor_rules import rules
from nova.compute.flavor_rules import rules_file
from nova.compute.flavor_rules import store
import nova.conf

CONF = nova.conf.CONF
LOG = logging.getLogger(__name__)

# A question that has had no answer for this many times the time-out will not
# get one: its connection is dead, and only a new one can tell when the
# database is back.
_GIVE_UP_AFTER = 4

# As many of those may hang at once, so that a hung database does not use up
# the worker's connections.
_MOST_GIVEN_UP = 3

# With no rules at hand, how long a failure stands for those that follow
# before the database is asked again, in seconds.
_RETRY_AFTER = 1


class RulesUnavailable(Exception):
    """The rules are not known well enough to decide by them."""


class _Question:
    """One attempt at reading the database, in a thread."""

    def __init__(self, token):
        self.asked = time.monotonic()
        self.answered = threading.Event()
        self.token = token
        self.entries = None
        # Whatever ends the thread, only an answer is an answer.
        self.error: ty.Optional[Exception] = RuntimeError('no answer')
        threading.Thread(
            target=self._ask, name='flavor-rules', daemon=True).start()

    def _ask(self):
        try:
            self.token, self.entries = store.read(self.token)
            self.error = None
        except Exception as error:
            self.error = error
        finally:
            self.answered.set()


class _Database:
    """What is known of the rules in the database."""

    def __init__(self):
        self.entries: ty.Sequence[rules.Entry] = ()
        self._token = None
        # When what we know was true for certain; None for never.
        self._read_at: ty.Optional[float] = None
        self._question: ty.Optional[_Question] = None
        # Those given up, which hold a connection until it is known to be dead.
        self._given_up: ty.List[_Question] = []
        self._failed_at: ty.Optional[float] = None
        self._error: ty.Optional[str] = None
        self._lock = threading.Lock()

    def _age(self):
        return (float('inf') if self._read_at is None
                else time.monotonic() - self._read_at)

    def refresh(self) -> None:
        """Bring the entries up to date, or leave them if they are new enough.

        :raises RulesUnavailable: they cannot be read, and those at hand are
            too old
        """
        if self._age() < CONF.flavor_rules.refresh_interval:
            return
        came = time.monotonic()
        question = self._ask()
        if question is not None and question.asked < came and (
                question.answered.is_set()):
            # An answer that nobody waited for any more: it may be too old.
            self._take(question)
            question = (
                self._ask() if self._age() >=
                CONF.flavor_rules.refresh_interval else None)
        if question is not None:
            left = (question.asked + CONF.flavor_rules.database_timeout -
                    time.monotonic())
            if question.answered.wait(max(0, left)):
                self._take(question)
            else:
                self._failed('no answer within %g seconds' %
                             CONF.flavor_rules.database_timeout)
        # An answer may be as late as a request waits for it.
        limit = max(CONF.flavor_rules.database_max_age,
                    CONF.flavor_rules.database_timeout
                    if self._failed_at is None else 0)
        if self._age() > limit:
            raise RulesUnavailable(
                'the flavor rules cannot be read from the API database: %s' %
                self._error)

    def _ask(self):
        """The question that is under way, else a new one, else None.

        There is none shortly after a failure: who comes then does not wait.
        """
        with self._lock:
            now = time.monotonic()
            question = self._question
            if question is not None:
                self._given_up = [
                    one for one in self._given_up
                    if not one.answered.is_set()]
                if (now - question.asked <
                        _GIVE_UP_AFTER * CONF.flavor_rules.database_timeout or
                        len(self._given_up) >= _MOST_GIVEN_UP):
                    return question
                self._given_up.append(question)
            elif self._failed_at is not None:
                usable = self._age() <= CONF.flavor_rules.database_max_age
                pause = max(_RETRY_AFTER, (
                    CONF.flavor_rules.refresh_interval if usable else 0))
                if now - self._failed_at < pause:
                    return None
            self._question = _Question(self._token)
            return self._question

    def _take(self, question):
        """Take over the answer to a question; the first that waited does."""
        with self._lock:
            if self._question is not question:
                return
            self._question = None
            if question.error is None:
                if question.entries is not None:
                    self.entries = question.entries
                    self._token = question.token
                self._read_at = question.asked
                self._failed_at = None
                if self._error is not None:
                    LOG.info('The flavor rules can be read from the API '
                             'database again.')
                self._error = None
                return
        # The lines after the first are SQLAlchemy's advice to programmers.
        lines = str(question.error).splitlines() or [repr(question.error)]
        self._failed(lines[0])

    def _failed(self, error):
        with self._lock:
            self._failed_at = time.monotonic()
            # Once for each fault, not once for each request.
            if error == self._error:
                return
            self._error = error
        LOG.error(
            'The flavor rules cannot be read from the API database: '
            '%(error)s. Those at hand are used until they are %(age)g seconds '
            'old; then no server is created or resized until the database '
            'can be read. Is the database up, and has nova-manage api_db sync '
            'been run?', {'error': error,
                          'age': CONF.flavor_rules.database_max_age})


class _File:
    """What is known of the rules in the file."""

    def __init__(self):
        self.entries: ty.Sequence[rules.Entry] = ()
        self._is_loaded = False
        self._seen: ty.Any = None
        self._looked_at: ty.Optional[float] = None
        self._lock = threading.Lock()

    @staticmethod
    def _identity(path):
        """What differs when the file has been written or replaced."""
        found = os.stat(path)
        return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns,
                found.st_ctime_ns)

    def load(self) -> None:
        """Read the file.

        :raises rules_file.InvalidRulesFile: it is not valid
        :raises OSError: it cannot be read
        """
        path = CONF.flavor_rules.rules_file
        self._looked_at = time.monotonic()
        # Taken before the file is read: what is written while it is read
        # makes another difference.
        self._seen = self._identity(path)
        self.entries = rules_file.read(path)
        self._is_loaded = True

    def refresh(self) -> None:
        """Read the file if it has changed; keep what we have if it is bad.

        :raises RulesUnavailable: it could not be read even once
        """
        # Who comes while another reads goes by what is there, if anything is.
        if self._lock.acquire(blocking=not self._is_loaded):
            try:
                self._look()
            finally:
                self._lock.release()
        if not self._is_loaded:
            raise RulesUnavailable(
                'no flavor rules could be read from %s' %
                CONF.flavor_rules.rules_file)

    def _look(self):
        if (self._looked_at is not None and
                time.monotonic() - self._looked_at <
                CONF.flavor_rules.refresh_interval):
            return
        self._looked_at = time.monotonic()
        seen = self._seen
        try:
            if self._identity(CONF.flavor_rules.rules_file) == seen:
                return
            self.load()
            LOG.info('Read %(count)d entries of flavor rules from %(path)s',
                     {'count': len(self.entries),
                      'path': CONF.flavor_rules.rules_file})
        except rules_file.InvalidRulesFile as error:
            self._complain(error)
        except OSError as error:
            # It may pass without a change of the file: look again.
            self._seen = error.errno
            if self._seen != seen:
                self._complain(error)

    @staticmethod
    def _complain(error):
        LOG.error('The flavor rules in %(path)s cannot be used; the last good '
                  'ones that this worker has read stay in force: %(error)s',
                  {'path': CONF.flavor_rules.rules_file, 'error': error})


class Cache:
    """The rules of one worker process."""

    def __init__(self):
        self._file = _File()
        self._database = _Database()
        # The two lists of entries, and the rule set that they make.
        self._known: ty.Any = None

    def load_file(self) -> None:
        """Read the rules file, at the start of a service.

        :raises rules_file.InvalidRulesFile: it is not valid
        :raises OSError: it cannot be read
        """
        self._file.load()

    def get(self) -> rules.RuleSet:
        """The rules in force.

        :raises RulesUnavailable: they are not known, or not any more
        """
        if CONF.flavor_rules.rules_file:
            self._file.refresh()
        if CONF.flavor_rules.use_database:
            self._database.refresh()
        parts = (self._file.entries, self._database.entries)
        known = self._known
        if known is None or any(
                new is not old for new, old in zip(parts, known[0])):
            known = self._known = (parts, rules.RuleSet(*parts))
        return known[1]
