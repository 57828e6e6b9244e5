#!/bin/sh
# Print the rootwrap filters that nova-compute needs beside upstream's.
#
# A filter fits one command line, and upstream's two fit a service with a single
# configuration file. Ours reads all that are there (nova.conf and
# nova-compute.conf, and their .d folders) and hands them on to its helpers, and
# upstream leaves the helpers that os-vif plugs interfaces with to the
# configuration.
set -eu

cat <<'X'
# Made by debian/compute-filters.sh: one line for each of the helpers of
# nova-compute and each set of configuration files it may be started with.
[Filters]
X

path='/etc/(?!.*\.\.)[^ ]*'
one="--config-file, $path, "
two="$one$one"
dir="--config-dir, $path, "

filter() { # NAME CONTEXT ARGUMENTS
    echo "$1: RegExpFilter, privsep-helper, root, privsep-helper, $3--privsep_context, $2, --privsep_sock_path, /tmp/.*"
}

for context in nova.privsep.sys_admin_pctxt os_brick.privileged.default \
        vif_plug_ovs.privsep.vif_plug vif_plug_linux_bridge.privsep.vif_plug; do
    name="privsep-${context%%.*}"
    filter "$name-1" "$context" "$one"
    filter "$name-2" "$context" "$two"
    filter "$name-1-1" "$context" "$one$dir"
    filter "$name-2-1" "$context" "$two$dir"
    filter "$name-1-2" "$context" "$one$dir$dir"
    filter "$name-2-2" "$context" "$two$dir$dir"
done
