#!/usr/bin/env bash
# usage: tools/fetch.sh [VERSION...]
#
# Fetch releases of upstream (all that upstream.toml lists, unless told) through
# pip into the cache, checked against their sha256, and print where they are.
# FORK_CACHE names another folder than ~/.cache/nova-mycompany.
source "$(dirname "$0")/lib.sh"
patchqueue fetch "$@"
