#!/usr/bin/env bash
# usage: tools/cloud-real.sh start [--from NOVA] | stop | status
#        tools/cloud-real.sh logs|restart|stop-service|start-service SERVICE
#        tools/cloud-real.sh run COMMAND...
#        tools/cloud-real.sh nova-manage [--from NOVA] ARGUMENT...
#        tools/cloud-real.sh replace SERVICE NOVA
#        tools/cloud-real.sh features on|off
#
# A cloud of real services on this machine: keystone, glance, placement, neutron
# and the fork, with MariaDB, RabbitMQ, libvirt with QEMU and two fake compute
# nodes; in name spaces of its own, in build/cloud-real. It needs root. Each
# start is a new cloud. `run` runs a command in the name spaces, such as
# `virsh list`. See devcloud/README.md.
#
# NOVA is `tree`, the fork of build/tree; `packages`, the fork as the DEBs of
# dist/ install it, which are built if need be; or `stock`, upstream's release,
# whose features are off. `replace` ends a service of Nova and starts it from
# another. `features` writes the configuration with those of the fork, or
# without: a service reads it when it is restarted. CLOUD=NAME is another cloud,
# in build/NAME.
#
# With DEBUGPY_NOVA_COMPUTE=5684 or the like, start and restart run that service
# under debugpy (doc/debugging).
case ${1:-} in run|nova-manage) HELP_IN=$1 ;; esac
source "$(dirname "$0")/lib.sh"
case ${1:-} in
    start)
        case " $* " in *" packages "*) "$TOOLS/setup.sh" packages ;; esac
        "$TOOLS/tree.sh" >/dev/null
        "$TOOLS/setup.sh" nova client services libvirt cloud ;;
    stop|status|logs|restart|stop-service|start-service|run) ;;
    nova-manage|replace|features) ;;
    *) help_of "$0" >&2; exit 2 ;;
esac
python=$BUILD/venv/cloud/bin/python
[ -x "$python" ] || { echo "-- no cloud is running"; exit 0; }
exec "$python" -W ignore "$ROOT/devcloud/real/control.py" \
    --folder "$BUILD/${CLOUD:-cloud-real}" --build "$BUILD" "$@"
