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

"""Hooks: plug-ins that are told what happens to servers.

What is called in Nova's own paths is :func:`notify`. With no hook enabled it
looks at one option and returns. Else it writes the event into a pipe, one for
each hook, that a process of the hook's own reads (hook_process.py). The write
never waits; when the pipe is full the event is dropped, counted and logged.

A process, not a thread: nova-compute 29 runs on green threads, where a hook
that computes, or blocks in a C library, would stop the whole service, and a
native thread cannot use what is patched for green ones. So the most that a
hook can do to a boot or a delete is one system call that does not block, and,
for the first event and not more often than every RESTART_INTERVAL seconds,
starting a process. The pipe outlives the hook's process: the next one goes on
with what is still there.

Events say what was, not what is: they may be lost, and come twice or late. A
hook that must know the truth reads it, and looks again from time to time.
"""

import abc
import fcntl
import functools
import os
import subprocess
import sys
import threading
import time
import typing as ty

from oslo_log import log as logging
from oslo_serialization import jsonutils
from oslo_utils import timeutils

from nova.compute import vm_states
import nova.conf
from nova.objects import fields as obj_fields

CONF = nova.conf.CONF
LOG = logging.getLogger(__name__)

#: The server was built: its final state is saved.
POST_CREATE = 'post_create'
#: The build has failed for good; it is not rescheduled.
CREATE_FAILED = 'create_failed'
#: The server's name, host, addresses or state may have changed.
UPDATED = 'updated'
#: The server is deleted.
POST_DELETE = 'post_delete'

#: How many events a pipe holds. Each takes a page of it, and what any user may
#: ask of Linux is 1 MiB.
CAPACITY = 256

#: A hook's process that ends is not started again sooner than this many
#: seconds after its start.
RESTART_INTERVAL = 30

#: Drops are logged at most once in so many seconds.
LOG_INTERVAL = 60

# Linux writes up to this many bytes at once or not at all (PIPE_BUF).
_MAX_BYTES = 4096
_MAX_REASON = 255

# fcntl has the name since Python 3.10.
_F_SETPIPE_SZ = 1031


class Event(ty.NamedTuple):
    """What a hook receives.

    These fields stay; others may be added.
    """

    #: POST_CREATE, CREATE_FAILED, UPDATED or POST_DELETE
    event: str

    #: uuid of the server, and of its project and user
    server_id: str
    project_id: ty.Optional[str]
    user_id: ty.Optional[str]

    #: the host of the service that tells, not always the server's
    host: str

    #: why the build failed, at most 255 characters; else None
    reason: ty.Optional[str]

    #: of the request that led to it
    request_id: ty.Optional[str]

    #: when, such as 2026-11-25T15:41:18.123456 (UTC)
    at: str


class Hook(abc.ABC):
    """A plug-in of the entry points ``nova.compute.hooks``.

    It is made, without arguments, and used in a process of its own, by one
    thread, which is not monkey-patched and has nova.conf.CONF.
    """

    @abc.abstractmethod
    def handle(self, event: Event) -> None:
        """Do what there is to do about an event.

        What it raises is logged, and the next event follows.
        """


class _Pipe:
    """The way to the process of one hook.

    :param name: of the entry point
    """

    def __init__(self, name: str):
        self._name = name
        self._process: ty.Optional[subprocess.Popen] = None
        self._started: ty.Optional[float] = None
        self._lock = threading.Lock()
        # Events dropped so far, how many of them the log has, and since when.
        self._dropped = 0
        self._said = 0
        self._said_at: ty.Optional[float] = None
        # A write is a packet (O_DIRECT), so a reader that dies leaves no half
        # of an event to the next. We keep the end to read from: it is for the
        # next process, and it keeps the pipe whole.
        self._read_from, write_to = os.pipe2(os.O_DIRECT | os.O_CLOEXEC)
        os.set_blocking(write_to, False)
        try:
            fcntl.fcntl(write_to, _F_SETPIPE_SZ, CAPACITY * 4096)
        except OSError as error:
            # What all pipes of a user may hold is limited too, to 64 of this
            # size (fs.pipe-user-pages-soft).
            LOG.warning('The pipe to the hook %(name)s stays small, and holds '
                        'few events: %(error)s',
                        {'name': name, 'error': error})
        # Not os.write: eventlet's waits where this returns None.
        self._write_to = open(write_to, 'wb', buffering=0)

    def put(self, packet: bytes) -> None:
        """Hand over an event, or drop it. Never waits, never raises OSError.
        """
        self._start_process()
        try:
            taken = self._write_to.write(packet) is not None
        except OSError:
            taken = False
        self._dropped += not taken
        if self._dropped > self._said:
            self._say_dropped()

    def _say_dropped(self):
        now = time.monotonic()
        if self._said_at is None or now - self._said_at >= LOG_INTERVAL:
            self._said, self._said_at = self._dropped, now
            LOG.warning(
                'The hook %(name)s does not keep up: since this service was '
                'started %(count)d events for it were dropped.',
                {'name': self._name, 'count': self._dropped})

    def _start_process(self):
        if self._process is not None and self._process.poll() is None:
            return
        if not self._lock.acquire(blocking=False):
            return
        try:
            now = time.monotonic()
            if self._started is not None and (
                    now - self._started < RESTART_INTERVAL):
                return
            if self._process is not None:
                LOG.error('The process of the hook %(name)s has ended '
                          '(%(status)s); it is started again.',
                          {'name': self._name,
                           'status': self._process.returncode})
            self._started = now
            self._process = subprocess.Popen(
                self._command(), pass_fds=[self._read_from],
                stdin=subprocess.DEVNULL, stdout=2, cwd='/',
                env=_environment())
        except Exception as error:
            LOG.error('The process of the hook %(name)s cannot be started: '
                      '%(error)s', {'name': self._name, 'error': error})
        finally:
            self._lock.release()

    def _command(self):
        command = [_python(), '-m', 'nova.compute.hook_process', self._name,
                   str(self._read_from)]
        for option in ('config_file', 'config_dir'):
            for path in getattr(CONF, option) or ():
                command += ['--' + option.replace('_', '-'),
                            os.path.abspath(path)]
        if CONF.log_file:
            command += ['--log-file', CONF.log_file]
        elif CONF.log_dir:
            command += ['--log-file', '%s-hooks.log' % CONF.prog]
        return command


