# SPDX-License-Identifier: Apache-2.0
"""Accounts, catalogue, images, flavors and network of the cloud; nothing is made twice."""

import os
from pathlib import Path
from typing import Any

import openstack

from tools.bed.guest import GuestImages
from tools.bed.stack.layout import PASSWORD, REGION, Layout, url
from tools.bed.stack.network import BEHIND_CIDR, CIDR, OUTSIDE_ADDRESS, routers_directory

_SERVICES = {"glance": "image", "placement": "placement", "neutron": "network", "nova": "compute"}
#: user: (project, role)
PEOPLE = {"admin": ("demo", "admin"), "demo": ("demo", "member"), "reader": ("demo", "reader"),
          "other": ("other", "member")}
FLAVORS = {"m512": 512, "m256": 256}
NETWORK, IMAGE, IMAGE_WITHOUT_BALLOON = "shared", "guest", "guest-without-balloon"
#: The network whose servers reach the world outside through the router of the same name.
BEHIND = "behind"


def credentials(user: str) -> dict[str, str]:
    """The environment of a person's command lines."""
    return {
        "OS_AUTH_URL": url("keystone"), "OS_IDENTITY_API_VERSION": "3", "OS_USERNAME": user,
        "OS_PASSWORD": PASSWORD, "OS_PROJECT_NAME": PEOPLE[user][0], "OS_REGION_NAME": REGION,
        "OS_USER_DOMAIN_NAME": "Default", "OS_PROJECT_DOMAIN_NAME": "Default",
    }


def write_credentials(layout: Layout) -> None:
    """``USER-openrc`` for each person, to be sourced by a shell."""
    for user in PEOPLE:
        path = layout.state / f"{user}-openrc"
        path.write_text("".join(f"export {k}={v}\n" for k, v in credentials(user).items()))
        path.chmod(0o600)


def connect(user: str = "admin", project: str | None = None) -> Any:
    """The cloud as a person sees it."""
    os.environ.pop("OS_CLOUD", None)
    return openstack.connect(
        auth_url=url("keystone"), username=user, password=PASSWORD, region_name=REGION,
        project_name=project or PEOPLE[user][0], user_domain_name="Default",
        project_domain_name="Default", load_yaml_config=False, load_envvars=False)


def make_accounts() -> None:
    """The services' and the people's accounts, and the catalogue."""
    cloud = connect("admin", "admin")
    identity = cloud.identity
    roles = {role.name: role for role in identity.roles()}
    for name in ("service", "demo", "other"):
        if not identity.find_project(name):
            identity.create_project(name=name, domain_id="default")
    for service, kind in _SERVICES.items():
        _make_service(identity, roles, service, kind, url(service))
    for user, (project, role) in PEOPLE.items():
        _grant(identity, roles, user, project, (role,))


def make_service(name: str, kind: str, address: str) -> None:
    """The account and the catalogue's entry of one more service."""
    identity = connect("admin", "admin").identity
    _make_service(identity, {role.name: role for role in identity.roles()}, name, kind, address)


def remove_service(name: str) -> None:
    """Remove them, if they are there."""
    identity = connect("admin", "admin").identity
    # its endpoints go with it
    for found, delete in ((identity.find_service(name), identity.delete_service),
                          (identity.find_user(name), identity.delete_user)):
        if found:
            delete(found)


def _make_service(identity: Any, roles: Any, name: str, kind: str, address: str) -> None:
    if not identity.find_service(name):
        entry = identity.create_service(name=name, type=kind)
        for interface in ("public", "internal", "admin"):
            identity.create_endpoint(service_id=entry.id, interface=interface, url=address,
                                     region_id=REGION)
    _grant(identity, roles, name, "service", ("admin", "service"))


def _grant(identity: Any, roles: Any, user: str, project: str, names: tuple[str, ...]) -> None:
    account = identity.find_user(user) or identity.create_user(
        name=user, password=PASSWORD, domain_id="default")
    where = identity.find_project(project)
    for name in names:
        identity.assign_project_role_to_user(where, account, roles[name])


def make_resources(layout: Layout) -> None:
    """Flavors, a shared flat network with DHCP and one behind a router, and the guests' images."""
    cloud = connect()
    for name, ram in FLAVORS.items():
        if not cloud.compute.find_flavor(name):
            cloud.compute.create_flavor(name=name, ram=ram, vcpus=1, disk=0)
    if not cloud.network.find_network(NETWORK):
        network = cloud.network.create_network(
            name=NETWORK, is_shared=True, is_router_external=True, provider_network_type="flat",
            provider_physical_network="physnet1")
        # from 200 on, addresses are those of hosts: see node.py
        cloud.network.create_subnet(
            network_id=network.id, ip_version=4, cidr=CIDR, gateway_ip=OUTSIDE_ADDRESS,
            name=NETWORK, allocation_pools=[{"start": "10.77.0.10", "end": "10.77.0.199"}])
        _make_router(cloud, network, routers_directory(layout))
    _let_everybody_in(cloud)
    _make_images(cloud, GuestImages.build(layout.state / "guests"))


def _make_router(cloud: Any, outside: Any, known: Path) -> None:
    network = cloud.network.create_network(name=BEHIND)
    subnet = cloud.network.create_subnet(
        network_id=network.id, ip_version=4, cidr=BEHIND_CIDR, name=BEHIND)
    router = cloud.network.create_router(
        name=BEHIND, external_gateway_info={"network_id": outside.id})
    known.mkdir(exist_ok=True)
    (known / router.id).touch()
    cloud.network.add_interface_to_router(router, subnet_id=subnet.id)


def _let_everybody_in(cloud: Any) -> None:
    """Open the project's default group: the outside asks the guests what they see."""
    project = cloud.current_project_id
    group = next(iter(cloud.network.security_groups(name="default", project_id=project)))
    known = cloud.network.security_group_rules(security_group_id=group.id, direction="ingress")
    if not any(rule.remote_ip_prefix == "0.0.0.0/0" for rule in known):
        cloud.network.create_security_group_rule(
            security_group_id=group.id, direction="ingress", ether_type="IPv4",
            remote_ip_prefix="0.0.0.0/0")


def _make_images(cloud: Any, guest: GuestImages) -> None:
    if cloud.image.find_image(IMAGE_WITHOUT_BALLOON):
        return
    kernel = _upload(cloud, "guest-kernel", guest.kernel, "aki")
    ramdisk = _upload(cloud, "guest-ramdisk", guest.initramfs, "ari")
    for name, options in ((IMAGE, ""), (IMAGE_WITHOUT_BALLOON, " noballoon")):
        _upload(cloud, name, guest.disk, "qcow2", kernel_id=kernel, ramdisk_id=ramdisk,
                # where the machine is busy, the kernel's check of its timer ends in a panic
                os_command_line=f"console=ttyS0 quiet no_timer_check{options}")


def _upload(cloud: Any, name: str, path: object, kind: str, **properties: str) -> str:
    image = cloud.image.create_image(
        name, filename=str(path), disk_format=kind, visibility="public",
        container_format=kind if kind in ("aki", "ari") else "bare", wait=True, **properties)
    return str(image.id)
