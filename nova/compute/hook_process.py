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

"""The process in which one hook runs; see hooks.py.

It is started as ``python -m nova.compute.hook_process NAME DESCRIPTOR
[OPTION]...`` and reads events from the descriptor, until the service that
writes them has ended. It does not import eventlet's patches, whatever the
service does.
"""

import os
import signal
import sys
import threading
import time

from oslo_log import log as logging
import stevedore

from nova.compute import hooks
import nova.conf
from nova import config

CONF = nova.conf.CONF
LOG = logging.getLogger(__name__)

NAMESPACE = 'nova.compute.hooks'

# When the service is gone, this many seconds are left for the events that are
# still in the pipe.
_DRAIN = 5


def _follow(parent):
    """End when the service has, even if the hook blocks."""
    while os.getppid() == parent:
        time.sleep(1)
    time.sleep(_DRAIN)
    os._exit(1)


def load(name):
    """The hook of this name.

    :raises Exception: there is none, or it cannot be loaded
    """
    return stevedore.DriverManager(
        NAMESPACE, name, invoke_on_load=True).driver


def _load_or_wait(name):
    """The hook, as soon as it can be loaded."""
    said = None
    while True:
        try:
            return load(name)
        except Exception as error:
            if str(error) != said:
                said = str(error)
                LOG.exception('The hook %s cannot be loaded; it is tried '
                              'again every minute.', name)
        time.sleep(60)


def run(name, descriptor):
    """Hand events to the hook until there is nobody to write any more."""
    hook = _load_or_wait(name)
    LOG.info('The hook %s runs.', name)
    while True:
        packet = os.read(descriptor, 65536)
        if not packet:
            return
        try:
            hook.handle(hooks.decode(packet))
        except Exception:
            LOG.exception('The hook %s has failed on an event; the next one '
                          'follows.', name)


def main():
    name, descriptor, *options = sys.argv[1:]
    # The service that we belong to decides: our end is that of the pipe.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(
        target=_follow, args=(os.getppid(),), daemon=True).start()
    config.parse_args(['nova-compute-hook'] + options)
    logging.setup(CONF, 'nova')
    run(name, int(descriptor))


if __name__ == '__main__':
    main()
