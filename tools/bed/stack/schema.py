# SPDX-License-Identifier: Apache-2.0
"""Databases, keys and cells: what each service needs before its first start."""

from collections.abc import Callable

from tools.bed.stack.layout import BROKER_URL, DATABASES, PASSWORD, REGION, Layout, url
from tools.bed.stack.shell import run
from tools.bed.together import together


def prepare_database(layout: Layout) -> None:
    """An empty data directory for MariaDB."""
    run("mariadb-install-db", "--no-defaults", "--user=root", f"--datadir={layout.state}/db",
        "--auth-root-authentication-method=normal", "--skip-test-db")


def create_databases(layout: Layout) -> None:
    """An empty database for each service."""
    for name in DATABASES:
        create_database(layout, name)


def create_database(layout: Layout, name: str) -> None:
    """An empty database, unless there is one."""
    _mariadb(layout, f"CREATE DATABASE IF NOT EXISTS {name} CHARACTER SET utf8;")


def drop_database(layout: Layout, name: str) -> None:
    """Delete a database, if there is one."""
    _mariadb(layout, f"DROP DATABASE IF EXISTS {name};")


def _mariadb(layout: Layout, statement: str) -> None:
    run("mariadb", "--no-defaults", f"--socket={layout.database_socket}", feed=statement)


def prepare_switch(layout: Layout) -> None:
    """An empty Open vSwitch database."""
    path = layout.state / "ovs.db"
    path.unlink(missing_ok=True)
    run("ovsdb-tool", "create", path, "/usr/share/openvswitch/vswitch.ovsschema")


def initialise_switch(layout: Layout) -> None:
    """Let Open vSwitch keep its own record of versions."""
    run("ovs-vsctl", f"--db=unix:{layout.run}/db.sock", "--no-wait", "init")


def synchronise(layout: Layout) -> None:
    """Every service's tables, at the same time."""
    steps: list[Callable[[Layout], None]] = [
        _keystone, _glance, _placement, _neutron, _nova, synchronise_policies]
    together(lambda step: step(layout), steps)


def synchronise_policies(layout: Layout) -> None:
    """The tables of the named policies, as the source tree has them."""
    run(layout.program("nova-qos-manage"),
        "--config-file", layout.etc("nova") / "nova.conf", "db", "sync")


def discover_hosts(layout: Layout) -> None:
    """Make new compute hosts known to the API."""
    _nova_manage(layout, "cell_v2", "discover_hosts")


def _keystone(layout: Layout) -> None:
    def manage(*arguments: str) -> None:
        run(layout.program("keystone-manage"),
            "--config-file", layout.etc("keystone") / "keystone.conf", *arguments)

    manage("db_sync")
    for kind in ("fernet", "credential"):
        manage(f"{kind}_setup", "--keystone-user", "root", "--keystone-group", "root")
    manage("bootstrap", "--bootstrap-password", PASSWORD, "--bootstrap-region-id", REGION,
           *(word for interface in ("admin", "internal", "public")
             for word in (f"--bootstrap-{interface}-url", url("keystone"))))


def _glance(layout: Layout) -> None:
    run(layout.program("glance-manage"),
        "--config-file", layout.etc("glance") / "glance-api.conf", "db_sync")


def _placement(layout: Layout) -> None:
    run(layout.program("placement-manage"),
        "--config-file", layout.etc("placement") / "placement.conf", "db", "sync")


def _neutron(layout: Layout) -> None:
    run(layout.program("neutron-db-manage"),
        "--config-file", layout.etc("neutron") / "neutron.conf",
        "--config-file", layout.etc("neutron") / "ml2.ini", "upgrade", "heads")


def _nova(layout: Layout) -> None:
    _nova_manage(layout, "api_db", "sync")
    _nova_manage(layout, "cell_v2", "map_cell0",
                 "--database_connection", layout.database_url("nova_cell0"))
    _nova_manage(layout, "cell_v2", "create_cell", "--name", "cell1",
                 "--database_connection", layout.database_url("nova"),
                 "--transport-url", BROKER_URL)
    _nova_manage(layout, "db", "sync")


def _nova_manage(layout: Layout, *arguments: str) -> None:
    run(layout.program("nova-manage"),
        "--config-file", layout.etc("nova") / "nova.conf", *arguments)
