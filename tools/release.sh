#!/usr/bin/env bash
# usage: tools/release.sh
#
# Cut the release that the top entry of CHANGES.mycompany describes: check,
# build, test, then tag. It refuses, and says why, when the checkout is dirty,
# the release is tagged already, or anything fails.
source "$(dirname "$0")/lib.sh"
patchqueue release
