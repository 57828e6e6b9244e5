#!/usr/bin/env bash
# usage: tools/quilt.sh ARGS...
#
# quilt, in build/tree, on patches/, with the options that keep a patch in the
# queue's form. For example, to change a seam:
#   tools/quilt.sh pop NAME.patch && tools/quilt.sh edit FILE &&
#   tools/quilt.sh refresh && tools/quilt.sh push -a
TOOLS=$(cd "$(dirname "$0")" && pwd)
[ $# -gt 0 ] || set -- --help
case $1 in --help|-h) source "$TOOLS/lib.sh" ;; esac
cd "$TOOLS/../build/tree" 2>/dev/null || {
    echo "error: there is no build/tree yet: make tree" >&2; exit 1; }
# The user's own settings would win over ours.
unset "${!QUILT_@}"
QUILT_PATCHES=$(cd "$TOOLS/.." && pwd)/patches QUILT_PC=.pc \
    exec quilt --quiltrc "$TOOLS/quiltrc" "$@"
