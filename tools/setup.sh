#!/usr/bin/env bash
# usage: tools/setup.sh [PART]...
#
# Set up what the other commands need; they call it themselves.
#   tools     quilt, patch, git, and build/venv/tools for the queue's tools
#   nova      build/venv/nova, to run and test the tree with the pins of
#             constraints.txt
#   api-ref   build/venv/api-ref with Sphinx, for upstream's API reference
#   services  MariaDB's server and client, and RabbitMQ's server, to test
#             services on a database and a bus; neither is made or started
#   netbox    build/venv/netbox with a NetBox, and what it runs on: PostgreSQL,
#             of which Debian makes a cluster that is not used, and Redis
#   client    build/venv/client-2024.1 and build/venv/client-current: each with
#             the openstack command and the plug-in of client/ in it
#   libvirt   libvirtd, QEMU, and a kernel and a busybox to make guests of; no
#             daemon and no guest is started
#   cloud     build/venv/cloud with keystone, glance, placement, neutron and a
#             supervisor, and the programs that neutron's agents call
#   tempest   build/venv/tempest with Tempest, upstream's tests of a cloud
#   packages  debhelper, rpmbuild and mmdebstrap, to build and test packages
# System packages come through apt when that can be done (as root, or with
# sudo that asks nothing); else it says what to install and stops.
source "$(dirname "$0")/lib.sh"

# FORK_PYTHON names another interpreter for the virtual environments.
python() {
    "${FORK_PYTHON:-$(PATH=$(system_path):$PATH command -v python3)}" "$@"
}

# Install those of the system packages that are missing.
need_packages() {
    local missing=() package
    command -v dpkg-query >/dev/null || { say_missing "$@"; return; }
    for package in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] \
            || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        if sudo -n true 2>/dev/null; then as_root=(sudo -n); else
            say_missing "${missing[@]}"
        fi
    fi
    echo "-- installing ${missing[*]}" >&2
    # A list that is days old names files that are gone: refresh, then install.
    "${as_root[@]}" apt-get update -qq >&2
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y \
        --no-install-recommends "${missing[@]}" >"$BUILD/apt.log" 2>&1 \
        || { tail -20 "$BUILD/apt.log" >&2; exit 1; }
}

# Run a command, during which packages start no service. What a machine says
# already of services that may be started stays in force.
without_services() {
    local policy=/usr/sbin/policy-rc.d as_root=()
    [ "$(id -u)" -eq 0 ] || as_root=(sudo -n)
    if [ -e "$policy" ] || ! "${as_root[@]}" true 2>/dev/null; then "$@"; return; fi
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
    "${as_root[@]}" chmod 755 "$policy"
    ( trap '"${as_root[@]}" rm -f "$policy"' EXIT; "$@" )
}

say_missing() {
    echo "error: these packages are needed, and neither root nor a sudo that" >&2
    echo "asks no password is there to install them. Please run:" >&2
    echo "    apt-get install --no-install-recommends $*" >&2
    exit 1
}

# Make the virtual environment $1 anew unless it was made from the same inputs.
# The inputs are the files that follow; the function fill_$1 fills it.
need_venv() {
    local name=$1 venv=$BUILD/venv/$1 sum; shift
    sum=$({ python --version; echo "$venv"; cat "$@"; } | sha256sum | cut -d' ' -f1)
    [ "$(cat "$venv/made-from" 2>/dev/null)" != "$sum" ] || return 0
    echo "-- making build/venv/$name with $(python --version)" >&2
    rm -rf "$venv"
    python -m venv "$venv"
    "fill_$name" "$venv/bin/pip"
    echo "$sum" > "$venv/made-from"
}

install() {
    local pip=$1; shift
    "$pip" install --quiet --disable-pip-version-check "$@" >"$BUILD/pip.log" 2>&1 \
        || { tail -20 "$BUILD/pip.log" >&2; exit 1; }
}

fill_tools() {
    install "$1" -r "$TOOLS/requirements.txt"
}

fill_nova() {
    install "$1" -c "$ROOT/constraints.txt" pip pbr setuptools wheel
    install "$1" -c "$ROOT/constraints.txt" \
        -r "$BUILD/tree/requirements.txt" -r "$BUILD/tree/test-requirements.txt" \
        -r "$TOOLS/nova-requirements.txt"
}

# Link the tree into its virtual environment: anew when the commands and
# entry points, or the release, have changed.
need_link() {
    local venv=$BUILD/venv/nova sum
    sum=$(cat "$BUILD/tree/setup.cfg" "$ROOT/upstream.toml" | sha256sum | cut -d' ' -f1)
    [ "$(cat "$venv/linked-from" 2>/dev/null)" != "$sum" ] || return 0
    install "$venv/bin/pip" --no-deps --no-build-isolation --editable "$BUILD/tree"
    echo "$sum" > "$venv/linked-from"
}

setup_tools() {
    need_packages quilt patch diffutils git python3-venv
    need_venv tools "$TOOLS/requirements.txt"
}

setup_nova() {
    # netifaces has no wheel for present Pythons and is compiled.
    need_packages gcc libc6-dev python3-dev
    need_venv nova "$ROOT/constraints.txt" "$TOOLS/nova-requirements.txt" \
        "$BUILD/tree/requirements.txt" "$BUILD/tree/test-requirements.txt"
    need_link
}

fill_api-ref() {
    install "$1" -r "$TOOLS/api-ref-requirements.txt"
}

setup_api-ref() {
    need_venv api-ref "$TOOLS/api-ref-requirements.txt"
}

