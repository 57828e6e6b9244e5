"""Start the embedded cloud, stop it, and say how it is."""

import argparse
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE))

import under_debugger  # noqa: E402

# What the next start needs no new one of: the empty databases.
_KEPT = ('empty',)

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

Nova's log is {folder}/nova.log; `make cloud-stop` ends it.
"""
_IMAGE = 'fakeimage7'


class Failed(Exception):
    pass


class Control:
    """
    :param folder: where everything of the cloud is
    :param tree: of the Nova that runs
    :param client: the folder of the openstack client, to be told
    """

    def __init__(self, folder, tree, client):
        self.folder, self.tree, self.client = folder, tree, client
        self._pid_file = folder / 'pid'
        self._ready = folder / 'ready'

    def pid(self):
        """Of the running cloud; None when there is none."""
        try:
            pid = int(self._pid_file.read_text())
            words = pathlib.Path(
                '/proc/%d/cmdline' % pid).read_bytes().split(b'\0')
        except (OSError, ValueError):
            return None
        # The id may be another process's by now.
        return pid if str(self.folder).encode() in words else None

    def start(self, hosts):
        if self.pid():
            print('-- the cloud runs already')
            return
        self._clear()
        self.folder.mkdir(parents=True, exist_ok=True)
        log = self.folder / 'start.log'
        with open(log, 'w') as out:
            process = subprocess.Popen(
                under_debugger.command('cloud', [
                    sys.executable, str(HERE / 'embedded.py'),
                    str(self.folder), '--hosts', str(hosts)]),
                cwd=self.tree, env=dict(
                    os.environ, PYTHONDONTWRITEBYTECODE='1',
                    PYTHONWARNINGS='ignore',
                    PYTHONPATH=os.pathsep.join([str(HERE), str(self.tree)])),
                stdin=subprocess.DEVNULL, stdout=out,
                stderr=subprocess.STDOUT, start_new_session=True)
        self._pid_file.write_text('%d\n' % process.pid)
        self._follow(process, log)

    def _follow(self, process, log):
        """Show the progress until the cloud is ready."""
        started, shown = time.monotonic(), 0
        while not self._ready.exists():
            if process.poll() is not None:
                self._pid_file.unlink()
                raise Failed('the cloud has ended while it started:\n%s'
                             % log.read_text()[-3000:])
            time.sleep(0.1)
            said = [line for line in log.read_text().splitlines()
                    if line.startswith('-- ')]
            for line in said[shown:]:
                print(line, flush=True)
            shown = len(said)
        print('-- ready after %.0f s' % (time.monotonic() - started))

    def stop(self):
        pid = self.pid()
        if not pid:
            print('-- no cloud is running')
        else:
            os.kill(pid, signal.SIGTERM)
            # It holds nothing that would be lost.
            for _ in range(50):
                if not self.pid():
                    break
                time.sleep(0.1)
            else:
                os.kill(pid, signal.SIGKILL)
            print('-- the cloud has ended')
        self._clear()

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
        if not self.pid() or not self._ready.exists():
            print('-- no cloud is running')
            return False
        print(_TRY.format(
            clouds=self.folder / 'clouds.yaml', folder=self.folder,
            bin=self.client, image=_IMAGE))
        return True


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('command', choices=['start', 'stop', 'status'])
    parser.add_argument('folder', type=pathlib.Path)
    parser.add_argument('--tree', type=pathlib.Path)
    parser.add_argument('--client', default='PATH_OF_THE_CLIENT')
    parser.add_argument('--hosts', type=int, default=3)
    args = parser.parse_args()
    control = Control(args.folder.absolute(), args.tree, args.client)
    try:
        if args.command == 'stop':
            control.stop()
            return 0
        if args.command == 'start':
            control.start(args.hosts)
    except Failed as error:
        print('error: %s' % error, file=sys.stderr)
        return 1
    return 0 if control.show() else 1


if __name__ == '__main__':
    sys.exit(main())
