#!/usr/bin/env bash
# usage: tools/tree.sh [--discard]
#
# Make build/tree, or bring it up to date: upstream, the files of nova/ as
# links, and the series applied by quilt without fuzz. Edits in it that are in
# no patch are kept, and named; --discard throws them away.
source "$(dirname "$0")/lib.sh"
patchqueue tree "$@"
