"""The command line of the package: one sub-command per script in tools/."""

import argparse
import sys

from patchqueue import release
from patchqueue import series
from patchqueue import tree
from patchqueue import upstream
from patchqueue.errors import ForkError
from patchqueue.fork import Fork


def do_fetch(fork, args):
    """fetch releases of upstream into the cache"""
    wanted = args.version or [r.version for r in fork.upstream.releases]
    for version in wanted:
        print(upstream.fetch(fork.upstream.get(version)))


def do_tree(fork, args):
    """make or bring up to date build/tree"""
    print(tree.make(fork, discard=args.discard))


def do_export(fork, args):
    """put plain copies of the fork's files together in a new folder"""
    tree.materialise(fork, args.folder)
    tree.write_metadata(args.folder, fork.upstream.pinned.version)


def do_series(fork, args):
    """write the queue as one plain quilt series"""
    folder = args.folder or fork.dist / 'patches'
    for name in series.write(fork, folder):
        print('%s/%s' % (folder, name))


def do_version(fork, args):
    """print what follows from the top entry of CHANGES.mycompany"""
    entries = release.load(fork.root / 'CHANGES.mycompany')
    top = entries[0]
    values = {
        'tag': top.tag,
        'full': top.full,
        'upstream': top.upstream,
        'date': str(top.epoch_seconds),
        'deb': top.deb_version(args.suffix),
        'deb-upstream': top.deb_upstream_version,
        'rpm-release': top.rpm_release,
        'epoch': str(release.EPOCH),
        'release-file': top.release_file.rstrip('\n'),
        'deb-changelog': release.debian_changelog(
            entries, args.suffix).rstrip('\n'),
        'rpm-changelog': release.rpm_changelog(entries).rstrip('\n'),
    }
    if args.what not in values:
        raise ForkError('version: %r is none of %s' % (
            args.what, ', '.join(values)))
    print(values[args.what])


def parser():
    top = argparse.ArgumentParser(prog='patchqueue', description=__doc__)
    commands = top.add_subparsers(metavar='COMMAND', required=True)

    def add(name, function, *arguments):
        sub = commands.add_parser(name, help=function.__doc__,
                                  description=function.__doc__)
        sub.set_defaults(function=function)
        for flags, options in arguments:
            sub.add_argument(*flags, **options)

    def arg(*flags, **options):
        return flags, options

    add('fetch', do_fetch, arg('version', nargs='*'))
    add('tree', do_tree, arg('--discard', action='store_true'))
    add('export', do_export, arg('folder'))
    add('series', do_series, arg('folder', nargs='?'))
    add('version', do_version, arg('what', nargs='?', default='tag'),
        arg('--suffix', default=''))
    return top


def main(argv=None):
    args = parser().parse_args(argv)
    try:
        return args.function(Fork(), args) or 0
    except ForkError as error:
        print('error: %s' % error, file=sys.stderr)
        return 1
