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
for cloud in cloud cloud-real; do
    [ ! -e "$BUILD/$cloud/pid" ] || "$TOOLS/$cloud.sh" stop
done
for cloud in cloud-upgrade cloud-debug tempest/stock/cloud tempest/fork/cloud; do
    [ ! -e "$BUILD/$cloud/pid" ] || CLOUD=$cloud "$TOOLS/cloud-real.sh" stop
done
rm -rf "$ROOT/dist"
for path in "$BUILD"/*; do
    case " ${keep[*]} " in
        *" ${path##*/} "*) [ ! -e "$path" ] || echo "kept build/${path##*/}" ;;
        *) rm -rf "$path" ;;
    esac
done
