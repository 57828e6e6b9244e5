"""Cutting a release: everything that must hold, then the tag."""

import os
import subprocess

from patchqueue import check
from patchqueue.errors import ForkError
from patchqueue.git import Repository
from patchqueue.run import progress
from patchqueue.run import run


def release(fork):
    """Cut the release that the top entry of CHANGES.mycompany describes.

    `make test` checks the queue and builds the packages that it tests. The
    tag is the last step: nothing is left behind by a refusal.

    :raises ForkError: with the reason why it is refused
    """
    entry = fork.release
    repository = Repository(fork.root)
    # What a tag needs, asked now and not after half an hour.
    run(['git', 'var', 'GIT_COMMITTER_IDENT'], cwd=fork.root)
    _refuse_dirty(fork, repository)
    if repository.id('refs/tags/' + entry.tag):
        raise ForkError(
            '%s is tagged already. Write the next entry in '
            'CHANGES.mycompany: it is where the version comes from' %
            entry.tag)
    commit = repository.id('HEAD')
    progress('make test')
    # A `make -i release` must not make this one ignore failures.
    environment = {name: value for name, value in os.environ.items()
                   if name not in ('MAKEFLAGS', 'MFLAGS', 'MAKELEVEL')}
    if subprocess.run(['make', 'test'], cwd=fork.root,
                      env=environment).returncode != 0:
        raise ForkError('%s is not released: "make test" failed' % entry.tag)
    found = check.packages_findings(fork)
    if found:
        raise ForkError('%s is not released:\n    %s' % (
            entry.tag, '\n    '.join(found)))
    # What is tagged must be what was tested.
    _refuse_dirty(fork, repository)
    if repository.id('HEAD') != commit:
        raise ForkError('%s is not released: HEAD has moved from %s to %s '
                        'meanwhile' % (entry.tag, commit[:10],
                                       repository.id('HEAD')[:10]))
    message = '%s\n\n%s\n' % (
        entry.full, '\n'.join('* ' + change for change in entry.changes))
    run(['git', 'tag', '--annotate', '--file=-', entry.tag, commit],
        cwd=fork.root, input=message)
    progress('tagged %s; publish it with "git push origin %s"' % (
        entry.tag, entry.tag))


def _refuse_dirty(fork, repository):
    # In the words of the repository alone: the user's own configuration may
    # hide files that would end up in the packages.
    lines = repository.uncommitted()
    if lines:
        raise ForkError(
            '%s is not released: the checkout holds changes that are not '
            'committed:\n    %s' % (fork.release.tag, '\n    '.join(lines)))
