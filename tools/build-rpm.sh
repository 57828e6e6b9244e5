#!/usr/bin/env bash
# usage: tools/build-rpm.sh [--rebuild SRPM] [FOLDER]
#
# Build the source packages of Nova and of the openstack plug-in in client/, and
# from them the RPMs for EL9 into dist/ (or FOLDER), and print where they are.
# With --rebuild: the RPMs only, from that source package. The same source gives the same bytes; build/rpm/*.log has the words
# of rpmbuild.
source "$(dirname "$0")/lib.sh"
"$TOOLS/setup.sh" tools packages
python=$("$TOOLS/python39.sh" build)
PYTHONPATH=$TOOLS PYTHONDONTWRITEBYTECODE=1 \
    "$BUILD/venv/tools/bin/python" -m patchqueue.rpm --python "$python" "$@"
