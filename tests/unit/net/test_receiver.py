# SPDX-License-Identifier: Apache-2.0
"""What a kernel lacks for inbound control is said before anything is made."""

import errno
from typing import Any

import pytest
from pyroute2.netlink.exceptions import NetlinkError

from nova_qos.core import errors
from nova_qos.net.forwards import ForwardTable
from nova_qos.net.marks import Marks
from nova_qos.net.receiver import Receiver


class Kernel:
    """One that has no devices at all, and answers to every change with an error."""

    def __init__(self, code: int) -> None:
        self._code = code
        self.asked: list[tuple[str, Any]] = []

    @property
    def changes(self) -> "Kernel":
        return self

    def link(self, what: str, **values: object) -> None:
        if what == "add":
            self.asked.append((what, values.get("kind")))
            raise NetlinkError(self._code)


def receiver(kernel: Kernel) -> Receiver:
    table = ForwardTable("nova_qos_in_test", Marks(0x1FFF))
    return Receiver(kernel, table, 1000)  # type: ignore[arg-type]


@pytest.mark.parametrize("act", ["ability", "provide"])
def test_a_kernel_without_ifb(act: str) -> None:
    kernel = Kernel(errno.EOPNOTSUPP)
    made = receiver(kernel)
    with pytest.raises(errors.HostCannot, match="no devices of kind ifb: load the module ifb"):
        made.ability() if act == "ability" else made.provide({})
    assert kernel.asked == [("add", "ifb")]


def test_an_agent_without_the_right() -> None:
    kernel = Kernel(errno.EPERM)
    with pytest.raises((errors.HostCannot, errors.HostRefused), match="prio: "):
        receiver(kernel).provide({})
