# An index of the commands. Each is a script in tools/, which has --help.

.DEFAULT_GOAL := help
.PHONY: help tree series check test test-upstream test-packages test-netbox \
    test-libvirt test-cloud test-tempest bench cloud cloud-stop cloud-real \
    cloud-real-stop cloud-status cloud-logs cloud-restart packages deb rpm \
    wheel release clean

help:           ## show this list
	@sed -n 's/^\([a-z0-9-]*\): *## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 24

packages:       ## build DEB, RPM and wheel into dist/
	@tools/packages.sh

test:           ## all tests: tools, ours, upstream's near our edits, queue, packages
	@tools/test.sh

tree:           ## put upstream, nova/ and patches/ together in build/tree
	@tools/tree.sh

series:         ## write the queue as one plain quilt series to dist/patches/
	@tools/series.sh

check:          ## check that the queue holds
	@tools/check-queue.sh

test-packages:  ## build the packages, install them in clean roots and run them
	@tools/test.sh packages

test-netbox:    ## the CMDB driver against a real NetBox, which is installed
	@tools/test.sh netbox

test-libvirt:   ## live metrics of real guests, compared with virsh (needs root)
	@tools/test.sh libvirt

test-cloud:     ## stories on the cloud of real services (needs root); FROM=packages
	@CLOUD_FROM=$(FROM) tools/test.sh cloud-real

test-upstream:  ## upstream's whole suites, compared with stock (two hours)
	@tools/test-upstream.sh

test-tempest:   ## Tempest's compute tests on the cloud, compared with stock (22 min)
	@tools/test-tempest.sh

bench:          ## the figures of a benchmark: make bench NAME=flavor_rules
	@tools/bench.sh $(NAME)

cloud:          ## start the embedded cloud, to try the fork
	@tools/cloud.sh start

cloud-stop:     ## end it
	@tools/cloud.sh stop

cloud-real:     ## start the cloud of real services (needs root); FROM=packages
	@tools/cloud-real.sh start $(if $(FROM),--from $(FROM))

cloud-real-stop: ## end it, and remove all but the logs
	@tools/cloud-real.sh stop

cloud-status:   ## the services of the cloud of real services
	@tools/cloud-real.sh status

cloud-logs:     ## the log of one: make cloud-logs SERVICE=nova-compute
	@tools/cloud-real.sh logs $(SERVICE)

cloud-restart:  ## restart one, to run changed code: SERVICE=nova-compute
	@tools/cloud-real.sh restart $(SERVICE)

deb:            ## build the DEB packages
	@tools/build-deb.sh

rpm:            ## build the RPM packages
	@tools/build-rpm.sh

wheel:          ## build the wheel
	@tools/build-wheel.sh

release:        ## cut a release: check, build, test, tag
	@tools/release.sh

clean:          ## remove what was built, but none of your work
	@tools/clean.sh
