"""The benchmark of flavor rules; ``run`` beside it starts it, and says what it
prints.

One process is one API worker, set up by the fixtures of Nova's functional
tests: the WSGI pipeline of api-paste.ini, policy, quota, and databases in
memory. What the API casts to the conductor goes nowhere. The worker is given
one configuration after the other, in another order in each round, each with a
cache of its own. So whatever slows the machine for a while slows all of them.
"""

import argparse
import gc
import json
import logging
import os
import random
import re
import statistics
import sys
import tempfile
import time
import warnings

# Before anything else of Nova, as in its services.
import nova.monkey_patch  # noqa: F401

import webob

from nova.compute import flavor_rules
from nova.compute.flavor_rules import cache
from nova.compute.flavor_rules import rules
from nova.compute.flavor_rules import rules_file
from nova.compute.flavor_rules import store
import nova.conf
from nova import context as nova_context
from nova.db.api import api as api_db_api
from nova.db.api import models as api_models
from nova.db.mycompany import models
from nova import test
from nova.tests import fixtures as nova_fixtures

CONF = nova.conf.CONF

# ours / other, at most.
TARGET = 1.02

# How often a worker is taken to create a server: about 3,600 an hour, where a
# region has several workers. The rarer it is, the more of the requests are the
# one that looks whether the rules have changed; the table tells what that one
# costs by itself.
POSTS_PER_SECOND = 1

WARM_UP_ROUNDS = 15

# Of the flavors that nova.test creates: id 1 is m1.tiny, id 2 is m1.small.
ALLOWED, REFUSED = '1', '2'
ALLOWING = 'm1.t*'

# What is measured of a request. Nothing in this process waits for anything
# else, so on a quiet machine both are the same. On a busy one processor time
# leaves out the turns of others, and is what the figures are in; time on the
# clock would show it if the rules made a request wait.
CPU, CLOCK = 0, 1

# Fewer leave too little of the requests that look for a change.
MIN_ROUNDS = 50


# Python 3.11 keeps the frames of calls in chunks of 16 KiB. A loop that calls
# across the end of one maps memory and gives it back at each turn: the same
# request takes 20 ms or 40, by how deep in calls it began. So each round
# begins at another depth; about this many frames of below() fill a chunk.
CHUNK = 150


def below(depth, function):
    """Call a function from as many calls further down."""
    return below(depth - 1, function) if depth else function()


def progress(message):
    print('-- %s' % message, file=sys.stderr, flush=True)


class Api(test.TestCase):
    """An API worker, as Nova's functional tests have it."""

    def setUp(self):
        super().setUp()
        # The tests format every message, and look at every warning.
        logging.getLogger().setLevel(logging.INFO)
        warnings.resetwarnings()
        warnings.simplefilter('ignore')
        self.flags(instances=-1, cores=-1, ram=-1, group='quota')
        self.useFixture(nova_fixtures.NeutronFixture(self))
        self.useFixture(nova_fixtures.GlanceFixture(self))
        self.useFixture(nova_fixtures.RealPolicyFixture())
        self.stub_out(
            'nova.conductor.api.ComputeTaskAPI.schedule_and_build_instances',
            lambda *args, **kwargs: None)
        self.app = self.useFixture(nova_fixtures.OSAPIFixture()).app()
        self.context = nova_context.get_admin_context()

    def post(self, flavorid=ALLOWED, expected=202):
        """Create a server.

        :returns: how long that took, in seconds: a pair of CPU and CLOCK
        """
        request = webob.Request.blank(
            '/v2.1/servers', method='POST', content_type='application/json',
            headers={'X-Auth-User': 'fake', 'X-User-Id': 'fake',
                     'X-Auth-Project-Id': nova_fixtures.PROJECT_ID,
                     'X-Roles': 'reader,member',
                     'OpenStack-API-Version': 'compute latest'},
            body=json.dumps({'server': {
                'name': 'benchmark', 'flavorRef': flavorid,
                'imageRef': nova_fixtures.GlanceFixture.image1['id'],
                'networks': 'none'}}).encode())
        clock, processor = time.perf_counter(), time.process_time()
        response = request.get_response(self.app)
        taken = (time.process_time() - processor, time.perf_counter() - clock)
        if response.status_int != expected:
            raise RuntimeError('expected %d from POST /servers, not %s: %s' % (
                expected, response.status, response.text))
        return taken

    def forget_servers(self):
        """Remove what the requests have written, or it grows and grows."""
        with api_db_api.context_manager.writer.using(self.context):
            for model in (api_models.BuildRequest, api_models.InstanceMapping,
                          api_models.RequestSpec):
                self.context.session.query(model).delete()


