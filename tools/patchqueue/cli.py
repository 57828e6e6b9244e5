"""The command line of the package: one sub-command per script in tools/."""

import argparse
import json
import sys

from patchqueue import check
from patchqueue import client
from patchqueue import compare
from patchqueue import release
from patchqueue import releasing
from patchqueue import series
from patchqueue import suites
from patchqueue import tempest
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


def do_series(fork, args):
    """write the queue as one plain quilt series"""
    folder = args.folder or fork.dist / 'patches'
    for name in series.write(fork, folder):
        print('%s/%s' % (folder, name))


def do_client_source(fork, args):
    """write the source of the openstack plug-in, ready to build"""
    client.write_source(fork, args.folder)


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


def do_check(fork, args):
    """check that the queue holds"""
    names = [name for name in args.only or check.CHECKS
             if name not in args.skip]
    unknown = set(names) | set(args.skip)
    unknown -= set(check.CHECKS)
    if unknown:
        raise ForkError('there is no check %s; there are %s' % (
            ', '.join(sorted(unknown)), ', '.join(check.CHECKS)))
    rows = check.run_checks(fork, names)
    if args.json:
        print(json.dumps({'checks': rows, 'patches': check.figures(fork)},
                         indent=2))
    else:
        for row in rows:
            for line in row['findings']:
                print('%s: %s' % (row['check'], line))
        print(check.table(check.figures(fork)))
    return 0 if all(row['ok'] for row in rows) else 1


def do_test(fork, args):
    """run suites of tests"""
    names = args.suite or suites.suites_of(args.name)
    return suites.run_suites(fork, names, args.name)


def do_test_upstream(fork, args):
    """compare upstream's suites on the fork with stock"""
    return compare.main(fork, args.kind or compare.KINDS)


def do_test_tempest(fork, args):
    """compare Tempest's tests on the fork with stock"""
    return tempest.main(fork, args.pattern)


def do_packages(fork, args):
    """check that dist/ holds packages of the present release, and no other"""
    found = check.packages_findings(fork)
    print('\n'.join(found), end='\n' if found else '')
    return 1 if found else 0


def do_release(fork, args):
    """cut a release: check, test, build, tag"""
    releasing.release(fork)


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
    add('series', do_series, arg('folder', nargs='?'))
    add('client-source', do_client_source, arg('folder'))
    add('version', do_version, arg('what', nargs='?', default='tag'),
        arg('--suffix', default=''))
    add('check', do_check, arg('--json', action='store_true'),
        arg('--only', action='append', metavar='CHECK'),
        arg('--skip', action='append', metavar='CHECK', default=[]))
    add('test', do_test, arg('suite', nargs='*'),
        arg('--name', action='append', metavar='TEST'))
    add('test-upstream', do_test_upstream,
        arg('kind', nargs='*', choices=[*compare.KINDS, []]))
    add('test-tempest', do_test_tempest, arg('pattern', nargs='?'))
    add('packages', do_packages)
    add('release', do_release)
    return top


def main(argv=None):
    args = parser().parse_args(argv)
    try:
        return args.function(Fork(), args) or 0
    except ForkError as error:
        print('error: %s' % error, file=sys.stderr)
        return 1
