"""Boots and deletes in nova-compute's manager, in Nova's own Python.

It is asked with the path of a configuration and how many rounds. Before each
step it says on standard output, in a line of JSON, {"mode": M, "told": N}: how
the CMDB shall be, and how many events the hook was told of since the line
before; it goes on when it is given a line. At the end it says {"found": F,
"events": E, "told": N}: F has for each mode a list of rounds, each with the
seconds of the boot (processor, clock) and those of the delete; E is how many
events there are in a boot and in a delete.
"""

import nova.monkey_patch  # noqa: F401 I100 - first, as in nova-compute

import gc
import json
import logging
import os
import random
import sys
import time

from nova.compute import power_state
from nova.compute import vm_states
import nova.conf
from nova import objects
from nova.tests.unit.compute import test_build_path

CONF = nova.conf.CONF

# Rounds of one mode in a row. Before them comes one that is not counted: it
# finds the caches as the mode before has left them.
BLOCK = 4
WARM_UP = 1

# Seconds for bus and agent to come to rest after the CMDB's last answer.
REST = 0.03

MODES = {'off': [], 'off, once more': [], 'healthy': ['cmdb'],
         'hangs': ['cmdb']}


class Boots(test_build_path.BuildPathTestCase):
    """The compute manager as its tests set it up, for as often as wanted."""

    def runTest(self):
        """A test case is made for one of its methods."""

    def prepare(self, conf):
        self.setUp()
        # The fixtures format what is only said with --debug.
        logging.disable(logging.DEBUG)
        #: how many events there are in a boot, and in a delete
        self.events = []
        for _ in range(2):
            self.round(self._count_events)
        del self.events[:2]
        self._told = 0
        # From now on, the real way to the hook.
        self.hooks.cleanUp()
        CONF.set_override('config_file', [conf])

    def round(self, do):
        """Boot a server and delete it; what ``do`` returned for both."""
        self.instance = self._create_fake_instance_obj(
            params={'vm_state': vm_states.BUILDING, 'task_state': None,
                    'launched_at': None, 'power_state': power_state.NOSTATE,
                    'host': None, 'node': None})
        found = [do(self._build), do(self._delete)]
        assert self.instance.deleted
        return found

    def _build(self):
        super()._build()
        assert self.instance.vm_state == vm_states.ACTIVE

    def _delete(self):
        self.compute.terminate_instance(
            self.context, self.instance, objects.BlockDeviceMappingList())

    def _count_events(self, step):
        self.hooks.events.clear()
        step()
        self.events.append(len(self.hooks.events))

    def set_mode(self, mode):
        self._mode = mode
        CONF.set_override('enabled', MODES[mode], group='compute_hooks')

    def say(self, **more):
        print(json.dumps(dict(more, told=self._told)), flush=True)
        self._told = 0

    def measured(self, step):
        self.say(mode=self._mode)
        sys.stdin.readline()
        # Before the step, or it falls on whichever is there by then.
        gc.collect()
        time.sleep(REST)
        began = times()
        step()
        taken = [end - start for start, end in zip(began, times())]
        if MODES[self._mode]:
            self._told = self.events[step == self._delete]
        return taken


def times():
    """Seconds of processor time, and on the clock but for those in which
    everything was there to go on, except for a free processor.
    """
    with open('/proc/thread-self/schedstat') as stream:
        delayed = int(stream.read().split()[1]) / 10 ** 9
    return time.process_time(), time.perf_counter() - delayed


def main(conf, rounds):
    boots = Boots()
    boots.prepare(conf)
    # What is there by now stays: a collection need not go through it.
    gc.collect()
    gc.freeze()
    gc.disable()
    found = {mode: [] for mode in MODES}
    for _ in range(max(1, rounds // BLOCK)):
        for mode in random.sample(sorted(MODES), len(MODES)):
            boots.set_mode(mode)
            for _ in range(WARM_UP):
                boots.round(boots.measured)
            found[mode] += [boots.round(boots.measured)
                            for _ in range(BLOCK)]
    boots.say(found=found, events=boots.events)
    # The fixtures have nothing to tidy up that would outlive us.
    os._exit(0)


if __name__ == '__main__':
    main(sys.argv[1], int(sys.argv[2]))
