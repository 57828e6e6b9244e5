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

"""nova-cmdb-agent: keep the CMDB in line with the servers.

It runs on controllers, as many of it as wanted. Each listens to the bus of
every cell, and they compete for the messages. A message stays on the bus,
taken but not acknowledged, until the CMDB agrees; when an agent dies, another
gets it.

SIGTERM and SIGINT let the requests end that are under way and give the rest
back to the bus. SIGHUP does the same and begins anew with the options read
again.

This is no module of nova.cmd: those run on green threads, and here native ones
do.
"""

import datetime
import os
import random
import signal
import sys
import threading
import time
import typing as ty

from oslo_log import log as logging
from oslo_utils import uuidutils
import stevedore

from nova.cmdb import bus
from nova.cmdb import delivery
from nova.cmdb import errors
from nova.cmdb import lease as cmdb_lease
from nova.cmdb import metrics as cmdb_metrics
from nova.cmdb import reconcile
from nova.cmdb import record as cmdb_record
import nova.conf
from nova import config
from nova import context as nova_context
from nova import objects
from nova import remote_pdb
from nova import version

CONF = nova.conf.CONF
LOG = logging.getLogger(__name__)

DRIVERS = 'nova.cmdb.drivers'

# RabbitMQ closes a connection that holds a message for half an hour, so a
# message that cannot be delivered goes back to the queue before, in seconds.
_HOLD = 300

_METRICS_INTERVAL = 15

# How often the agent looks for cells that are new, in seconds.
_CELLS_INTERVAL = 60

# Where a breakpoint is unless [remote_pdb] break_at says so: it takes no
# requests, but messages.
_BREAK_AT = ('nova.cmdb.agent:Agent._deliver',)


def load_driver():
    """The driver that [cmdb] driver names.

    :raises errors.Misconfigured: it, or an option of its own, will not do
    """
    def failed(_manager, _entry_point, error):
        raise error

    try:
        return stevedore.DriverManager(
            DRIVERS, CONF.cmdb.driver, invoke_on_load=True,
            on_load_failure_callback=failed).driver
    except stevedore.exception.NoMatches:
        raise errors.Misconfigured(
            '[cmdb] driver is %r; expected is one of: %s' % (
                CONF.cmdb.driver, ', '.join(sorted(
                    stevedore.ExtensionManager(DRIVERS).names()))))


