#!/usr/bin/env bash
# usage: tools/check-queue.sh [--json] [--only CHECK]... [--skip CHECK]...
#
# Check that the queue holds, print what does not, and how much each patch
# touches upstream. CHECK is one of
#   headers       DEP-3 headers are complete and sane
#   map           series, files and features.toml say the same
#   overlay       our files can be carried by a patch, and hide none of upstream
#   no-new-files  no patch creates, deletes or renames a file
#   version       all that states the release agrees with CHANGES.mycompany
#   pinned        no fuzz and no offset on the pinned release
#   series        no fuzz on every release of its series
#   plain-series  the plain series on the pristine sdist gives the tree
#   round-trip    quilt and git give back every patch to the byte
#   prefixes      the tree compiles and imports after each step of the queue
#   necessity     without one patch, its Test: fails (the slow one)
source "$(dirname "$0")/lib.sh"
"$TOOLS/tree.sh" >/dev/null
"$TOOLS/setup.sh" nova
patchqueue check "$@"
