"""Start the embedded cloud, stop it, and say how it is."""

import argparse
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE))

import one_at_a_time  # noqa: E402
import pid_file  # noqa: E402
import ports  # noqa: E402
import under_debugger  # noqa: E402

# What the next start needs no new one of: the empty databases.
_KEPT = ('empty',)
# To start in; under a debugger it takes half a minute.
_SECONDS = 180

_TRY = """
The cloud is up. Try:

    export OS_CLIENT_CONFIG_FILE={clouds} OS_CLOUD=devcloud
    export PATH={bin}:$PATH
    openstack compute service list
    openstack server create --flavor web --image {image} --network private \\
        --min 3 --max 3 web               # one on each host: business tag
    openstack server list --long
    openstack server metrics list
    openstack --os-cloud devcloud-demo server create --flavor gold \\
        --image {image} --nic none gold   # refused: flavor rules
    curl -H 'Authorization: Bearer {token}' {cmdb}/vms

The last shows the records of the servers in the CMDB. Nova's log is
{folder}/nova.log; `make cloud-stop` ends it.
"""
_IMAGE = 'fakeimage7'


class Failed(Exception):
    pass


class CMDB:
    """The reference CMDB, a process beside the cloud.

    :param folder: of the cloud
    """

    def __init__(self, folder):
        self._folder = folder
        self._records = folder / 'cmdb.json'
        self._process = pid_file.PidFile(folder / 'cmdb.pid', self._records)

    @property
    def url(self):
        return 'http://127.0.0.1:%d' % self._port

    @property
    def _port(self):
        return ports.of(self._folder, ('cmdb',))['cmdb']

    def start(self):
        """Start it, with the records that it had at its end."""
        if self._process.pid():
            return
        log = self._folder / 'cmdb.log'
        with open(log, 'a') as out:
            process = subprocess.Popen(
                [sys.executable, '-P', str(HERE / 'cmdb.py'),
                 str(self._port), str(self._records)],
                stdin=subprocess.DEVNULL, stdout=out,
                stderr=subprocess.STDOUT, start_new_session=True)
        self._process.write(process.pid)
        end = time.monotonic() + 30
        while True:
            # First: whoever answers might be somebody else.
            if process.poll() is not None:
                raise Failed('the CMDB has ended while it started:\n%s'
                             % log.read_text()[-3000:])
            if self._answers():
                return
            if time.monotonic() > end:
                raise Failed('the CMDB does not answer on port %d; see %s'
                             % (self._port, log))
            time.sleep(0.05)

    def _answers(self):
        try:
            socket.create_connection(('127.0.0.1', self._port), 5).close()
        except OSError:
            return False
        return True

    def stop(self):
        self._process.end()


class Control:
    """
    :param folder: where everything of the cloud is
    :param tree: of the Nova that runs
    :param client: the folder of the openstack client, to be told
    """

    def __init__(self, folder, tree, client):
        self.folder, self.tree, self.client = folder, tree, client
        self._process = pid_file.PidFile(folder / 'pid', folder)
        self._ready = folder / 'ready'
        self._cmdb = CMDB(folder)
        self._began = time.monotonic()

    def start(self, hosts):
        if self._process.pid() and self._ready.exists():
            print('-- the cloud runs already')
            return
        # One whose start was cut off, or a CMDB whose cloud was killed.
        self._end()
        self._clear()
        self.folder.mkdir(parents=True, exist_ok=True)
        log = self.folder / 'start.log'
        with open(log, 'w') as out:
            process = subprocess.Popen(
                under_debugger.command(under_debugger.port('cloud'), [
                    sys.executable, str(HERE / 'embedded.py'),
                    str(self.folder), '--hosts', str(hosts),
                    '--cmdb', self._cmdb.url]),
                cwd=self.tree, env=dict(
                    os.environ,
                    PYTHONWARNINGS='ignore',
                    PYTHONPATH=os.pathsep.join([str(HERE), str(self.tree)])),
                stdin=subprocess.DEVNULL, stdout=out,
                stderr=subprocess.STDOUT, start_new_session=True)
        self._process.write(process.pid)
        try:
            self._cmdb.start()
            self._follow(process, log)
        except Failed:
            self._end()
            raise

    def _follow(self, process, log):
        """Show the progress until the cloud is ready."""
        shown = 0
        end = self._began + _SECONDS
        while not self._ready.exists():
            if process.poll() is not None:
                raise Failed('the cloud has ended while it started:\n%s'
                             % log.read_text()[-3000:])
            if time.monotonic() > end:
                raise Failed('not ready within %d s; see %s'
                             % (_SECONDS, log))
            time.sleep(0.1)
            said = re.findall('(?m)^-- (.*)$', log.read_text())
            for message in said[shown:]:
                self._progress(message)
            shown = len(said)
        self._progress('ready')

    def _progress(self, message):
        print('-- %4.1f s: %s' % (time.monotonic() - self._began, message),
              flush=True)

    def stop(self):
        found = self._process.pid()
        # A start that is under way gives up for it.
        self._end()
        with one_at_a_time.of(self.folder):
            self._end()
            self._clear()
        print('-- the cloud has ended' if found else '-- no cloud is running')

    def _end(self):
        # It holds nothing that would be lost.
        self._process.end()
        self._cmdb.stop()

    def service(self, name):
        """What can be stopped and started by itself.

        :raises Failed: that cannot
        """
        if name != 'cmdb':
            raise Failed('%r cannot be stopped by itself, for the cloud is '
                         'one process; expected: cmdb' % name)
        if not self._process.pid():
            raise Failed('no cloud is running')
        return self._cmdb

    def _clear(self):
        if self.folder.exists():
            found = {path.name for path in self.folder.iterdir()}
            if found and not found & {'start.log', *_KEPT}:
                raise Failed('%s holds something else than a cloud; expected '
                             'a folder that is empty or not there'
                             % self.folder)
            for path in self.folder.iterdir():
                if path.name in _KEPT:
                    continue
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink()

    def show(self):
        """:returns: whether it is running"""
        if not self._process.pid() or not self._ready.exists():
            print('-- no cloud is running')
            return False
        print(_TRY.format(
            clouds=self.folder / 'clouds.yaml', folder=self.folder,
            bin=self.client, image=_IMAGE, cmdb=self._cmdb.url,
            token=(self.folder / 'cmdb-token').read_text().strip()))
        return True


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--folder', type=pathlib.Path, required=True)
    parser.add_argument('--tree', type=pathlib.Path)
    parser.add_argument('--client', default='PATH_OF_THE_CLIENT')
    commands = parser.add_subparsers(dest='command', required=True)
    commands.add_parser('start').add_argument('--hosts', type=int, default=3)
    for name in ('stop', 'status'):
        commands.add_parser(name)
    for name in ('stop-service', 'start-service'):
        commands.add_parser(name).add_argument('service')
    args = parser.parse_args()
    control = Control(args.folder.absolute(), args.tree, args.client)
    try:
        if args.command == 'stop':
            control.stop()
        elif args.command == 'stop-service':
            control.service(args.service).stop()
        elif args.command == 'start-service':
            control.service(args.service).start()
        elif args.command == 'start':
            with one_at_a_time.of(control.folder):
                control.start(args.hosts)
                return 0 if control.show() else 1
        else:
            return 0 if control.show() else 1
    except (Failed, under_debugger.BadPort) as error:
        print('error: %s' % error, file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
