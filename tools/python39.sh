#!/usr/bin/env bash
# usage: tools/python39.sh [build|nova|client]
#
# Print the path of a working Python 3.9, EL9's Python: the one that
# FORK_PYTHON39 names, python3.9 in PATH, one of pyenv's, or else Debian 11's,
# which is unpacked into build/python39 from the mirror apt uses. Or, of a
# virtual environment of it, made or brought up to date:
#   build   build/venv/rpm, with EL9's setuptools and RDO's pbr, builds the RPMs
#   nova    build/venv/python39, with what nova and its tests need, runs them
#   client  build/venv/client-python39, with the openstack command of 2024.1
source "$(dirname "$0")/lib.sh"

UNPACKED=$BUILD/python39

# What a venv, pip and nova's tests need, beside the version.
works() {
    "$1" -c 'import ctypes, ensurepip, sqlite3, ssl, sys
assert sys.version_info[:2] == (3, 9)
print(sys.executable)' 2>/dev/null
}

find_python() {
    local candidate
    if [ -n "${FORK_PYTHON39:-}" ]; then
        works "$FORK_PYTHON39" && return
        echo "error: FORK_PYTHON39=$FORK_PYTHON39 is no complete Python 3.9" >&2
        exit 1
    fi
    for candidate in python3.9 \
            "$(pyenv root 2>/dev/null)"/versions/3.9.*/bin/python3.9 \
            "$UNPACKED/usr/bin/python3.9"; do
        works "$candidate" && return
    done
    unpack >&2
    works "$UNPACKED/usr/bin/python3.9" || {
        echo "error: the Python in $UNPACKED does not run" >&2; exit 1; }
}

# Debian 11's packages, unpacked and not installed: its Python finds its own
# library from where it lies, so that neither root nor a chroot is needed. Told
# to look there too are the modules linked to libraries that newer releases no
# longer have, and ensurepip, which Debian points at /usr.
unpack() {
    local mirror libraries module fresh=$UNPACKED.new
    "$TOOLS/setup.sh" packages
    mirror=$(apt-get indextargets --format '$(REPO_URI)' \
        'Created-By: Packages' 'Label: Debian' | sed -n 1p)
    [ -n "$mirror" ] || no_bullseye "apt knows no mirror of Debian"
    echo "-- unpacking the Python 3.9 of Debian 11 into build/python39"
    rm -rf "$fresh"; mkdir -p "$fresh"
    mmdebstrap --quiet --variant=extract --format=tar \
        --include=python3.9-venv,python3-distutils,libpython3.9-dev \
        bullseye - "$mirror" 2>"$BUILD/python39.log" \
        | tar -x -C "$fresh" --exclude './dev/*' \
        || { tail -5 "$BUILD/python39.log"; no_bullseye "mmdebstrap failed"; }
    sed -i "s#'/usr/share/python-wheels#sys.base_prefix + '/share/python-wheels#" \
        "$fresh/usr/lib/python3.9/ensurepip/__init__.py"
    libraries=$(cd "$fresh/usr/lib" && ls -d ./*-linux-gnu*)
    for module in "$fresh"/usr/lib/python3.9/lib-dynload/*.so; do
        # Not by a pipe: one that grep leaves early counts as failed.
        [[ $(ldd "$module") != *'not found'* ]] \
            || patchelf --set-rpath "\$ORIGIN/../../$libraries" "$module"
    done
    patchelf --set-rpath "\$ORIGIN" "$fresh/usr/lib/$libraries"/libssl.so.*
    rm -rf "$UNPACKED"; mv "$fresh" "$UNPACKED"
}

no_bullseye() {
    echo "error: no Python 3.9: $1, so Debian 11's cannot be fetched." >&2
    echo "Install a Python 3.9 and name it in FORK_PYTHON39." >&2
    exit 1
}

# Make build/venv/$1 anew unless it was made from the same Python and file $2;
# the rest are arguments for pip.
need_venv() {
    local venv=$BUILD/venv/$1 inputs=$2 python sum; shift 2
    python=$(find_python)
    sum=$({ echo "$python $venv $*"; cat "$inputs"; } | sha256sum)
    if [ "$(cat "$venv/made-from" 2>/dev/null)" != "$sum" ]; then
        echo "-- making ${venv#"$ROOT/"} with $("$python" --version)" >&2
        rm -rf "$venv"
        "$python" -m venv "$venv"
        # Debian's pip of that time does not know today's wheels.
        for step in "--upgrade pip" "$*"; do
            # shellcheck disable=SC2086
            "$venv/bin/pip" install --quiet --disable-pip-version-check $step \
                >"$BUILD/pip39.log" 2>&1 \
                || { tail -20 "$BUILD/pip39.log" >&2; exit 1; }
        done
        echo "$sum" > "$venv/made-from"
    fi
    echo "$venv/bin/python"
}

# Of the pins only bandit's, a linter's, is for newer Pythons alone.
constraints() {
    grep -v '^bandit==' "$ROOT/constraints.txt" > "$BUILD/constraints39.txt"
}

mkdir -p "$BUILD"
# One at a time: `make -j` and a second terminal call it too.
exec 8> "$BUILD/python39.lock"
flock 8
case ${1:-} in
    "") find_python ;;
    build) need_venv rpm "$ROOT/packaging/rpm/build-requirements.txt" \
        -r "$ROOT/packaging/rpm/build-requirements.txt" ;;
    client)
        constraints
        need_venv client-python39 "$BUILD/constraints39.txt" \
            -c "$BUILD/constraints39.txt" setuptools pytest python-openstackclient ;;
    nova)
        [ -d "$BUILD/tree" ] || "$TOOLS/tree.sh" >&2
        constraints
        need_venv python39 "$BUILD/constraints39.txt" \
            -c "$BUILD/constraints39.txt" -r "$BUILD/tree/requirements.txt" \
            -r "$BUILD/tree/test-requirements.txt" \
            -r "$TOOLS/nova-requirements.txt" ;;
    *) echo "error: nothing is called $1; see --help" >&2; exit 2 ;;
esac
