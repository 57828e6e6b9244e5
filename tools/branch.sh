#!/usr/bin/env bash
# usage: tools/branch.sh export [FOLDER]
#        tools/branch.sh import [FOLDER] [--force]
#
# The queue as a git branch, to be worked on with git, and back.
#
# export makes the repository FOLDER (build/branch unless told) with the branch
# mycompany/2024.1: upstream's release (tag upstream/29.4.0), then for each
# feature its new files as one commit and each of its patches as one. It
# refuses to overwrite work that was not imported.
#
# import takes the branch's commits back into nova/, patches/ and
# features.toml, and changes nothing that was not edited:
#   edit a patch      git commit --fixup COMMIT, and
#                     git rebase -i --autosquash upstream/29.4.0
#   edit its header   git commit --amend, or reword
#   a new patch       its header in the message, as in the commits there, and a
#                     last line "Queue-Patch: NAME.patch"
#   a new file        below nova/, with a line "Feature: NAME" in the message
#   drop, reorder     git rebase -i upstream/29.4.0
# It refuses when nova/ or patches/ changed since the export, in which case
# --force overwrites them.
source "$(dirname "$0")/lib.sh"
"$TOOLS/setup.sh" tools
PYTHONPATH=$TOOLS PYTHONDONTWRITEBYTECODE=1 \
    exec "$BUILD/venv/tools/bin/python" -m patchqueue.history "$@"
