"""Servers that are created and deleted all the time."""

import contextlib
import http.client
import itertools
import json
import math
import threading
import time
import traceback
import urllib.error
import urllib.request

from process import until

_WORKERS = 2
# So many of each worker's live on for a while. With the others they fit onto
# one of the fake hosts, the other may be disabled.
_LIVING = 4


# Calls to these can be lost when they end, stock's too: as oslo.messaging
# (14.7.2) closes its connection it waits for its fanout queue to be deleted,
# and acknowledges what comes meanwhile, but does not look at it any more.
_MAY_DROP = ('nova-conductor', 'nova-scheduler')
# Within so many seconds of a request they have dealt with it.
_SOON = 10


class NoAnswer(Exception):
    pass


class Lost(Exception):
    """A server that was accepted is not there."""


class API:
    """The compute API as the administrator has it.

    The openstack client takes seconds for a request.
    """

    def __init__(self, cloud):
        self._url = cloud.url('nova') + '/v2.1'
        self._token = cloud.openstack('token', 'issue', parse=True)['id']

    def ask(self, method, path, body=None):
        """:returns: the status and the decoded body

        :raises NoAnswer: the connection was refused, or ended
        """
        request = urllib.request.Request(
            self._url + path, method=method,
            data=json.dumps(body).encode() if body else None,
            headers={'X-Auth-Token': self._token,
                     'Content-Type': 'application/json',
                     'OpenStack-API-Version': 'compute 2.96'})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, json.loads(answer.read() or '{}')
        except urllib.error.HTTPError as error:
            with error:
                text = error.read()
            try:
                return error.code, json.loads(text)
            except ValueError:
                return error.code, {'text': text.decode(errors='replace')}
        except (OSError, http.client.HTTPException) as error:
            raise NoAnswer(repr(error))


class Load:
    """
    A request that is not answered, or with a 5xx, is made again, as a client
    does it; a create only if the first has made no server.

    :param api: an API
    :param server: what a server is created with, but for its name
    :ivar there: ids of the servers that must be there
    :ivar gone: ids of those that were deleted
    :ivar refused: a text for each request that was made again: what was going
        on, the request, and why
    :ivar dropped: a text for each server that was not built, or not deleted,
        because a service ended that had just been asked for it, and for which
        that was asked again
    :ivar errors: what must not happen, as texts
    """

    def __init__(self, api, server):
        self._api, self._server = api, server
        self.there, self.gone = set(), set()
        self.refused, self.dropped, self.errors = [], [], []
        self._event = 'nothing'
        # What was going on: its name, and from when to when.
        self._events = []
        self._end = threading.Event()
        self._rounds = [0] * _WORKERS
        self._threads = [
            threading.Thread(target=self._work, args=(number,), daemon=True)
            for number in range(_WORKERS)]

    def start(self):
        for thread in self._threads:
            thread.start()

    def end(self):
        self._end.set()
        for thread in self._threads:
            thread.join()

    @contextlib.contextmanager
    def during(self, event):
        """What is refused meanwhile is noted as having been so."""
        self._event = event
        began = time.monotonic()
        # For as long as it is going on.
        self._events.append((event, began, math.inf))
        try:
            yield
        finally:
            self._event = 'nothing'
            self._events[-1] = (event, began, time.monotonic())

    def goes_on(self):
        """Wait until servers were created and deleted from now on."""
        # The present round has begun before.
        wanted = [rounds + 2 for rounds in self._rounds]

        def done():
            assert not self.errors, '\n'.join(self.errors)
            return all(map(int.__ge__, self._rounds, wanted))

        # One that is dropped is waited for first.
        until('servers are created and deleted', done, seconds=600)

    def _work(self, number):
        living = []
        try:
            for count in itertools.count():
                if self._end.is_set():
                    return
                living.append(self._create('load%d-%d' % (number, count)))
                if len(living) > _LIVING:
                    # Young ones and old ones.
                    self._delete(living.pop(count % len(living)))
                self._rounds[number] = count + 1
        except Exception:
            self.errors.append('during %s: %s' % (
                self._event, traceback.format_exc()))

    def attempt(self, method, path, body=None):
        """:returns: status and body; None when it may be tried again"""
        try:
            status, body = self._api.ask(method, path, body)
            if status < 500:
                return status, body
            why = '%d %s' % (status, body)
        except NoAnswer as error:
            why = str(error)
        self.refused.append('%s: %s %s: %s' % (
            self._event, method, path.partition('?')[0], why))
        time.sleep(0.5)

    def _ask(self, method, path):
        return until('an answer to %s %s' % (method, path),
                     lambda: self.attempt(method, path), seconds=120)

    def _create(self, name):
        while True:
            began = time.monotonic()
            made = self._accepted(name)
            why = self._not_built(made)
            if not why:
                return made
            self._must_be_dropped(began, why)
            self._delete(made, failed=True)

    def _must_be_dropped(self, began, why):
        """Note that a request of this time was dropped by a restart.

        :raises AssertionError: there was none that may have done so
        """
        for event, start, end in self._events:
            if any(name in event for name in _MAY_DROP) and (
                    start < began + _SOON and began < end):
                self.dropped.append('%s: %s' % (event, why))
                return
        raise AssertionError(why)

    def _accepted(self, name):
        """Ask for a server; its id."""
        def create():
            made = self.attempt('POST', '/servers', {
                'server': {'name': name, **self._server}})
            if made:
                assert made[0] == 202, made
                return made[1]['server']['id']
            found = self._ask('GET', '/servers?name=%%5E%s%%24' % name)[1]
            return found['servers'] and found['servers'][0]['id']

        made = until('server %s is accepted' % name, create, seconds=120)
        self.there.add(made)
        return made

    def _not_built(self, server_id):
        """Why a server did not become active; None if it did."""
        def built():
            status, body = self._ask('GET', '/servers/' + server_id)
            if status != 200:
                raise Lost('server %s: %s' % (server_id, body))
            return body['server']['status'] != 'BUILD' and body['server']

        try:
            server = until('server %s is built' % server_id, built,
                           seconds=180, pause=0.3)
        except AssertionError as error:
            return str(error)
        return None if server['status'] == 'ACTIVE' else str(server)

    def _delete(self, server_id, failed=False):
        """:param failed: it is in ERROR, or not built"""
        path = '/servers/' + server_id
        self.there.remove(server_id)

        def ended():
            """Whether it is gone, or will not go."""
            status, body = self._ask('GET', path)
            return status == 404 or (
                not failed and body['server']['status'] == 'ERROR')

        while True:
            began = time.monotonic()
            status, body = self._ask('DELETE', path)
            # 404: a request that was not answered has deleted it.
            assert status in (204, 404), body
            try:
                until('server %s is gone' % server_id, ended, seconds=180,
                      pause=0.3)
            except AssertionError as error:
                self._must_be_dropped(began, str(error))
                continue
            status, body = self._ask('GET', path)
            if status == 404:
                break
            self._must_be_dropped(began, str(body))
            failed = True
        self.gone.add(server_id)
