#!/usr/bin/env bash
# usage: tools/test-upstream.sh [unit|functional]...
#
# Run upstream's whole suites (both unless told) on the fork and on stock Nova,
# and list every test whose result differs; fails when one that passes on stock
# does not on the fork. Takes two hours on two cores the first time; stock's
# results are kept in build/upstream-tests.
source "$(dirname "$0")/lib.sh"
"$TOOLS/tree.sh" >/dev/null
"$TOOLS/setup.sh" nova
patchqueue test-upstream "$@"
