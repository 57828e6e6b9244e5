#!/usr/bin/env bash
# usage: tools/series.sh [FOLDER]
#
# Write the whole queue as one plain quilt series, a patch per feature, to
# dist/patches (or FOLDER). It turns the pristine sdist into build/tree.
source "$(dirname "$0")/lib.sh"
patchqueue series "$@"