class Agent:
    """From a start, or a SIGHUP, to the next one or the end."""

    def __init__(self, driver, metrics):
        self._driver = driver
        self._metrics = metrics
        self._context = nova_context.get_admin_context()
        self._servers = cmdb_record.Servers()
        self._stopping = threading.Event()
        self._gate = delivery.Gate(self._stopping)
        # Listeners by URL; None while one is being connected.
        self._listeners: ty.Dict[str, ty.Any] = {}
        self._lock = threading.Lock()
        # Servers whose record the CMDB has refused, to say so once.
        self._refused: ty.Set[str] = set()

    def run(self, wake: threading.Event) -> None:
        """Work until told to stop.

        :param wake: set to stop
        """
        comparer = threading.Thread(
            target=self._compare_from_time_to_time, name='reconcile',
            daemon=True)
        comparer.start()
        cells_at = 0.0
        while not wake.is_set():
            if time.monotonic() >= cells_at:
                cells_at = time.monotonic() + _CELLS_INTERVAL
                self._listen_to_all()
            self._write_metrics()
            wake.wait(_METRICS_INTERVAL)
        self.stop()
        comparer.join(2 * CONF.cmdb.request_timeout)
        self._write_metrics()

    def stop(self):
        """End what is under way, and give back what is not."""
        self._stopping.set()
        with self._lock:
            listeners = [one for one in self._listeners.values() if one]
        for listener in listeners:
            listener.stop()
        for listener in listeners:
            listener.wait()

    def _write_metrics(self):
        path = CONF.cmdb.metrics_file
        with self._lock:
            self._metrics.set('buses', len(
                [one for one in self._listeners.values() if one]))
        if path:
            try:
                self._metrics.write(path)
            except OSError as error:
                LOG.error('[cmdb] metrics_file %(path)s cannot be written: '
                          '%(error)s', {'path': path, 'error': error})

    def _listen_to_all(self):
        try:
            urls = bus.urls(self._context)
        except Exception as error:
            LOG.error('The cells cannot be read: %s', _say(error))
            return
        with self._lock:
            new = [url for url in urls if url not in self._listeners]
            self._listeners.update(dict.fromkeys(new))
        for url in new:
            # While a bus is down this waits for it.
            threading.Thread(target=self._listen, args=(url,),
                             daemon=True).start()

    def _listen(self, url):
        try:
            listener = bus.listen(url, CONF.cmdb.workers, self._handle)
            listener.start()
        except Exception as error:
            # Taken up again when the agent next looks for cells.
            with self._lock:
                del self._listeners[url]
            LOG.error('A message bus cannot be listened to: %s', _say(error))
            return
        with self._lock:
            self._listeners[url] = listener
            stopping = self._stopping.is_set()
        if stopping:
            listener.stop()

    def _handle(self, server_id, sent):
        """Deal with a message; whether it is done with."""
        if not uuidutils.is_uuid_like(server_id):
            self._metrics.add('ignored_total')
            LOG.warning('A message that names no server is passed over.')
            return True
        key, sent = threading.get_ident(), _timestamp(sent)
        self._metrics.hold(key, sent)
        try:
            return self._deliver(server_id.lower(), sent)
        except delivery.Stopped:
            return False
        finally:
            self._metrics.let_go(key)

    def _deliver(self, server_id, sent):
        deadline, failures = time.monotonic() + _HOLD, 0
        while time.monotonic() < deadline:
            try:
                self._gate.call(self._settle, server_id, tries=1,
                                deadline=deadline)
            except delivery.Waited:
                return False
            except errors.Unavailable:
                # Where to wait is the gate's business.
                self._metrics.add('retried_total')
                self._metrics.set('up', 0)
            except errors.Rejected as error:
                self._metrics.add('rejected_total')
                self._say_refused(server_id, error)
                return True
            except delivery.Stopped:
                raise
            except Exception as error:
                self._metrics.add('retried_total')
                failures += 1
                self._wait(server_id, error, failures)
            else:
                self._metrics.add('delivered_total')
                self._metrics.set('up', 1)
                self._metrics.set('delivery_seconds',
                                  max(0, time.time() - sent))
                self._refused.discard(server_id)
                return True
        return False

    def _settle(self, server_id):
        delivery.settle(self._driver, self._servers, server_id)

    def _say_refused(self, server_id, error):
        if server_id not in self._refused:
            # Should there be thousands, some are said again.
            if len(self._refused) >= 10000:
                self._refused.clear()
            self._refused.add(server_id)
            LOG.error('The CMDB refuses the record of server %(id)s: '
                      '%(error)s. It is tried again when the server changes, '
                      'and with each comparison.',
                      {'id': server_id, 'error': error})

    def _wait(self, server_id, error, failures):
        """After a fault that is not the CMDB's."""
        delay = random.uniform(0.5, 1) * min(
            CONF.cmdb.retry_max_delay, 0.5 * 2 ** min(failures, 16))
        LOG.warning('Server %(id)s cannot be read (%(error)s); it is tried '
                    'again in %(delay).1f s.', {
                        'id': server_id, 'error': _say(error),
                        'delay': delay})
        if self._stopping.wait(delay):
            raise delivery.Stopped()

    def _compare_from_time_to_time(self):
        lease = cmdb_lease.Lease()
        pause = 0.0
        while not self._stopping.wait(pause):
            interval = CONF.cmdb.reconcile_interval
            if not interval:
                return
            try:
                pause = min(self._compare_if_due(lease, interval), interval)
            except Exception as error:
                LOG.error('The servers cannot be compared with the CMDB: %s',
                          _say(error))
                pause = max(1, interval / 10)
            pause *= random.uniform(0.9, 1)

    def _compare_if_due(self, lease, interval):
        """Compare if it is time to; seconds until it may be again."""
        idle = lease.idle_for()
        if idle is not None and idle < interval:
            return interval - idle
        if not lease.acquire():
            # Look again while it may turn out that its holder is dead.
            return cmdb_lease.LEASE / 3
        done = False
        try:
            self.compare(lease)
            done = True
        except (delivery.Stopped, cmdb_lease.Lost):
            pass
        finally:
            lease.release(done)
        return interval if done else interval / 10

    def compare(self, lease):
        """Compare all servers with the CMDB, and repair what differs."""
        def walked(_server_id):
            if self._stopping.is_set():
                raise delivery.Stopped()
            lease.renew()

        def found(kind, server_id, fields):
            LOG.info('%(kind)s: server %(id)s %(fields)s', {
                'kind': kind, 'id': server_id, 'fields': ' '.join(fields)})

        began = time.monotonic()
        result = reconcile.Reconciler(
            self._driver, self._servers, self._gate, found=found,
            walked=walked).sync()
        for name, value in (
                ('drift_missing', result.missing),
                ('drift_stale', result.stale),
                ('drift_ghosts', result.ghosts),
                ('reconcile_refused', int(result.refused)),
                ('reconcile_complete', int(result.complete)),
                ('reconcile_timestamp_seconds', time.time())):
            self._metrics.set(name, value)
        LOG.info('%(servers)d servers were compared with %(entries)d records '
                 'in %(seconds).0f s: %(missing)d missing, %(stale)d stale, '
                 '%(ghosts)d without a server; %(repaired)d repaired, '
                 '%(deleted)d deleted, %(rejected)d refused by the CMDB. '
                 'Since the start: %(counters)s',
                 dict(vars(result), seconds=time.monotonic() - began,
                      counters=self._counters()))

    def _counters(self):
        values = self._metrics.snapshot()
        return ', '.join('%s %d' % (name, values[name]) for name in (
            'delivered_total', 'retried_total', 'rejected_total',
            'held_messages', 'lag_seconds'))


