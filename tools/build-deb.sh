#!/usr/bin/env bash
# usage: tools/build-deb.sh [--suffix SUFFIX]
#
# Build the DEB packages into dist/: Nova's source package, its binary packages,
# those of the libraries that the distribution lacks
# (packaging/deb/libraries.toml), and those of the openstack plug-in in client/.
# Two builds give the same bytes.
#
# The work is done in build/deb, where each package's full log is. SUFFIX is the
# distribution's part of the version; ~deb12+1 on Debian 12.
source "$(dirname "$0")/lib.sh"

WORK=$BUILD/deb
DIST=$ROOT/dist

# The source trees, a line each.
sources() {
    PYTHONPATH=$TOOLS PYTHONDONTWRITEBYTECODE=1 \
        "$BUILD/venv/tools/bin/python" -m patchqueue.deb "$WORK" "$@"
}

# Nothing of the caller's environment gets into a package.
build() {
    cd "$1"
    env -i PATH="$(system_path)" HOME="$WORK" LC_ALL=C.UTF-8 TZ=UTC \
        dpkg-buildpackage --no-sign
}

"$TOOLS/setup.sh" tools packages
rm -rf "$WORK"
mkdir -p "$WORK" "$DIST"
sources "$@" > "$WORK/sources"

while read -r tree; do
    name=$(basename "$tree")
    echo "-- building $name" >&2
    (build "$tree") > "$WORK/$name.log" 2>&1 || {
        tail -30 "$WORK/$name.log" >&2
        echo "error: $name was not built; the whole log is $WORK/$name.log" >&2
        exit 1
    }
done < "$WORK/sources"

# All or nothing: what an older build left goes only now.
rm -f "$DIST"/*.deb "$DIST"/*.dsc "$DIST"/*.orig.tar.gz "$DIST"/*.debian.tar.xz
mv "$WORK"/*.deb "$WORK"/*.dsc "$WORK"/*.orig.tar.gz "$WORK"/*.debian.tar.xz "$DIST"
ls "$DIST"/*.deb "$DIST"/*.dsc
