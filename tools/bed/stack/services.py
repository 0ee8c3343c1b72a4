# SPDX-License-Identifier: Apache-2.0
"""Every process of the cloud: its command, and how to know that it serves."""

import socket
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path

from tools.bed.libvirtd import PrivateLibvirt
from tools.bed.processes import Daemon
from tools.bed.stack.layout import BROKER_PORT, CACHE_PORT, PLAIN_API_PORT, PORTS, Layout
from tools.bed.stack.shell import try_run

#: The name of the second nova API, and of its configuration directory.
PLAIN = "nova-plain-api"
_LOOPBACK = "127.0.0.1"


def database(layout: Layout) -> Daemon:
    """MariaDB, on a socket only."""
    path = layout.database_socket
    return Daemon(
        "mariadb",
        ["mariadbd", "--no-defaults", "--user=root", f"--datadir={layout.state}/db",
         f"--socket={path}", "--skip-networking", "--skip-log-bin", "--max-connections=1000",
         "--innodb-flush-log-at-trx-commit=2", f"--pid-file={layout.state}/db.pid"],
        layout.run,
        ready=lambda: try_run("mariadb-admin", "--no-defaults", f"--socket={path}", "ping"))


def broker(layout: Layout) -> Daemon:
    """RabbitMQ with a node name, home and ports of its own."""
    home = layout.state / "rabbitmq"
    home.mkdir(parents=True, exist_ok=True)
    return Daemon(
        "rabbitmq", ["/usr/lib/rabbitmq/bin/rabbitmq-server"], layout.run,
        ready=_listens(BROKER_PORT), ready_timeout_s=60,
        environment={
            "HOME": str(home), "RABBITMQ_NODENAME": "novaqos@localhost",
            "RABBITMQ_MNESIA_BASE": str(home / "mnesia"), "RABBITMQ_LOG_BASE": str(home / "log"),
            "RABBITMQ_NODE_IP_ADDRESS": _LOOPBACK, "RABBITMQ_NODE_PORT": str(BROKER_PORT),
            "RABBITMQ_DIST_PORT": str(BROKER_PORT + 1), "ERL_EPMD_ADDRESS": _LOOPBACK,
            "ERL_EPMD_PORT": str(BROKER_PORT + 2), "RABBITMQ_CONFIG_FILE": str(home / "none"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "plugins"),
            "RABBITMQ_CONF_ENV_FILE": str(home / "none"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS":
                "-kernel inet_dist_use_interface {127,0,0,1}",
        })


def cache(layout: Layout) -> Daemon:
    """memcached for tokens."""
    return Daemon("memcached", ["memcached", "-u", "root", "-l", _LOOPBACK, "-p", str(CACHE_PORT)],
                  layout.run, ready=_listens(CACHE_PORT))


def switch(layout: Layout) -> list[Daemon]:
    """Open vSwitch with a database of its own."""
    environment = {"OVS_RUNDIR": str(layout.run), "OVS_LOGDIR": str(layout.run),
                   "OVS_DBDIR": str(layout.state / "ovs")}
    path = layout.run / "db.sock"
    return [
        Daemon("ovsdb-server",
               ["ovsdb-server", str(layout.state / "ovs.db"), f"--remote=punix:{path}",
                f"--unixctl={layout.run}/ovsdb.ctl"],
               layout.run, ready=path.exists, environment=environment),
        Daemon("ovs-vswitchd",
               ["ovs-vswitchd", f"unix:{path}", f"--unixctl={layout.run}/vswitchd.ctl"],
               layout.run, ready=(layout.run / "vswitchd.ctl").exists, environment=environment),
    ]


def libvirt(layout: Layout) -> PrivateLibvirt:
    """A libvirt of the cloud's own."""
    return PrivateLibvirt(layout.state / "libvirt")


def web(
    layout: Layout, service: str, module: str, processes: int, *more: str,
    venv: str = "venv", port: int | None = None,
) -> Daemon:
    """One REST API under uWSGI; more: arguments of that."""
    environment = {f"OS_{service.upper()}_CONFIG_DIR": str(layout.etc(service))}
    if service == "neutron":
        environment["OS_NEUTRON_CONFIG_FILES"] = "neutron.conf;ml2.ini"
    return _uwsgi(layout, f"{service}-api", port or PORTS[service], module, processes, environment,
                  *more, venv=venv)


def plain_api(layout: Layout) -> Daemon:
    """A second nova API, which has no nova-qos; it is no part of ``everything``."""
    return _uwsgi(
        layout, PLAIN, PLAIN_API_PORT, "nova.wsgi.osapi_compute", 2,
        {"OS_NOVA_CONFIG_DIR": str(layout.etc(PLAIN))})


def _uwsgi(
    layout: Layout, name: str, port: int, module: str, processes: int,
    environment: Mapping[str, str], *more: str, venv: str = "venv",
) -> Daemon:
    return Daemon(
        name,
        [layout.program("uwsgi"), "--http-socket", f"{_LOOPBACK}:{port}",
         "--module", f"{module}:application", "--virtualenv", str(layout.state / venv),
         "--master", "--die-on-term", "--processes", str(processes), "--threads", "4",
         "--enable-threads", "--lazy-apps", "--need-app", "--http-chunked-input",
         # glance's client sends images in parts of 1 MiB, which is just too much unless told
         "--chunked-input-limit", str(4 * 2**20),
         # a host under emulation takes an image slowly
         "--socket-timeout", "120", "--buffer-size", "65535",
         "--add-header", "Connection: close", "--disable-logging", *more],
        layout.run, ready=_serves(port), ready_timeout_s=60,
        environment={**environment, **_environment(layout)})


def worker(
    layout: Layout, name: str, program: str, *files: Path, ready: Callable[[], bool] | None = None,
    venv: str = "venv",
) -> Daemon:
    """A service that talks over the message bus."""
    arguments = [word for file in files for word in ("--config-file", str(file))]
    return Daemon(name, [layout.program(program, venv), *arguments], layout.run,
                  ready=ready or (lambda: True), ready_timeout_s=60, stop_timeout_s=5,
                  environment=_environment(layout))


def agent(layout: Layout, *more: Path) -> Daemon:
    """Our own agent; more: configuration files besides nova.conf."""
    return worker(layout, "nova-qos-agent", "nova-qos-agent",
                  layout.etc("nova-compute") / "nova.conf", *more)


def nova_compute(layout: Layout, *more: Path) -> Daemon:
    """Nova's own; more: configuration files besides nova.conf."""
    return worker(layout, "nova-compute", "nova-compute",
                  layout.etc("nova-compute") / "nova.conf", *more)


def control(layout: Layout) -> list[Daemon]:
    """What runs beside the APIs."""
    nova = layout.etc("nova") / "nova.conf"
    neutron = [layout.etc("neutron") / name for name in ("neutron.conf", "ml2.ini")]
    return [
        worker(layout, "nova-conductor", "nova-conductor", nova),
        worker(layout, "nova-scheduler", "nova-scheduler", nova),
        worker(layout, "neutron-rpc-server", "neutron-rpc-server", *neutron),
        worker(layout, "neutron-periodic-workers", "neutron-periodic-workers", *neutron),
    ]


def compute(layout: Layout) -> list[Daemon]:
    """What runs on a compute host."""
    etc = layout.etc("neutron")
    return [
        worker(layout, "neutron-openvswitch-agent", "neutron-openvswitch-agent",
               etc / "neutron.conf", etc / "ovs-agent.ini"),
        worker(layout, "neutron-dhcp-agent", "neutron-dhcp-agent",
               etc / "neutron.conf", etc / "dhcp-agent.ini"),
        worker(layout, "neutron-l3-agent", "neutron-l3-agent",
               etc / "neutron.conf", etc / "l3-agent.ini"),
        nova_compute(layout),
        agent(layout),
    ]


def apis(layout: Layout) -> list[Daemon]:
    """keystone first: the others ask it."""
    return [
        web(layout, "keystone", "keystone.wsgi.api", 2),
        web(layout, "placement", "placement.wsgi.api", 1),
        web(layout, "glance", "glance.wsgi.api", 1),
        web(layout, "neutron", "neutron.wsgi.api", 1),
        web(layout, "nova", "nova.wsgi.osapi_compute", 2),
    ]


def everything(layout: Layout) -> list[Daemon]:
    """In the order of starting, without libvirt."""
    return [database(layout), broker(layout), cache(layout), *switch(layout), *apis(layout),
            *control(layout), *compute(layout)]


def _environment(layout: Layout) -> dict[str, str]:
    path = f"{layout.state}/bin:{layout.state}/venv/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return {"PATH": path, "OVS_RUNDIR": str(layout.run), "PYTHONPATH": ""}


def _listens(port: int) -> Callable[[], bool]:
    def listens() -> bool:
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex((_LOOPBACK, port)) == 0

    return listens


def _serves(port: int) -> Callable[[], bool]:
    def serves() -> bool:
        # the socket is there before the application is
        try:
            with urllib.request.urlopen(f"http://{_LOOPBACK}:{port}/", timeout=30):
                return True
        except urllib.error.HTTPError as error:
            return error.code < 500
        except OSError:
            return False

    return serves
