"""What the tests of the RPMs and the wheel share: the checkout, and a copy."""

import os
import pathlib
import shutil
import subprocess

ROOT = pathlib.Path(__file__).parents[2]


def copy(folder):
    """Copy the checkout without what was built; returns `folder`."""
    shutil.copytree(ROOT, folder, symlinks=True, ignore=lambda top, names: [
        name for name in names
        if name in ('__pycache__', '.git', '.tox', '.pytest_cache')
        or (name in ('build', 'dist') and pathlib.Path(top) == ROOT)])
    return folder


def run(*command, check=True, cwd=None, umask=-1, **environment):
    """Run a command; returns its CompletedProcess with all it said as text.

    :param environment: variables beside the present ones
    """
    done = subprocess.run(
        [str(word) for word in command], text=True, cwd=cwd, umask=umask,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL, env=dict(os.environ, **environment))
    if check and done.returncode != 0:
        raise AssertionError('%s failed with %d:\n%s%s' % (
            ' '.join(map(str, command)), done.returncode, done.stdout,
            done.stderr))
    return done
