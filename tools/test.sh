#!/usr/bin/env bash
# usage: tools/test.sh [SUITE...] [--name TEST]...
#
# Run the suites, all but netbox, libvirt and cloud-real unless told, and print
# their counts and the sum.
#   tools       the tests of the queue's tools
#   pep8        upstream's style checks on our files, flake8 on the tools
#   unit        our unit tests, and upstream's of what the queue edits
#   functional  our functional tests
#   api-ref     upstream's API reference with our pages, without a warning
#   services    nova-api, nova-manage and CMDB agents on a MariaDB and a RabbitMQ
#   client      the openstack plug-in, with openstack of 2024.1 and of now
#   cloud       stories on the embedded cloud
#   cloud-real  stories on the cloud of real services; needs root. CLOUD_FROM says
#               which Nova it is of: tree (unless told) or packages
#   netbox      the CMDB driver for NetBox, against a real one
#   py39        our unit tests on Python 3.9, that of EL9
#   queue       tools/check-queue.sh
#   packages    build the packages, install them and run them
#   libvirt     Nova's libvirt driver with real guests; needs root
# TEST is the dotted name of a test, a class or a module of nova.tests: only
# those run, in their suite or the ones named.
source "$(dirname "$0")/lib.sh"
[ $# -gt 0 ] || set -- \
    tools pep8 unit functional api-ref services client cloud py39 queue packages
"$TOOLS/tree.sh" >/dev/null
"$TOOLS/setup.sh" nova
for suite in "$@"; do
    case $suite in
        api-ref) "$TOOLS/setup.sh" api-ref ;;
        cloud) "$TOOLS/setup.sh" client ;;
        cloud-real)
            "$TOOLS/setup.sh" client services libvirt cloud
            [ "${CLOUD_FROM:-}" != packages ] || "$TOOLS/setup.sh" packages ;;
        netbox) "$TOOLS/setup.sh" netbox ;;
        services) "$TOOLS/setup.sh" services client ;;
        libvirt) "$TOOLS/setup.sh" libvirt ;;
        client)
            "$TOOLS/setup.sh" client
            PYTHON39_CLIENT=$("$TOOLS/python39.sh" client)
            export PYTHON39_CLIENT ;;
        py39) PYTHON39=$("$TOOLS/python39.sh" nova); export PYTHON39 ;;
        packages) "$TOOLS/packages.sh" ;;
    esac
done
patchqueue test "$@"
