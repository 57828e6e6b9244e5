"""The fork's queue: what reads, applies, checks, carries and releases it.

The commands in ``tools/`` are thin; their logic is here, a module per job:

========== ==========================================================
fork       the repository as an object: where things are
upstream   ``upstream.toml``: which releases, fetched through pip
patches    a patch of the queue: its DEP-3 header and its diff
features   ``features.toml``: which file belongs to which feature
toml       reading these files
release    ``CHANGES.mycompany``: the version, and what follows from it
tree       upstream, overlay and seams put together
series     the queue as one plain quilt series
history    the queue as git commits, and back
git        git, run so that nobody's configuration gets in
rebase     the queue carried to another release
check      everything that must hold before a change lands
rpm, deb   what rpmbuild and debhelper build the packages from
suites     what make test runs, and its counts
compare    upstream's suites on the fork and on stock, test by test
releasing  a release, from the checks to the tag
========== ==========================================================
"""