class Worker:
    """What one of several API workers has for itself: options and a cache."""

    def __init__(self, name, entries=(), path=None, use_database=False):
        self.name = name
        self._entries = entries
        self._options = {'rules_file': path, 'use_database': use_database}
        self._token = ''
        self._cache = None
        # Seconds of processor time of the first request: it reads the rules.
        self.first = None
        # What post() returned in each round, with the rules at hand and
        # looking whether they have changed.
        self.keeping, self.looking = [], []

    def activate(self, api, looks):
        """Let this worker answer the next request.

        :param looks: it looks whether the rules have changed
        """
        flavor_rules._CACHE = self._cache
        CONF.set_override('refresh_interval', 0 if looks else 10 ** 6,
                          'flavor_rules')
        for name, value in self._options.items():
            CONF.set_override(name, value, 'flavor_rules')
        # An override empties the cache of oslo.config. To fill it again costs
        # all the same but for our options, which few read without rules.
        for name in CONF.flavor_rules:
            CONF.flavor_rules[name]
        # The rules in the database are another worker's by now. As long as the
        # token is this one's own, nothing but the token is read. It is set
        # for those too that do not read it, so that all have the same before.
        self._set_token(api.context)

    @api_db_api.context_manager.writer
    def _set_token(self, context):
        context.session.query(models.FlavorRulesState).update(
            {'token': self._token})

    def load(self, api):
        """Set the rules, and read them."""
        if self._options['use_database']:
            store.save(self._entries, replace=True)
            self._token = store.read()[0]
        elif self._options['rules_file']:
            with open(self._options['rules_file'], 'w') as stream:
                stream.write(rules_file.render(self._entries))
        taken = []
        for _ in range(3):
            # Else the patterns are compiled the first time only.
            re.purge()
            self._cache = cache.Cache()
            self.activate(api, looks=True)
            taken.append(below(random.randrange(CHUNK), api.post)[CPU])
        self.first = statistics.median(taken)
        # Rules that are not asked would cost nothing.
        api.post(REFUSED, expected=403 if self._entries else 202)


def project_entries(count):
    """An entry for each of as many projects, among them the caller's."""
    entries = [
        rules.Entry('%032x' % i, allow=('m1.*', 'project%d.*' % i),
                    deny=('*.gpu',))
        for i in range(count - 1)]
    entries.insert(count // 2, rules.Entry(
        nova_fixtures.PROJECT_ID, allow=(ALLOWING, 'project.*'),
        deny=('*.gpu',)))
    return entries


def one_entry(count):
    """An entry with as many patterns, the last of which matches."""
    return [rules.Entry(nova_fixtures.PROJECT_ID, allow=[
        'series%d.*' % i for i in range(count - 1)] + [ALLOWING])]


def midmean(values):
    """The mean of the middle half: deaf to outliers, steadier than a median.
    """
    values = sorted(values)
    cut = len(values) // 4
    return statistics.fmean(values[cut:len(values) - cut])


class Comparison:
    """A worker with rules against those without, in the same rounds."""

    def __init__(self, worker, others, unit):
        """:param unit: CPU or CLOCK"""
        base = {
            kind: [statistics.fmean(taken[unit] for taken in same_round)
                   for same_round in zip(*(
                       getattr(other, kind) for other in others))]
            for kind in ('keeping', 'looking')}
        added = {
            kind: midmean(
                taken[unit] - without
                for taken, without in zip(getattr(worker, kind), base[kind]))
            for kind in base}
        self.keeping, self.looking = added['keeping'], added['looking']
        rounds = len(worker.keeping) + len(worker.looking)
        self.other = midmean(base['keeping'] + base['looking'])
        # Each kind with its share: the middle of all requests together would
        # not show those few that look.
        self.ours = self.other + (
            self.keeping * len(worker.keeping) +
            self.looking * len(worker.looking)) / rounds
        self.ratio = self.ours / self.other


