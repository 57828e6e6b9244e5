#!/usr/bin/env bash
# usage: tools/cloud.sh start [--hosts N] | stop | status
#        tools/cloud.sh stop-service|start-service cmdb
#
# The embedded cloud: the fork in one process, with N nova-computes (3 unless
# told) of the fake driver, and a CMDB beside it, on free ports of loopback, in
# build/cloud. It needs no root. Each start is a new cloud. See
# devcloud/README.md.
source "$(dirname "$0")/lib.sh"
case ${1:-} in
    start)
        "$TOOLS/tree.sh" >/dev/null
        "$TOOLS/setup.sh" nova client ;;
    stop|status|stop-service|start-service) ;;
    *) help_of "$0" >&2; exit 2 ;;
esac
python=$BUILD/venv/nova/bin/python
[ -x "$python" ] || { echo "-- no cloud is running"; exit 0; }
exec "$python" -P "$ROOT/devcloud/control.py" --folder "$BUILD/cloud" \
    --tree "$BUILD/tree" --client "$BUILD/venv/client-2024.1/bin" "$@"
