# SPDX-License-Identifier: Apache-2.0
"""nova-qos-agent: the compute host's side, wired together on one page."""

# autopep8: off
import ctypes
import sys
from importlib import metadata

from nova_qos.cmd import lazy

try:
    lazy.imports()  # before nova and pyroute2 import what the agent never uses
    import libvirt
    import pyroute2  # noqa: F401
    from nova import monkey_patch
except ModuleNotFoundError as error:
    sys.exit(f"nova-qos-agent: {error}; on a compute host, install nova-qos with its extra: "
             "pip install 'nova-qos[agent]'")

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
from nova.virt import hardware
from oslo_config import cfg
from oslo_log import log as logging
from oslo_messaging import opts as messaging_options
from oslo_service import opts as service_options

from nova_qos import conf
from nova_qos.agent.look import Looker
from nova_qos.agent.readings import Readings
from nova_qos.agent.service import Accounts, AgentManager, Exports
from nova_qos.balance_options import thresholds_of
from nova_qos.bus import wire
from nova_qos.cmd import balance_report, check
from nova_qos.cmd.claim import Claimed, claim
from nova_qos.core.plan import Capacity
from nova_qos.host import Networks
from nova_qos.net.inbound import Inbound
from nova_qos.net.outbound import Outbound
from nova_qos.virt import events
from nova_qos.virt.host import LibvirtHost
from nova_qos.virt.kernel import Kernel

BINARY = "nova-qos-agent"
#: Requests that are answered side by side, unless nova.conf says otherwise: none of them waits for
#: a guest, so more threads would only take memory.
_RPC_THREADS = 12
# mallopt(3): glibc gives each thread an arena of its own, which it never returns; two are enough
_M_ARENA_MAX, _ARENAS = -8, 2
CONF = nova.conf.CONF
CHECK = cfg.BoolOpt(
    "check", default=False,
    help="Print for each resource whether this host supports it, change nothing, and exit: with 0 "
         "if all work, else with 1.")


BALANCE_REPORT = cfg.BoolOpt(
    "balance-report", default=False,
    help="Print what balancing would do with the memory of this host's servers now, whatever "
         "[nova_qos_balance] mode is, touch nothing, and exit: with 0, or with 1 if the host "
         "cannot be read.")


class LibvirtAgent(AgentManager):
    """The agent of a libvirt host; nova's service makes it by name."""

    def __init__(self, host: str) -> None:
        super().__init__(host, _machine(), CONF, export=_export if _listens() else None)


def _machine() -> LibvirtHost:
    return LibvirtHost(
        _uri(), _networks(), CONF.nova_qos.memory_soft_limit_v2, _capacity(),
        CONF.nova_qos_balance.memory_mib)


def _listens() -> bool:
    return bool(CONF.nova_qos.metrics_listen)


def _export(looker: Looker, readings: Readings, accounts: Accounts) -> Exports:
    # its library takes memory, which agents without metrics save
    from nova_qos.agent.exporter import Exporter

    number = libvirt.getVersion()
    versions = (metadata.version("nova-qos"), metadata.version("nova"),
                f"{number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}")
    return Exporter(looker, readings, CONF, versions,
                    lambda: check.abilities(CONF, _uri(), _networks()), accounts)


def _uri() -> str:
    return CONF.libvirt.connection_uri or "qemu:///system"


def _networks() -> Networks:
    options, mask = CONF.nova_qos, int(CONF.nova_qos.mark_mask, 16)
    return {
        "net_class": Outbound(
            options.uplinks, CONF.tc.htb_rate, options.default_net_weight, mask),
        "net_in_class": Inbound(CONF.tc.htb_rate_in, options.default_net_weight, mask)}


def _capacity() -> Capacity:
    """What can be guaranteed to servers: the processors that nova has them share, and the memory
    that it does not reserve for the host."""
    shared, dedicated = hardware.get_cpu_shared_set(), hardware.get_cpu_dedicated_set()
    if shared is None and dedicated:
        # nova then has no server share a processor
        shared = set()
    return Kernel().capacity(
        None if shared is None else len(shared), CONF.reserved_host_memory_mb)


def main() -> None:
    """Run the agent until it is told to stop; takes nova's own command line and nova.conf."""
    conf.register(CONF)
    CONF.register_cli_opts([CHECK, BALANCE_REPORT])
    config.parse_args(sys.argv, configure_db=False, init_rpc=False)
    if CONF.check:
        try:
            sys.exit(check.run(CONF, _uri(), _networks()))
        except cfg.Error as error:
            sys.exit(f"{BINARY}: {error}")
    _stay_small()
    nova_rpc.init(CONF)
    logging.setup(CONF, "nova")
    service_options.register_service_opts(CONF)
    objects.register_all()
    # like nova-compute: objects come and go through nova-conductor, never from the database
    nova.db.main.api.DISABLE_DB_ACCESS = True
    objects_base.NovaObject.indirection_api = conductor.ConductorAPI()
    if CONF.balance_report:
        sys.exit(_report_balance())
    events.run_loop()
    manager = f"{LibvirtAgent.__module__}.{LibvirtAgent.__name__}"
    try:
        server = service.Service.create(binary=BINARY, topic=wire.TOPIC, manager=manager)
        # before it consumes a message; kept until the process ends
        _claimed = claim(CONF.host)
    except (cfg.Error, Claimed) as error:
        sys.exit(f"{BINARY}: {error}")
    service.serve(server, workers=1, no_fork=True)
    service.wait()


def _report_balance() -> int:
    # for the servers, with their policies as agents keep them; it is not started
    looker = LibvirtAgent(CONF.host).looker
    return balance_report.run(
        looker.machine.memory, thresholds_of(CONF, CONF.libvirt.mem_stats_period_seconds),
        lambda: {server.uuid: server for server in looker.roster.servers()
                 if server.host == looker.roster.host})


def _stay_small() -> None:
    for group, options in messaging_options.list_opts():
        if group is None:
            CONF.register_opts(options)
    messaging_options.set_defaults(CONF, executor_thread_pool_size=_RPC_THREADS)
    ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _ARENAS)


if __name__ == "__main__":
    main()
