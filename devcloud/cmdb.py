"""The reference CMDB, as a program: what it knows is kept in a file.

    cmdb.py PORT FILE

It is the one of nova/tests/fixtures/http_cmdb.py. FILE is read at the start
and written at the end.
"""

import json
import pathlib
import signal
import sys

sys.path.append(str(pathlib.Path(__file__).parents[1] / 'tests' / 'services'))

import http_cmdb  # noqa: E402


def main(port, path):
    path = pathlib.Path(path)
    cmdb = http_cmdb.CMDB(port=int(port))
    if path.exists():
        cmdb.load(json.loads(path.read_text()))
    signals = {signal.SIGTERM, signal.SIGINT}
    # The threads inherit it: only sigwait() below takes these.
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    cmdb.start()
    signal.sigwait(signals)
    cmdb.stop()
    path.write_text(json.dumps(cmdb.records))


if __name__ == '__main__':
    main(*sys.argv[1:])
