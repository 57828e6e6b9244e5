#!/usr/bin/env bash
# usage: tools/clean.sh [--all]
#
# Remove what was built: dist/ and build/, except for what can hold work of
# yours (build/tree, build/branch, build/rebase). --all removes these too.
# Downloads stay in ~/.cache/nova-mycompany.
source "$(dirname "$0")/lib.sh"
keep=(tree branch rebase)
case ${1:-} in
    "") ;;
    --all) keep=() ;;
    *) echo "error: $1 is no option of mine; see --help" >&2; exit 2 ;;
esac
# A cloud that runs from there ends first.
for pid in "$BUILD"/*/pid "$BUILD"/tempest/*/cloud/pid; do
    [ -e "$pid" ] || continue
    cloud=${pid#"$BUILD/"}
    cloud=${cloud%/pid}
    if [ "$cloud" = cloud ]; then
        "$TOOLS/cloud.sh" stop
    else
        CLOUD=$cloud "$TOOLS/cloud-real.sh" stop
    fi
done
rm -rf "$ROOT/dist"
for path in "$BUILD"/*; do
    case " ${keep[*]} " in
        *" ${path##*/} "*) [ ! -e "$path" ] || echo "kept build/${path##*/}" ;;
        *) rm -rf "$path" ;;
    esac
done
