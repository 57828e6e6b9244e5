"""nova-compute of a node without a hypervisor, that can be restarted.

Upstream's fake driver is for tests within one process: it has another node
every time it starts, which nova-compute refuses. Here the node is that of
state_path. Its servers are forgotten all the same. And a snapshot becomes an
image that can be used.

Nova loads drivers from nova.virt only: this one is put there.
"""

import io
import sys
import time

# Before anything else of Nova, as in its services.
import nova.monkey_patch  # noqa: F401

from nova.cmd import compute
from nova.image import glance
from nova.virt import fake
from nova.virt import node


class LastingFakeDriver(fake.MediumFakeDriver):

    def get_available_resource(self, nodename):
        resources = super().get_available_resource(nodename)
        resources['uuid'] = node.get_local_node_uuid()
        return resources

    def get_nodenames_by_uuid(self, refresh=False):
        name, = self.get_available_nodes()
        return {node.get_local_node_uuid(): name}

    def snapshot(self, context, instance, image_id, update_task_state):
        super().snapshot(context, instance, image_id, update_task_state)
        # Long enough to be seen.
        time.sleep(2)
        glance.API().update(
            context, image_id,
            {'disk_format': 'raw', 'container_format': 'bare'},
            io.BytesIO(b'snapshot of %s' % instance.uuid.encode()))


fake.LastingFakeDriver = LastingFakeDriver

if __name__ == '__main__':
    # Nova reads its own name there.
    sys.argv[0] = 'nova-compute'
    sys.exit(compute.main())
