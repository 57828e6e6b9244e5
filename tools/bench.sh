#!/usr/bin/env bash
# usage: tools/bench.sh NAME [ARGS...]
#
# Run benchmarks/NAME/run, which prints its figures as lines of JSON and exits
# with 0 when all targets hold. It sets up what it needs. NAME is a folder in
# benchmarks/, and ARGS are the benchmark's own.
source "$(dirname "$0")/lib.sh"

# Stop, with the names that there are.
refuse() {
    local runs=("$ROOT"/benchmarks/*/run) names
    names=$(dirname "${runs[@]#"$ROOT/benchmarks/"}" | paste -sd' ')
    echo "error: $1; there is: $names" >&2
    exit 2
}

name=${1:-}
[ -n "$name" ] || refuse "no benchmark is named (make bench NAME=...)"
[ -x "$ROOT/benchmarks/$name/run" ] || refuse "there is no benchmark $name"
shift
exec "$ROOT/benchmarks/$name/run" "$@"