setup_services() {
    # Not mariadb-server, which starts a database of the machine's own.
    need_packages mariadb-server-core mariadb-client-core
    # Its package starts a bus of the machine's own, unless it is told not to.
    [ -x /usr/sbin/rabbitmq-server ] || without_services need_packages rabbitmq-server
}

# Print the path of a Python that NetBox runs on: the one that FORK_PYTHON_NETBOX
# names, one in PATH, or one of pyenv's.
netbox_python() {
    local candidate
    for candidate in ${FORK_PYTHON_NETBOX:-python3.14 python3.13 python3.12 \
            "$(pyenv root 2>/dev/null)"/versions/3.1[234].*/bin/python3}; do
        "$candidate" -c 'import ensurepip, ssl, sys
assert sys.version_info >= (3, 12)
print(sys.executable)' 2>/dev/null && return
    done
    echo "error: NetBox needs Python 3.12 or later, which Debian 12 does not have;" >&2
    echo "please install one and name it in FORK_PYTHON_NETBOX" >&2
    exit 1
}

fill_netbox() {
    install "$1" -r "$TOOLS/netbox-requirements.txt"
}

setup_netbox() {
    # Not redis-server, which starts a service: its program is in redis-tools.
    need_packages postgresql redis-tools libpq-dev gcc libc6-dev
    local chosen
    chosen=$(netbox_python)
    FORK_PYTHON=$chosen need_venv netbox "$TOOLS/netbox-requirements.txt"
}

fill_client-2024.1() {
    install "$1" -c "$ROOT/constraints.txt" pip setuptools wheel pytest \
        python-openstackclient
}

fill_client-current() {
    install "$1" -r "$TOOLS/client-current.txt"
}

# The plug-in anew when it, or the release that is its version, has changed.
need_plugin() {
    local venv=$BUILD/venv/$1 sum
    sum=$(find "$ROOT/client" "$ROOT/CHANGES.mycompany" -type f ! -name '*.pyc' \
        -print0 | sort -z | xargs -0 cat | sha256sum | cut -d' ' -f1)
    [ "$(cat "$venv/plugin-from" 2>/dev/null)" != "$sum" ] || return 0
    PYTHONPATH=$TOOLS PYTHONDONTWRITEBYTECODE=1 "$BUILD/venv/tools/bin/python" \
        -m patchqueue client-source "$BUILD/client"
    install "$venv/bin/pip" --no-deps --force-reinstall "$BUILD/client"
    echo "$sum" > "$venv/plugin-from"
}

setup_client() {
    setup_tools
    need_venv client-2024.1 "$ROOT/constraints.txt"
    need_venv client-current "$TOOLS/client-current.txt"
    need_plugin client-2024.1
    need_plugin client-current
}

# The kernel's package, unpacked and not installed.
need_guest_kernel() {
    local kernel=$BUILD/guest-kernel name
    [ ! -d "$kernel/boot" ] || return 0
    echo "-- unpacking a kernel for guests into build/guest-kernel" >&2
    rm -rf "$kernel"; mkdir -p "$kernel"
    name=$(apt-cache depends linux-image-cloud-amd64 \
        | awk '$1 == "Depends:" && !found++ {print $2}')
    (cd "$kernel" && apt-get download -qq "$name" >"$BUILD/apt.log" 2>&1) \
        || { tail -5 "$BUILD/apt.log" >&2; exit 1; }
    dpkg-deb --extract "$kernel"/*.deb "$kernel"
    rm "$kernel"/*.deb
}

# Beside the virtual environment of nova, in which upstream's tests find no
# libvirt, as on the machines that upstream runs them on.
need_libvirt_python() {
    local folder=$BUILD/libvirt-python
    [ ! -d "$folder" ] || return 0
    install "$BUILD/venv/nova/bin/pip" -c "$ROOT/constraints.txt" --no-deps \
        --target "$folder.new" libvirt-python
    mv "$folder.new" "$folder"
}

setup_libvirt() {
    need_packages busybox-static cpio gcc iproute2 libc6-dev libvirt-clients \
        libvirt-daemon libvirt-daemon-driver-qemu libvirt-dev pkg-config \
        python3-dev qemu-system-x86 seabios
    need_guest_kernel
    setup_nova
    need_libvirt_python
}

fill_cloud() {
    install "$1" -c "$ROOT/constraints.txt" pip setuptools wheel
    install "$1" -c "$ROOT/constraints.txt" -r "$TOOLS/cloud-requirements.txt"
}

setup_cloud() {
    need_packages conntrack dnsmasq-base dnsmasq-utils ebtables gcc haproxy \
        ipset iptables iputils-arping libc6-dev procps python3-dev qemu-utils
    need_venv cloud "$ROOT/constraints.txt" "$TOOLS/cloud-requirements.txt"
}

fill_tempest() {
    install "$1" -c "$ROOT/constraints.txt" pip setuptools wheel
    install "$1" -c "$ROOT/constraints.txt" -r "$TOOLS/tempest-requirements.txt"
}

setup_tempest() {
    need_venv tempest "$ROOT/constraints.txt" "$TOOLS/tempest-requirements.txt"
}

setup_packages() {
    need_packages build-essential cpio debhelper dh-python fakeroot gettext patchelf \
        python3-all python3-pbr python3-setuptools rpm mmdebstrap
}

mkdir -p "$BUILD"
# One at a time: `make -j` and a second terminal call it too.
exec 9> "$BUILD/setup.lock"
flock 9
for part in "${@:-tools}"; do
    case $part in
        tools|nova|api-ref|services|client|netbox|libvirt|cloud|tempest|packages)
            "setup_$part" ;;
        *) echo "error: nothing is called $part; see --help" >&2; exit 2 ;;
    esac
done
