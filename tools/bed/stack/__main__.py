# SPDX-License-Identifier: Apache-2.0
"""Bring the cloud up or down: ``python -m tools.bed.stack up|is-up|down``; ``prometheus``,
``dashboard`` and ``watcher`` start one beside it; ``boot-node`` begins to boot a further host."""

import functools
import shutil
import sys
from pathlib import Path

from tools.bed import progress
from tools.bed.dashboard import Horizon
from tools.bed.errors import TestbedError
from tools.bed.processes import Daemon, wait_until
from tools.bed.stack import code, config, firewall, leftovers, network, schema, services, storage
from tools.bed.stack.layout import (
    DASHBOARD_PORT,
    METRICS_PORT,
    PASSWORD,
    PROMETHEUS_PORT,
    Layout,
    url,
)
from tools.bed.together import together


def start_all(daemons: list[Daemon]) -> None:
    """Start several daemons at the same time."""
    together(Daemon.start, daemons)


def is_up(layout: Layout) -> bool:
    """Whether every process is there and every service says that it is up."""
    if any(daemon.pid() is None for daemon in services.everything(layout)):
        return False
    if not layout.instances.is_mount():
        return False
    services.libvirt(layout).virsh("version")
    return not _down_services()


def _down_services() -> list[str]:
    from tools.bed.stack import tenants
    cloud = tenants.connect()
    wanted = {"nova-conductor", "nova-scheduler", "nova-compute", "nova-qos-agent"}
    up = {each.binary for each in cloud.compute.services() if each.state == "up"}
    agents = {each.agent_type for each in cloud.network.agents() if each.is_alive}
    return sorted(wanted - up) + sorted(
        {"Open vSwitch agent", "DHCP agent", "L3 agent"} - agents)


def up(layout: Layout) -> None:
    """From nothing to a working cloud, or nothing to do."""
    step = functools.partial(progress.step, log=_steps_log(layout))
    if is_up_quietly(layout) and code.has_this_recipe(layout):
        if code.is_current(layout):
            print("  the cloud is up already")
        else:
            step("nova API and nova-qos-agent once more, from changed code",
                 lambda: code.restart(layout))
            step("all services report that they are up", _wait_for_services)
        return
    down(layout)
    for directory in ("bin", "lib", "lock", "run", "images", "staging", "tasks"):
        (layout.state / directory).mkdir(parents=True, exist_ok=True)
    _write_scripts(layout)
    step("configuration", lambda: config.write_all(layout))
    # before libvirt, whose mount namespace sees only what was mounted by then
    step("disk with the bfq scheduler", lambda: storage.up(layout))
    step("MariaDB, RabbitMQ, memcached, Open vSwitch, libvirt", lambda: _infrastructure(layout))
    step("databases of all services", lambda: schema.synchronise(layout))
    firewall.remember(layout)
    step("network devices", lambda: network.up(layout))
    keystone, *others = services.apis(layout)
    step("keystone", keystone.start)
    from tools.bed.stack import tenants  # the SDK is slow to load, and down needs none of it
    step("accounts and catalogue", tenants.make_accounts)
    step("REST APIs, conductor, scheduler, neutron's servers",
         lambda: start_all([*others, *services.control(layout)]))
    step("network, images, flavors", lambda: tenants.make_resources(layout))
    step("compute host: nova-compute, network agents, nova-qos-agent",
         lambda: start_all(services.compute(layout)))
    step("all services report that they are up", _wait_for_services)
    step("compute host made known", lambda: schema.discover_hosts(layout))
    tenants.write_credentials(layout)
    code.record(layout)
    code.record_recipe(layout)


def _steps_log(layout: Layout) -> Path:
    return layout.state / "steps.log"


def is_up_quietly(layout: Layout) -> bool:
    """As ``is_up``; a cloud that does not answer is down."""
    try:
        return is_up(layout)
    except Exception:  # noqa: BLE001  # whatever the SDK makes of a half-dead cloud
        return False


