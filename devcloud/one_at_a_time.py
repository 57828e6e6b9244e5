"""Of the commands that change a cloud, one at a time."""

import contextlib

import fasteners


@contextlib.contextmanager
def of(folder):
    """Wait for the others that change the cloud in a folder.

    The lock is beside the folder, which comes and goes.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = fasteners.InterProcessLock(
        folder.with_name(folder.name + '.lock'))
    if not lock.acquire(blocking=False):
        print('-- another command changes this cloud; waiting for it',
              flush=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
