# SPDX-License-Identifier: Apache-2.0
"""The services' configuration files, as data."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from tools.bed.stack.layout import (
    BROKER_URL,
    CACHE_PORT,
    METRICS_PORT,
    PASSWORD,
    REGION,
    Layout,
    url,
)
from tools.bed.stack.network import EXTERNAL, INTEGRATION, UPLINK
from tools.bed.stack.shell import run

#: What the servers may send together, and receive together.
HTB_RATE_MBIT = 80
#: How often the agent asks by itself whether policies have changed, by default each 60 s. Tests
#: wait less for what it is told at once.
POLICY_INTERVAL_S = 30

Sections = Mapping[str, Mapping[str, object]]


def write(path: Path, sections: Sections) -> Path:
    """Write an INI file as oslo.config reads it; a list is an option given several times."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = []
    for section, options in sections.items():
        lines.append(f"[{section}]")
        for key, value in options.items():
            values = value if isinstance(value, list) else [value]
            lines += [f"{key} = {each}" for each in values]
    path.write_text("\n".join(lines) + "\n")
    return path


def account(user: str) -> dict[str, object]:
    """With which a service asks others."""
    return {
        "auth_type": "password", "auth_url": url("keystone"), "username": user,
        "password": PASSWORD, "project_name": "service", "user_domain_name": "Default",
        "project_domain_name": "Default", "region_name": REGION,
    }


def token(user: str) -> dict[str, object]:
    """With which a service has keystone judge those that ask it."""
    return {
        **account(user), "www_authenticate_uri": url("keystone"),
        "memcached_servers": f"127.0.0.1:{CACHE_PORT}", "service_token_roles_required": True,
    }


def logging(layout: Layout) -> dict[str, object]:
    """Where a service logs and how it reaches the message bus."""
    return {"use_stderr": True, "debug": False,
            "state_path": layout.state / "lib", "transport_url": BROKER_URL}


def write_all(layout: Layout) -> None:
    """Every service's files."""
    _write_keystone(layout)
    _write_glance(layout)
    _write_placement(layout)
    _write_neutron(layout)
    _write_nova(layout)


def _write_keystone(layout: Layout) -> None:
    keys = layout.state / "keys"
    write(layout.etc("keystone") / "keystone.conf", {
        "DEFAULT": {"use_stderr": True},
        "database": {"connection": layout.database_url("keystone")},
        "token": {"provider": "fernet", "expiration": 86400},
        "fernet_tokens": {"key_repository": keys / "fernet"},
        "credential": {"key_repository": keys / "credential"},
        "cache": {"enabled": True, "backend": "dogpile.cache.memcached",
                  "memcache_servers": f"127.0.0.1:{CACHE_PORT}"},
    })


def _write_glance(layout: Layout) -> None:
    write(layout.etc("glance") / "glance-api.conf", {
        "DEFAULT": {"use_stderr": True, "enabled_backends": "local:file"},
        "database": {"connection": layout.database_url("glance")},
        "keystone_authtoken": token("glance"),
        "paste_deploy": {
            "flavor": "keystone",
            "config_file": layout.state / "venv/etc/glance/glance-api-paste.ini"},
        "glance_store": {"default_backend": "local"},
        "local": {"filesystem_store_datadir": layout.state / "images"},
        "os_glance_staging_store": {"filesystem_store_datadir": layout.state / "staging"},
        "os_glance_tasks_store": {"filesystem_store_datadir": layout.state / "tasks"},
        "oslo_concurrency": {"lock_path": layout.state / "lock"},
    })


def _write_placement(layout: Layout) -> None:
    write(layout.etc("placement") / "placement.conf", {
        "DEFAULT": {"use_stderr": True},
        "placement_database": {"connection": layout.database_url("placement")},
        "api": {"auth_strategy": "keystone"},
        "keystone_authtoken": token("placement"),
    })