def _infrastructure(layout: Layout) -> None:
    schema.prepare_database(layout)
    schema.prepare_switch(layout)
    libvirt = services.libvirt(layout)
    daemons = [services.database(layout), services.broker(layout), services.cache(layout)]
    together(lambda start: start(), [
        lambda: start_all(daemons), libvirt.start, lambda: _start_switch(layout)])
    schema.create_databases(layout)


def _start_switch(layout: Layout) -> None:
    database, switch = services.switch(layout)
    database.start()
    schema.initialise_switch(layout)
    switch.start()


def _wait_for_services() -> None:
    if not wait_until(lambda: not _down_services(), 90):
        raise TestbedError(f"still down after 90 s: {', '.join(_down_services())}")


def _write_scripts(layout: Layout) -> None:
    # everything runs as root already; some services insist on a helper to become root
    for path in (layout.state / "bin" / "sudo", layout.state / "venv" / "bin" / "as-root"):
        path.write_text('#!/bin/sh\nexec "$@"\n')
        path.chmod(0o755)


def down(layout: Layout) -> None:
    """Stop every process and take away every device, mount, namespace and control group."""
    together(Daemon.stop, services.everything(layout)[::-1])
    # after nova-compute, which would have its own ideas about domains that vanish
    if layout.state.joinpath("libvirt", "etc").exists():
        services.libvirt(layout).remove()
    leftovers.end(layout)
    network.down(layout)
    firewall.clear(layout)
    storage.down(layout)
    for name in ("db", "rabbitmq", "libvirt", "lib", "run", "images", "keys", "etc", "staging",
                 "prometheus", "dashboard"):
        shutil.rmtree(layout.state / name, ignore_errors=True)


def watch(layout: Layout) -> None:
    """Start a Prometheus that scrapes the agent, unless it runs."""
    from tools.bed import prometheus  # its configuration is YAML, which nothing else needs
    listen = f"127.0.0.1:{PROMETHEUS_PORT}"
    prometheus.daemon(
        layout.state / "prometheus", f"127.0.0.1:{METRICS_PORT}", listen, "5s").start()
    print(f"Prometheus: http://{listen}")


def horizon(layout: Layout) -> Horizon:
    """Horizon with our panel, in the environment that ``demo.sh --dashboard`` has made."""
    return Horizon(
        layout.state / "dashboard", layout.state / "dashboard-venv", layout.program("uwsgi"),
        url("keystone"), f"127.0.0.1:{DASHBOARD_PORT}", {})


def show(layout: Layout) -> None:
    """Start Horizon with our panel, from the tree as it is now."""
    mine = horizon(layout)
    daemon = mine.daemon()
    daemon.stop()
    step = functools.partial(progress.step, log=_steps_log(layout))
    step("Horizon's settings and static files", mine.prepare)
    step("Horizon", daemon.start)
    print(f"Horizon: {mine.url}  user admin, demo or reader, password {PASSWORD}")


def optimise(layout: Layout) -> None:
    """Start Watcher with our strategy, from the tree as it is now."""
    from tools.bed.stack import watcher  # it uses the SDK
    functools.partial(progress.step, log=_steps_log(layout))(
        "Watcher's database, account and services", lambda: watcher.up(layout))
    print(f"Watcher: {layout.program('openstack', watcher.VENV)} optimize strategy list")


def boot_node(layout: Layout) -> None:
    """Begin to boot the first further host, which joins when its tests have their turn."""
    from tools.bed.stack.node import Node  # it uses the SDK
    Node(layout, 2).boot()


def main() -> int:
    """Exit status 0 when it worked; otherwise the reason is printed."""
    layout = Layout.of_environment()
    leftovers.mark(layout)
    try:
        if sys.argv[1] == "is-up":
            return 0 if is_up_quietly(layout) else 1
        {"up": up, "down": down, "prometheus": watch,
         "dashboard": show, "watcher": optimise, "boot-node": boot_node}[sys.argv[1]](layout)
    except TestbedError as error:
        print(f"FAILED: {error}\nlogs: {layout.run}, {_steps_log(layout)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
