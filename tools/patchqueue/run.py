"""Running other programs, with their words in the error when they fail."""

import os
import shutil
import subprocess
import sys

from patchqueue.errors import ForkError


def require(program, package=None):
    """The path of `program`, or a ForkError that says what to install."""
    path = shutil.which(program)
    if path is None:
        raise ForkError(
            '%s is not installed: install the package %s '
            '(tools/setup.sh does it as root or with sudo)'
            % (program, package or program))
    return path


def run(command, *, cwd=None, env=None, input=None, check=True, text=True):
    """Run `command` and return its CompletedProcess, output captured.

    :param env: variables added to the present environment
    :raises ForkError: it could not be run, or (with `check`) it failed
    """
    command = [str(word) for word in command]
    try:
        done = subprocess.run(
            command, cwd=cwd, env=dict(os.environ, **(env or {})),
            input=input, text=text, capture_output=True)
    except FileNotFoundError as missing:
        raise ForkError('cannot run %s: %s' % (command[0], missing))
    if check and done.returncode != 0:
        raise ForkError('%s failed with %d:\n%s' % (
            ' '.join(command), done.returncode, words(done).strip()))
    return done


def words(done):
    """All that a finished process said, as text."""
    said = (done.stdout or '', done.stderr or '')
    return '\n'.join(
        part if isinstance(part, str) else part.decode(errors='replace')
        for part in said if part)


def progress(message):
    """One line on standard error: what is being done now."""
    print('-- %s' % message, file=sys.stderr, flush=True)
