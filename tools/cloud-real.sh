#!/usr/bin/env bash
# usage: tools/cloud-real.sh start | stop | status
#        tools/cloud-real.sh logs|restart|stop-service|start-service SERVICE
#        tools/cloud-real.sh run COMMAND...
#
# A cloud of real services on this machine: keystone, glance, placement, neutron
# and the fork, with MariaDB, RabbitMQ, libvirt with QEMU and two fake compute
# nodes; in name spaces of its own, in build/cloud-real. It needs root. Each
# start is a new cloud. `run` runs a command in the name spaces, such as
# `virsh list`. With DEBUGPY_NOVA_COMPUTE=5684 or the like, start and restart
# run that service under debugpy (doc/debugging). See devcloud/README.md.
source "$(dirname "$0")/lib.sh"
case ${1:-} in
    start)
        "$TOOLS/tree.sh" >/dev/null
        "$TOOLS/setup.sh" nova client services libvirt cloud ;;
    stop|status|logs|restart|stop-service|start-service|run) ;;
    *) help_of "$0" >&2; exit 2 ;;
esac
python=$BUILD/venv/cloud/bin/python
[ -x "$python" ] || { echo "-- no cloud is running"; exit 0; }
exec "$python" -W ignore "$ROOT/devcloud/real/control.py" \
    --folder "$BUILD/cloud-real" --build "$BUILD" "$@"
