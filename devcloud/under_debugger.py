"""Run a service of a cloud under debugpy, for VS Code to attach to.

    python under_debugger.py PORT PROGRAM [ARGUMENT]...

runs a Python program of Nova with debugpy listening on that port of loopback.
`command` makes that of a command line, when the environment asks for it.

debugpy has threads of its own, which must be real ones, while eventlet puts
green ones in the place of those of Python's modules. So Nova's patching comes
first, and debugpy is then given the modules as they were.
"""

import os
import pathlib
import runpy
import sys

# The modules that eventlet changes and debugpy uses.
_PATCHED = ('_thread', 'os', 'queue', 'select', 'selectors', 'socket',
            'subprocess', 'threading', 'time')


def variable(service):
    """The environment variable that asks for a service to be debugged.

    Its value is the port.
    """
    return 'DEBUGPY_' + service.upper().replace('-', '_')


def command(service, words):
    """What to run in the place of a command, if its service is debugged.

    :param service: as nova-compute
    :param words: of the command line, the first one an interpreter
    """
    port = os.environ.get(variable(service))
    if not port:
        return words
    return [words[0], '-X', 'frozen_modules=off', __file__, port, *words[1:]]


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
    import nova.monkey_patch  # noqa: F401

    from eventlet import patcher
    kept = {name: sys.modules.get(name) for name in _PATCHED}
    sys.modules.update(
        {name: patcher.original(name) for name in _PATCHED})
    try:
        import debugpy
        # Else it changes how processes are started, in modules it was given.
        debugpy.configure(subProcess=False)
        debugpy.listen(('127.0.0.1', port))
        _map(_links())
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
    listen(int(port))
    _stay_in_one_process()
    runpy.run_path(program, run_name='__main__')


if __name__ == '__main__':
    main()
