# SPDX-License-Identifier: Apache-2.0
"""What several disks of several servers have written, by what virsh prints."""

from types import SimpleNamespace
from typing import Any, cast

from tools.evaluation.disks import look_at
from tools.evaluation.site import Site


class Virsh:
    """Every disk has written a MiB in four requests more at each look."""

    def __init__(self) -> None:
        self.looks = 0

    def virsh(self, script: str) -> str:
        self.looks += 1
        return "\n".join(
            f"{command.split()[2]} rd_req 7\n{command.split()[2]} rd_bytes 9\n"
            f"{command.split()[2]} wr_req {4 * self.looks}\n"
            f"{command.split()[2]} wr_bytes {2**20 * self.looks * number}\n"
            for number, command in enumerate(script.split("; ")))


def test_disks_of_a_server_count_together() -> None:
    servers: Any = [SimpleNamespace(uuid=name) for name in "abc"]
    site = cast(Site, SimpleNamespace(servers=servers, libvirt=Virsh()))
    look = look_at(site, ("vdb", "vdc"))
    assert look() == {
        "VM1.written_mib": 1, "VM2.written_mib": 5, "VM3.written_mib": 9,
        "VM1.requests": 8, "VM2.requests": 8, "VM3.requests": 8}
