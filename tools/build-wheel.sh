#!/usr/bin/env bash
# usage: tools/build-wheel.sh [FOLDER]
#
# Build the wheel into dist/ (or FOLDER), as `pip wheel . -w dist/` does, but
# without the wheels of what nova needs, and print where it is.
source "$(dirname "$0")/lib.sh"
"$TOOLS/setup.sh" tools
target=${1:-$ROOT/dist}
echo "-- building the wheel" >&2
"$BUILD/venv/tools/bin/pip" wheel --disable-pip-version-check --no-deps \
    --wheel-dir "$target" "$ROOT" >"$BUILD/wheel.log" 2>&1 \
    || { tail -20 "$BUILD/wheel.log" >&2; exit 1; }
ls "$target"/nova-*-py3-none-any.whl