def _python():
    # Within uWSGI or Apache it is those.
    if os.path.basename(sys.executable or '').startswith('python'):
        return sys.executable
    return os.path.join(sys.prefix, 'bin', 'python3')


def _environment():
    """Ours, with the Nova that we are ourselves first on the path."""
    root = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
    path = os.environ.get('PYTHONPATH')
    return dict(os.environ, PYTHONPATH=os.pathsep.join(
        [os.path.abspath(root)] + ([path] if path else [])))


_PIPES: ty.Dict[ty.Tuple[int, str], _Pipe] = {}
_PIPES_LOCK = threading.Lock()


def _pipe(name):
    # A worker that was forked has none of its parent's.
    key = (os.getpid(), name)
    with _PIPES_LOCK:
        if key not in _PIPES:
            _PIPES[key] = _Pipe(name)
        return _PIPES[key]


def notify(event: str, context, instance, reason=None) -> None:
    """Tell the enabled hooks of an event.

    Whatever happens here, the caller goes on as if it had not.

    :param event: one of the constants of this module
    :param context: of the request
    :param instance: objects.Instance
    :param reason: why a build has failed, an exception or a text
    """
    if not CONF.compute_hooks.enabled:
        return
    try:
        packet = _encode(Event(
            event=event, server_id=instance.uuid,
            project_id=instance.project_id, user_id=instance.user_id,
            host=CONF.host,
            reason=None if reason is None else str(reason)[:_MAX_REASON],
            request_id=getattr(context, 'request_id', None),
            at=timeutils.utcnow().isoformat()))
    except Exception:
        LOG.exception('The hooks cannot be told of an event')
        return
    for name in CONF.compute_hooks.enabled:
        try:
            _pipe(name).put(packet)
        except Exception:
            LOG.exception('The hook %s cannot be told of an event', name)


def _encode(event: Event) -> bytes:
    packet = jsonutils.dump_as_bytes(event._asdict())
    if len(packet) > _MAX_BYTES:
        # A reason in a script that takes several bytes a character.
        packet = jsonutils.dump_as_bytes(event._replace(
            reason=event.reason and event.reason[:50])._asdict())
    return packet


def decode(packet: bytes) -> Event:
    """The event in a packet, whichever of our releases has written it.

    :raises ValueError: it is none
    """
    values = jsonutils.loads(packet)
    return Event(**{name: values.get(name) for name in Event._fields})


def follows_action(function):
    """Decorator of what announces actions: tell the hooks when one has ended.

    It goes by what the server has become, as a notification's END is also
    sent for what has failed.
    """
    @functools.wraps(function)
    def wrapper(context, instance, *args, **kwargs):
        try:
            return function(context, instance, *args, **kwargs)
        finally:
            if CONF.compute_hooks.enabled and kwargs.get('phase') in (
                    obj_fields.NotificationPhase.END,
                    obj_fields.NotificationPhase.ERROR):
                notify(POST_DELETE if instance.deleted else UPDATED,
                       context, instance)
    return wrapper


def notify_addresses(context, instance, network_info) -> None:
    """Tell the hooks of a server's new addresses, if they are new.

    :param network_info: what is to replace that of the instance
    """
    if not CONF.compute_hooks.enabled:
        return
    try:
        # While it is built others change too, and its end is an event anyway.
        known = instance.obj_attr_is_set('info_cache') and instance.info_cache
        told = instance.vm_state != vm_states.BUILDING and (
            not known or known.network_info != network_info)
    except Exception:
        # It cannot be compared: better once too often.
        LOG.exception('The addresses of a server cannot be compared')
        told = True
    if told:
        notify(UPDATED, context, instance)
