"""The network agents of the nodes without a hypervisor.

    fake_agents.py --config-file FILE... HOST...

neutron binds a port on a host only where an agent says that it is alive. These
say so, and have nothing to plug in: a port there has an address, and stays
DOWN.
"""

import sys
import time

from neutron.agent import rpc
from neutron.common import config as neutron_config
from neutron.conf.agent import common as agent_config
from neutron_lib.agent import topics
from neutron_lib import constants
from neutron_lib import context
from oslo_config import cfg

_BINARY = 'fake-linuxbridge-agent'
#: A report is lost when the server is not there yet; the first must not wait.
_SECONDS = 5


def main():
    neutron_config.register_common_config_options()
    agent_config.register_agent_state_opts_helper(cfg.CONF)
    cfg.CONF.register_cli_opt(cfg.MultiStrOpt('hosts', positional=True))
    neutron_config.init(sys.argv[1:])
    neutron_config.setup_logging()
    reports = rpc.PluginReportStateAPI(topics.REPORTS)
    admin = context.get_admin_context()
    while True:
        for host in cfg.CONF.hosts:
            reports.report_state(admin, {
                'binary': _BINARY, 'host': host, 'topic': 'N/A',
                'agent_type': constants.AGENT_TYPE_LINUXBRIDGE,
                'configurations': {}})
        time.sleep(_SECONDS)


if __name__ == '__main__':
    main()
