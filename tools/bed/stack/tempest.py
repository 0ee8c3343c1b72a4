# SPDX-License-Identifier: Apache-2.0
"""Tempest's configuration for this cloud, as data."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.bed.stack import tenants
from tools.bed.stack.config import Sections
from tools.bed.stack.layout import PASSWORD, REGION, url

#: Of every account, server, flavor and so on that the tests make.
PREFIX = "tempest"
#: MiB of the servers. The demo's own flavors have no disk, and only administrators may use such.
_FLAVORS = {"for-tempest-small": 256, "for-tempest-large": 512}
_DISK_GIB = 1


@dataclass(frozen=True)
class Parts:
    """The ids of what the tests use: they start servers of the smaller flavor, and resize to and
    rebuild from the others."""

    image: str
    other_image: str
    flavor: str
    larger_flavor: str
    network: str


@contextlib.contextmanager
def parts(cloud: Any) -> Iterator[Parts]:
    """What ``tenants`` has made, and two flavors for a while."""
    image, other = (cloud.image.find_image(name, ignore_missing=False).id
                    for name in (tenants.IMAGE, tenants.IMAGE_WITHOUT_BALLOON))
    network = cloud.network.find_network(tenants.NETWORK, ignore_missing=False).id
    # a run that was ended may have left them
    _remove_flavors(cloud)
    try:
        small, large = (
            cloud.compute.create_flavor(name=name, ram=ram, vcpus=1, disk=_DISK_GIB).id
            for name, ram in _FLAVORS.items())
        yield Parts(image, other, small, large, network)
    finally:
        _remove_flavors(cloud)


def _remove_flavors(cloud: Any) -> None:
    for each in [each for each in cloud.compute.flavors() if each.name in _FLAVORS]:
        cloud.compute.delete_flavor(each)


def sections(parts: Parts, place: Path, catalog_type: str, has_nova_qos: bool) -> Sections:
    """A tempest.conf that asks the nova API of this type in keystone's catalogue.

    :param place: the directory for locks and logs
    """
    return {
        "DEFAULT": {"log_file": place / "tempest.log", "debug": False,
                    "resource_name_prefix": PREFIX},
        "oslo_concurrency": {"lock_path": place / "lock"},
        "auth": {
            "use_dynamic_credentials": True, "tempest_roles": "member",
            # the shared network has DHCP, and each network more would need an agent's time
            "create_isolated_networks": False,
            "admin_username": "admin", "admin_password": PASSWORD, "admin_project_name": "admin",
            "admin_domain_name": "Default",
        },
        "identity": {"uri_v3": url("keystone"), "auth_version": "v3", "region": REGION},
        "service_available": {
            "nova": True, "glance": True, "neutron": True, "cinder": False, "swift": False,
            "horizon": False, "nova_qos": has_nova_qos,
        },
        "network": {"public_network_id": parts.network,
                    "floating_network_name": tenants.NETWORK},
        "compute": {
            "catalog_type": catalog_type, "image_ref": parts.image,
            "image_ref_alt": parts.other_image, "flavor_ref": parts.flavor,
            "flavor_ref_alt": parts.larger_flavor, "fixed_network_name": tenants.NETWORK,
            "max_microversion": "latest", "min_compute_nodes": 1, "hypervisor_type": "QEMU",
            "build_timeout": 300,
        },
        # the servers' network is the one outside, where floating addresses come from
        "network-feature-enabled": {"floating_ips": False},
        "compute-feature-enabled": _features(),
        # nothing in these guests answers SSH
        "validation": {"run_validation": False},
    }


def _features() -> dict[str, object]:
    absent = ("cold_migration", "live_migration", "metadata_service", "personality",
              "config_drive", "attach_encrypted_volume", "ide_bus", "stable_rescue")
    present = ("resize", "hostname_fqdn_sanitization")
    return {**dict.fromkeys(absent, False), **dict.fromkeys(present, True)}