def _say(error):
    """What of an error may be logged: a database's may hold what it was
    asked to write, and a bus's its password.
    """
    return type(error).__name__


def _timestamp(text):
    """When a message was sent; now if it does not say."""
    try:
        return datetime.datetime.fromisoformat(text).replace(
            tzinfo=datetime.timezone.utc).timestamp()
    except (ValueError, TypeError):
        return time.time()


class _Service:
    """The process: signals, and one Agent after the other."""

    def __init__(self):
        self._wake = threading.Event()
        self._ending = False

    def _on_signal(self, number, _frame):
        if number != signal.SIGHUP:
            self._ending = True
        self._wake.set()

    def run(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        driver = load_driver()
        metrics = cmdb_metrics.Metrics()
        LOG.info('nova-cmdb-agent %(version)s starts.',
                 {'version': version.version_string_with_package()})
        CONF.log_opt_values(LOG, logging.DEBUG)
        while not self._ending:
            self._wake.clear()
            if not self._ending:
                Agent(driver, metrics).run(self._wake)
            if not self._ending:
                driver = self._reload(driver)
        driver.close()
        LOG.info('nova-cmdb-agent has ended.')

    @staticmethod
    def _reload(driver):
        """A driver by the options as they are now, or else the present one.
        """
        LOG.info('SIGHUP: the options are read again.')
        if not CONF.reload_config_files():
            LOG.error('The configuration files cannot be read: the options '
                      'stay as they were.')
        try:
            new = load_driver()
        except Exception as error:
            LOG.error('The options of the CMDB stay as they were: %s', error)
            return driver
        driver.close()
        return new


def main():
    config.parse_args(sys.argv)
    logging.setup(CONF, 'nova')
    objects.register_all()
    remote_pdb.setup(default=_BREAK_AT)
    try:
        _Service().run()
    except errors.Misconfigured as error:
        LOG.error('%s', error)
        print('error: %s' % error, file=sys.stderr)
        sys.exit(1)
    # What waits for a bus that is down is no reason to stay.
    logging.logging.shutdown()
    os._exit(0)
