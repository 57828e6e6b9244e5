"""Run a service of a cloud under debugpy, for VS Code to attach to.

    python under_debugger.py PORT PROGRAM [ARGUMENT]...

runs a Python program of Nova with debugpy listening on that port of loopback.
`command` makes that of a command line, `port` says if the environment asks for
it.

debugpy has threads of its own, which must be real ones, while eventlet puts
green ones in the place of those of Python's modules. So Nova's patching comes
first, and debugpy is then given the modules as they were. nova-cmdb-agent is
not patched.
"""

import os
import pathlib
import runpy
import sys

# The modules that eventlet changes and debugpy uses.
_PATCHED = ('_thread', 'os', 'queue', 'select', 'selectors', 'socket',
            'subprocess', 'threading', 'time')

# The programs that run on native threads.
_NATIVE = ('nova-cmdb-agent',)


class BadPort(Exception):
    pass


def variable(service):
    """The environment variable that asks for a service to be debugged.

    Its value is the port.
    """
    return 'DEBUGPY_' + service.upper().replace('-', '_')


def port(service):
    """On which a service is to be debugged, by the environment; or None.

    :raises BadPort: it says something else
    """
    name = variable(service)
    text = os.environ.get(name)
    if not text:
        return None
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise BadPort('the variable %s is %r; expected is a port, from 1 to '
                      '65535' % (name, text))
    return int(text)


def command(port, words):
    """What to run in the place of a command, to debug it.

    :param port: to listen on; None when it is not to be debugged
    :param words: of the command line, the first one an interpreter
    """
    if port is None:
        return words
    return [words[0], '-X', 'frozen_modules=off', __file__, str(port),
            *words[1:]]


def _links():
    """Pairs of a file of ours and where it is in the tree, by a link.

    Python knows the file by the latter, and whoever edits it by the former.
    """
    import nova
    top = pathlib.Path(nova.__file__).parent
    return [(os.path.realpath(path), str(path))
            for path in sorted(top.rglob('*.py')) if path.is_symlink()]


def listen(port):
    """Have debugpy listen in this process."""
    import debugpy
    # Else it changes how processes are started, in modules it was given.
    debugpy.configure(subProcess=False)
    debugpy.listen(('127.0.0.1', port))
    _map(_links())


def _listen_beside_green_threads(port):
    import nova.monkey_patch  # noqa: F401

    from eventlet import patcher
    kept = {name: sys.modules.get(name) for name in _PATCHED}
    sys.modules.update(
        {name: patcher.original(name) for name in _PATCHED})
    try:
        listen(port)
    finally:
        for name, module in kept.items():
            if module:
                sys.modules[name] = module
            else:
                del sys.modules[name]


def _stay_in_one_process():
    """Have nova-api do its work itself, and fork nobody for it.

    A debugger does not get over a fork. For as many workers as one.
    """
    from nova import service
    from oslo_service import service as oslo_service
    service.process_launcher = lambda: oslo_service.ServiceLauncher(
        service.CONF, restart_method='mutate')


def _map(pairs):
    """Have debugpy map these, beside what its client wants mapped.

    Folders come first there, so one that the client, as VS Code does unasked,
    maps to itself would hide the files in it; it is left out.
    """
    import pydevd_file_utils
    set_up = pydevd_file_utils.setup_client_server_paths
    pydevd_file_utils.setup_client_server_paths = lambda others: set_up(
        pairs + [(here, there) for here, there in others if here != there])
    pydevd_file_utils.setup_client_server_paths([])


def main():
    port, program, *arguments = sys.argv[1:]
    # As if it had been run by itself.
    sys.path[0] = os.path.dirname(os.path.abspath(program))
    sys.argv = [program, *arguments]
    if os.path.basename(program) in _NATIVE:
        listen(int(port))
    else:
        _listen_beside_green_threads(int(port))
        _stay_in_one_process()
    runpy.run_path(program, run_name='__main__')


if __name__ == '__main__':
    main()
