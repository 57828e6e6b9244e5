#!/usr/bin/env bash
# usage: tools/rebase.sh VERSION
#        tools/rebase.sh --continue | --abort | --status
#        tools/rebase.sh --check VERSION... [--json]
#
# Carry the queue to another release of upstream.toml, with git's three-way
# merges, in the scratch repository build/rebase.
#
# At a conflict it stops and reports what upstream changed there. Resolve it in
# build/rebase, "git add" the files, then --continue; the resolution is kept
# for the next attempt. --abort gives up: nothing of the fork was touched. At
# the end, patches/, features.toml and the pin in upstream.toml are written,
# patches that upstream has merged are dropped, and build/rebase/report.md
# (report.json) says what became of each.
#
# --check only reports, for as many releases as named: 0 when the queue carries
# to all of them by itself, else 1.
source "$(dirname "$0")/lib.sh"
"$TOOLS/setup.sh" tools
PYTHONPATH=$TOOLS PYTHONDONTWRITEBYTECODE=1 \
    exec "$BUILD/venv/tools/bin/python" -m patchqueue.rebase "$@"
