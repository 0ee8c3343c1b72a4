# SPDX-License-Identifier: Apache-2.0
"""nova-qos-agent: everything of the compute host's side, wired on one page."""

# autopep8: off
import sys

from nova import monkey_patch

try:
    monkey_patch.patch(backend="threading")  # first of all: nova decides its threading on import
except (AttributeError, TypeError):
    sys.exit("nova-qos-agent needs nova 33 (2026.1) or later: it runs on native threads, and the "
             "services of nova before that do not")
# autopep8: on

import nova.conf
import nova.db.main.api
from nova import config, objects, service
from nova import rpc as nova_rpc
from nova.conductor import rpcapi as conductor
from nova.objects import base as objects_base
from oslo_config import cfg
from oslo_log import log as logging
from oslo_service import opts as service_options

from nova_qos import rpc
from nova_qos.agent.manager import AgentManager
from nova_qos.cmd import check
from nova_qos.net.shaper import Shaper
from nova_qos.virt import events
from nova_qos.virt.host import LibvirtHost

BINARY = "nova-qos-agent"
CONF = nova.conf.CONF
CHECK = cfg.BoolOpt(
    "check", default=False,
    help="Print what this host can do with each resource of its servers, change nothing, and exit: "
    "with 0 when all work, else 1.")


class LibvirtAgent(AgentManager):
    """The agent of a libvirt host; nova's service makes it by name."""

    def __init__(self, host: str) -> None:
        machine = LibvirtHost(_uri(), _network(), CONF.nova_qos.memory_soft_limit_v2)
        super().__init__(host, machine, CONF)


def _uri() -> str:
    return CONF.libvirt.connection_uri or "qemu:///system"


def _network() -> Shaper:
    options = CONF.nova_qos
    return Shaper(options.uplinks, CONF.tc.htb_rate, options.default_net_weight)


def main() -> None:
    """Run the agent until it is told to stop; takes nova's own command line and nova.conf."""
    CONF.register_cli_opt(CHECK)
    config.parse_args(sys.argv, configure_db=False, init_rpc=False)
    if CONF.check:
        sys.exit(check.run(CONF, _uri(), _network()))
    nova_rpc.init(CONF)
    logging.setup(CONF, "nova")
    service_options.register_service_opts(CONF)
    objects.register_all()
    # like nova-compute: objects come and go through nova-conductor, never from the database
    nova.db.main.api.DISABLE_DB_ACCESS = True
    objects_base.NovaObject.indirection_api = conductor.ConductorAPI()
    events.run_loop()
    manager = f"{LibvirtAgent.__module__}.{LibvirtAgent.__name__}"
    try:
        server = service.Service.create(binary=BINARY, topic=rpc.TOPIC, manager=manager)
    except cfg.Error as error:
        sys.exit(f"{BINARY}: {error}")
    service.serve(server, workers=1, no_fork=True)
    service.wait()


if __name__ == "__main__":
    main()
