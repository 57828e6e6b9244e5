#!/usr/bin/env bash
# usage: tools/version.sh [WHAT] [--suffix SUFFIX]
#
# Print what follows from the top entry of CHANGES.mycompany. WHAT is one of
#   tag (the default), full, upstream, epoch, date (seconds since 1970),
#   deb, deb-upstream, deb-changelog, rpm-release, rpm-changelog, release-file.
# SUFFIX is a distribution's part of a DEB version, as in ~deb12+1.
source "$(dirname "$0")/lib.sh"
patchqueue version "$@"
