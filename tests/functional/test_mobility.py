# SPDX-License-Identifier: Apache-2.0
"""What nova's record of a server tells of whether it can move."""

from typing import Any

import pytest

from nova_qos.instances import mobility
from tests.functional.cloud import Server


@pytest.mark.parametrize(("specs", "word"), [
    ({"pci_passthrough:alias": "card:1"}, "PCI"), ({"resources:VGPU": "1"}, "virtual GPU"),
    ({"accel:device_profile": "fpga"}, "accelerator"), ({"hw:pmem": "4GB"}, "persistent"),
    ({"hw:mem_encryption": "True"}, "encrypted"), ({"hw:mem_encryption": "false"}, None),
    ({"hw:cpu_policy": "dedicated"}, None), ({}, None)])
def test_devices_of_the_host(server: Server, specs: dict[str, str], word: str | None) -> None:
    instance = server.instance()
    instance.flavor.extra_specs.update(specs)
    fixed = mobility.of(instance).fixed
    assert fixed is None if word is None else word in str(fixed)


def test_a_volume_is_no_disk_of_the_host(server: Server) -> None:
    instance: Any = server.instance()
    instance.flavor.root_gb, instance.flavor.ephemeral_gb, instance.flavor.swap = 20, 3, 512
    assert mobility.of(instance).disk_mib == 1024 * 23 + 512
    instance.image_ref = ""
    assert mobility.of(instance).disk_mib == 1024 * 3 + 512


def test_a_paused_server_can_move(server: Server) -> None:
    instance = server.instance()
    instance.vm_state = "paused"
    found = mobility.of(instance)
    assert (found.fixed, found.is_paused) == (None, True)
