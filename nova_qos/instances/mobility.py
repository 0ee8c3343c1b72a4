# SPDX-License-Identifier: Apache-2.0
"""Whether nova would move a server to another host, as far as its own record tells. Images,
aggregates, groups and devices of ports are for nova to judge when it is asked."""

from typing import Any

from nova_qos.core.server import Mobility

# nova ships no types
Instance = Any

_MIB_PER_GIB = 1024
#: nova's words for the states in which it moves a server live.
_ACTIVE, _PAUSED = "active", "paused"
#: What a flavor asks for that is bound to its host.
_BOUND = {
    "pci_passthrough:alias": "it has a PCI device of its host",
    "accel:device_profile": "it has an accelerator of its host",
    "hw:pmem": "it has persistent memory of its host",
    "hw:mem_encryption": "its memory is encrypted",
    "resources:VGPU": "it has a virtual GPU of its host",
}
_NOTHING = ("", "0", "false", "no")


def of(instance: Instance) -> Mobility:
    """How a server can move."""
    flavor = instance.flavor
    # without an image, its root disk is a volume
    root_gib = flavor.root_gb if _has(instance, "image_ref") and instance.image_ref else 0
    return Mobility(
        _fixed(instance), _MIB_PER_GIB * (root_gib + flavor.ephemeral_gb) + flavor.swap,
        _has(instance, "vm_state") and instance.vm_state == _PAUSED)


def _fixed(instance: Instance) -> str | None:
    if _has(instance, "locked") and instance.locked:
        return "it is locked"
    if _has(instance, "task_state") and instance.task_state is not None:
        return f"nova is at work on it ({instance.task_state})"
    if _has(instance, "vm_state") and instance.vm_state not in (_ACTIVE, _PAUSED):
        return f"it is {instance.vm_state}"
    asked = instance.flavor.extra_specs
    return next((why for name, why in _BOUND.items()
                 if str(asked.get(name, "")).lower() not in _NOTHING), None)


def _has(instance: Instance, name: str) -> bool:
    # one that nova has yet to place comes from its build request, which lacks some of them
    return bool(instance.obj_attr_is_set(name))
