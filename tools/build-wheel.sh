#!/usr/bin/env bash
# usage: tools/build-wheel.sh [FOLDER]
#
# Build the wheel into dist/ (or FOLDER), as `pip wheel . -w dist/` does, but
# without the wheels of what nova needs; and that of the openstack plug-in in
# client/. Print where they are.
source "$(dirname "$0")/lib.sh"
"$TOOLS/setup.sh" tools
target=${1:-$ROOT/dist}

build() {
    "$BUILD/venv/tools/bin/pip" wheel --disable-pip-version-check --no-deps \
        --wheel-dir "$target" "$@" >"$BUILD/wheel.log" 2>&1 \
        || { tail -20 "$BUILD/wheel.log" >&2; exit 1; }
}

echo "-- building the wheels" >&2
build "$ROOT"
patchqueue client-source "$BUILD/client"
# What the tools are pinned to, so that the same source gives the same wheel.
SOURCE_DATE_EPOCH=$("$TOOLS/version.sh" date) build --no-build-isolation "$BUILD/client"
ls "$target"/{nova,osc_mycompany_metrics}-*-py3-none-any.whl
