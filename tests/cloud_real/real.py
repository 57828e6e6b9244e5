"""The cloud of real services, as its users and its operator have it."""

import os
import re

import client


#: In the log of a service of Nova's: the release that it is of.
STARTED = re.compile(r'Starting \S+ node \(version (\S+)\)')


class Real(client.Cloud):
    hosts = ('fake1', 'fake2')
    image = 'fake'

    def __init__(self, *args):
        super().__init__(*args)
        #: which Nova is tested; any that runs already will do if it is empty
        self.nova = os.environ.get('CLOUD_FROM', '')
        assert self.nova in ('', 'tree', 'packages'), (
            'CLOUD_FROM (FROM of make) is %r; expected tree or packages'
            % self.nova)

    def command(self, *words):
        build = self.fork.build
        return [build / 'venv/cloud/bin/python', '-W', 'ignore',
                client.DEVCLOUD / 'real' / 'control.py', '--folder',
                self.folder, '--build', build, *words]

    def begin(self, nova, **environment):
        """Start it.

        :param nova: the one it is to be of; any unless told
        :param environment: variables beside the present ones
        """
        # Building the packages takes its time as well.
        self.control('start', *(['--from', nova] if nova else []),
                     seconds=1800, **environment)

    def runs(self):
        """Whether there is one, be some of its services down or not."""
        try:
            self.control('status')
        except client.Refused as refused:
            return 'no cloud is running' not in str(refused)
        return True

    def log_of(self, service):
        return (self.folder / 'log' / (service + '.log')).read_text(
            errors='replace')
