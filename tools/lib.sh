# shellcheck shell=bash
# Sourced by the commands beside it: where things are, and how the Python
# package with the logic is started.

set -euo pipefail
umask 022

TOOLS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(dirname "$TOOLS")
BUILD=$ROOT/build
# The scripts work on the checkout they are in, whatever the environment says.
export FORK_ROOT=$ROOT

# The system's own programs first: packages must be built with the
# distribution's Python, and other Pythons are often earlier in PATH.
system_path() {
    echo "/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
}

# Print the lines of the comment at the head of the command, for --help.
help_of() {
    sed -n '2,/^[^#]/{/^#/!q;s/^# \{0,1\}//;p}' "$1"
}

# Run one of the package's commands: patchqueue NAME ARGS...
patchqueue() {
    "$TOOLS/setup.sh" tools
    PYTHONPATH=$TOOLS PYTHONDONTWRITEBYTECODE=1 \
        "$BUILD/venv/tools/bin/python" -m patchqueue "$@"
}

# The first lines of most commands: show the help if it was asked for, in
# HELP_IN if a command has words that are not for it.
case " ${HELP_IN-${*:-}} " in
    *" --help "*|*" -h "*) help_of "$0"; exit 0 ;;
esac
