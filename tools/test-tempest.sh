#!/usr/bin/env bash
# usage: tools/test-tempest.sh [REGEX]
#
# Run Tempest's tests of the compute API, or those whose names REGEX matches, on
# the cloud of real services: with stock Nova, then with the fork. List every
# test whose result differs; fails when one that passes on stock does not on the
# fork. Needs root. Stock's results are kept in build/tempest.
source "$(dirname "$0")/lib.sh"
"$TOOLS/tree.sh" >/dev/null
"$TOOLS/setup.sh" nova services libvirt cloud tempest
patchqueue test-tempest "$@"