def measure(api, workers, rounds, look_every):
    """Let every worker answer a request in each round."""
    for number in range(rounds):
        if number % 100 == 0 and number:
            progress('%d of %d rounds' % (number, rounds))
        looks = number % look_every == 0
        depth = random.randrange(CHUNK)
        for worker in random.sample(workers, len(workers)):
            worker.activate(api, looks)
            taken = worker.looking if looks else worker.keeping
            taken.append(below(depth, api.post))
        api.forget_servers()
        # Between the requests, or it falls on whichever is there by then.
        gc.collect()


def run(api, folder, rounds):
    """Measure.

    :returns: the two workers without rules, and those with rules
    """
    # Every second one at most, so that there are some of both kinds.
    look_every = max(2, round(
        CONF.flavor_rules.refresh_interval * POSTS_PER_SECOND))
    others = [Worker('no rules'), Worker('no rules, once more')]
    ours = []
    for name, entries in (('10', project_entries(10)),
                          ('10000', project_entries(10000)),
                          ('one_entry_10000', one_entry(10000))):
        ours += [
            Worker('database_' + name, entries, use_database=True),
            Worker('file_' + name, entries,
                   path=os.path.join(folder, name))]
    workers = others + ours
    for worker in workers:
        progress('loading %s' % worker.name)
        worker.load(api)

    progress('%d rounds of %d requests; in each %dth all look for a change' % (
        rounds, len(workers), look_every))
    measure(api, workers, WARM_UP_ROUNDS, look_every)
    for worker in workers:
        worker.keeping.clear()
        worker.looking.clear()
    # What is there by now stays: a collection need not go through it.
    gc.collect()
    gc.freeze()
    gc.disable()
    measure(api, workers, rounds, look_every)
    return others, ours


def print_table(others, ours):
    """Tell people what the figures are made of."""
    rows = [(others[1], others[:1])] + [(worker, others) for worker in ours]
    print('\n%-24s' % 'POST /servers' + '%9s' * 7 % (
        'ms', 'ratio', 'clock', 'added', 'no look', 'look', 'first'),
        file=sys.stderr)
    for worker, base in rows:
        cpu, clock = (Comparison(worker, base, unit) for unit in (CPU, CLOCK))
        print('%-24s%9.2f%9.4f%9.4f%+9.3f%+9.3f%+9.3f%9.1f' % (
            worker.name, 1000 * cpu.ours, cpu.ratio, clock.ratio,
            1000 * (cpu.ours - cpu.other), 1000 * cpu.keeping,
            1000 * cpu.looking, 1000 * worker.first), file=sys.stderr)
    print("""
  ms       of processor time, for one request
  ratio    to one without rules; of those without, what noise makes of nothing
  clock    the same ratio in time on the clock
  added    ms of processor time that the rules add, on average: "no look" to
           most requests, "look" to one that looks whether they have changed
  first    ms that the first request takes after they have changed
""", file=sys.stderr)


def main():
    parser = argparse.ArgumentParser(prog='benchmarks/flavor_rules/run')
    parser.add_argument('--rounds', type=int, default=600)
    args = parser.parse_args()
    if args.rounds < MIN_ROUNDS:
        parser.error('--rounds %d: expected %d at least' % (
            args.rounds, MIN_ROUNDS))

    progress('setting up the API')
    # A test case is made for one of its methods.
    api = Api('post')
    try:
        api.setUp()
        with tempfile.TemporaryDirectory() as folder:
            others, ours = run(api, folder, args.rounds)
    finally:
        api.doCleanups()
    print_table(others, ours)
    missed = 0
    for worker in ours:
        found = Comparison(worker, others, CPU)
        ratio = round(found.ratio, 4)
        missed += ratio > TARGET
        print(json.dumps({
            'figure': 'flavor_rules_post_servers_%s_cpu_seconds' % worker.name,
            'ours': round(found.ours, 6), 'other': round(found.other, 6),
            'ratio': ratio, 'target': TARGET, 'ok': ratio <= TARGET}))
    return 1 if missed else 0


if __name__ == '__main__':
    sys.exit(main())
