#!/usr/bin/env bash
# usage: tools/packages.sh
#
# Build all packages of the fork into dist/: DEB, RPM and wheel, with the plain
# series beside them. What an earlier build left there is removed.
source "$(dirname "$0")/lib.sh"
rm -rf "$ROOT/dist"
"$TOOLS/series.sh" >/dev/null
"$TOOLS/build-wheel.sh"
"$TOOLS/build-deb.sh"
"$TOOLS/build-rpm.sh"
patchqueue packages
ls -l "$ROOT/dist"