def _write_neutron(layout: Layout) -> None:
    root = {"root_helper": layout.program("as-root")}
    ovs = {"ovsdb_connection": f"unix:{layout.run}/db.sock", "datapath_type": "netdev",
           "integration_bridge": INTEGRATION}
    write(layout.etc("neutron") / "neutron.conf", {
        "DEFAULT": {
            **logging(layout), "core_plugin": "ml2", "service_plugins": "router",
            "auth_strategy": "keystone", "dhcp_agents_per_network": 1, "api_workers": 1,
            "rpc_workers": 1, "rpc_state_report_workers": 0,
            "api_paste_config": layout.state / "venv/etc/neutron/api-paste.ini",
        },
        "agent": {**root},
        "database": {"connection": layout.database_url("neutron")},
        "keystone_authtoken": token("neutron"),
        "nova": account("nova"),
        "placement": account("placement"),
        "oslo_concurrency": {"lock_path": layout.state / "lock"},
        "oslo_messaging_rabbit": {"rabbit_quorum_queue": False},
    })
    write(layout.etc("neutron") / "ml2.ini", {
        "ml2": {"type_drivers": "flat,local", "tenant_network_types": "local",
                "mechanism_drivers": "openvswitch", "extension_drivers": "port_security"},
        "ml2_type_flat": {"flat_networks": "physnet1"},
        "securitygroup": {"firewall_driver": "iptables_hybrid"},
    })
    write(layout.etc("neutron") / "ovs-agent.ini", {
        "ovs": {**ovs, "bridge_mappings": f"physnet1:{EXTERNAL}", "of_listen_port": 16633},
        "agent": {"tunnel_types": ""},
        "securitygroup": {"firewall_driver": "iptables_hybrid"},
    })
    write(layout.etc("neutron") / "dhcp-agent.ini", {
        "DEFAULT": {"interface_driver": "openvswitch", "enable_isolated_metadata": False},
        "ovs": {**ovs},
    })
    write(layout.etc("neutron") / "l3-agent.ini", {
        "DEFAULT": {"interface_driver": "openvswitch", "enable_metadata_proxy": False},
        "ovs": {**ovs},
    })


def _write_nova(layout: Layout) -> None:
    common: dict[str, Mapping[str, object]] = {
        "DEFAULT": _nova_defaults(layout), **_nova_neighbours(), **_nova_host(layout),
        "oslo_concurrency": {"lock_path": layout.state / "lock"},
        "notifications": {"notification_format": "both"},
        "scheduler": {"workers": 1},
        "conductor": {"workers": 1},
    }
    # nova-compute and the agent reach the database through nova-conductor only
    write(layout.etc("nova-compute") / "nova.conf", common)
    paste = layout.etc("nova") / "api-paste.ini"
    write(layout.etc("nova") / "nova.conf", {
        **common,
        "database": {"connection": layout.database_url("nova")},
        "api_database": {"connection": layout.database_url("nova_api")},
        "nova_qos_database": {"connection": layout.database_url("nova_qos")},
        "wsgi": {"api_paste_config": paste},
        "api": {"auth_strategy": "keystone"},
    })
    shutil.copy(novas_paste(layout), paste)
    run(layout.program("nova-qos-paste"), "enable", paste)


def novas_paste(layout: Layout) -> Path:
    """The api-paste.ini that nova brings, without nova-qos."""
    return layout.state / "venv/etc/nova/api-paste.ini"


def _nova_defaults(layout: Layout) -> dict[str, object]:
    return {
        **logging(layout), "compute_driver": "libvirt.LibvirtDriver",
        "instances_path": layout.instances, "my_ip": "127.0.0.1",
        "resume_guests_state_on_host_boot": True, "cpu_allocation_ratio": 16,
        "ram_allocation_ratio": 4, "disk_allocation_ratio": 16,
        "service_down_time": 30, "report_interval": 5, "rpc_response_timeout": 20,
        "allow_resize_to_same_host": True,
        # the guests have nobody who would listen to a power button: nobody waits for it
        "shutdown_timeout": 0,
    }


def _nova_neighbours() -> Sections:
    """How nova reaches the other services."""
    return {
        "keystone_authtoken": token("nova"),
        "service_user": {**account("nova"), "send_service_user_token": True},
        "placement": account("placement"),
        "neutron": {**account("neutron"), "ovs_bridge": INTEGRATION},
        "glance": {"api_servers": url("glance")},
    }


def _nova_host(layout: Layout) -> Sections:
    """What nova and nova-qos do on the compute host."""
    return {
        "vnc": {"enabled": False},
        "libvirt": {
            "virt_type": "qemu", "cpu_mode": "none", "tb_cache_size": 64,
            "mem_stats_period_seconds": 2, "inject_partition": -2,
            "connection_uri":
                f"qemu+unix:///system?socket={layout.state}/libvirt/run/libvirt-sock",
        },
        "workarounds": {"disable_rootwrap": True},
        "os_vif_ovs": {"ovsdb_connection": f"unix:{layout.run}/db.sock",
                       "ovsdb_interface": "native"},
        "nova_qos": {"rpc_timeout": 15, "balloon_timeout": 10, "uplinks": UPLINK,
                     "check_interval": 5, "policy_interval": POLICY_INTERVAL_S,
                     "state_directory": layout.state / "lib/nova-qos",
                     "metrics_listen": f"127.0.0.1:{METRICS_PORT}"},
        "tc": {"htb_rate": HTB_RATE_MBIT, "htb_rate_in": HTB_RATE_MBIT},
    }
