"""Cutting a release: checks, packages, tests, tag, in that order."""

import subprocess

from patchqueue import check
from patchqueue.errors import ForkError
from patchqueue.run import progress
from patchqueue.run import run


def release(fork):
    """Cut the release that the top entry of CHANGES.mycompany describes.

    The tag is the last step: nothing is left behind by a refusal.

    :raises ForkError: with the reason why it is refused
    """
    entry = fork.release
    _refuse_dirty(fork)
    if run(['git', 'rev-parse', '--verify', '--quiet',
            'refs/tags/' + entry.tag], cwd=fork.root, check=False).stdout:
        raise ForkError(
            '%s is tagged already. Write the next entry in '
            'CHANGES.mycompany: it is where the version comes from' %
            entry.tag)
    for target in ('check', 'packages', 'test'):
        progress('make %s' % target)
        if subprocess.run(['make', target], cwd=fork.root).returncode != 0:
            raise ForkError('%s is not released: "make %s" failed' % (
                entry.tag, target))
    found = check.packages_findings(fork)
    if found:
        raise ForkError('%s is not released:\n    %s' % (
            entry.tag, '\n    '.join(found)))
    # Tests and builds take long: what is tagged must be what was tested.
    _refuse_dirty(fork)
    message = '%s\n\n%s\n' % (
        entry.full, '\n'.join('* ' + change for change in entry.changes))
    run(['git', 'tag', '--annotate', '--file=-', entry.tag], cwd=fork.root,
        input=message)
    progress('tagged %s; publish it with "git push origin %s"' % (
        entry.tag, entry.tag))


def _refuse_dirty(fork):
    status = run(['git', 'status', '--porcelain'], cwd=fork.root).stdout
    if status:
        raise ForkError(
            '%s is not released: the checkout holds changes that are not '
            'committed:\n%s' % (fork.release.tag, status.rstrip()))
