# SPDX-License-Identifier: Apache-2.0
"""What tests have left in the cloud."""

from collections.abc import Iterator
from typing import Any

from tools.bed.stack.tempest import PREFIX


def removed(cloud: Any) -> Iterator[str]:
    """Delete what bears the tests' prefix, and yield a line for each thing."""
    compute, identity = cloud.compute, cloud.identity
    kinds = (
        ("server", compute.servers(details=False, all_projects=True), compute.delete_server),
        ("flavor", compute.flavors(is_public="None"), compute.delete_flavor),
        ("aggregate", compute.aggregates(), compute.delete_aggregate),
        ("image", cloud.image.images(), cloud.image.delete_image),
        ("user", identity.users(), identity.delete_user),
        ("project", identity.projects(), identity.delete_project),
    )
    for kind, things, delete in kinds:
        for each in [each for each in things if (each.name or "").startswith(f"{PREFIX}-")]:
            delete(each)
            yield f"left by the tests, and deleted: {kind} {each.name}"
    yield from _policies(compute)


def _policies(compute: Any) -> Iterator[str]:
    for each in compute.get("/os-qos-policies").json()["policies"]:
        if each["name"].startswith(f"{PREFIX}-"):
            compute.delete(f"/os-qos-policies/{each['id']}")
            yield f"left by the tests, and deleted: policy {each['name']}"
