# SPDX-License-Identifier: Apache-2.0
"""KVM in a virtual host: the emulated processor has AMD's SVM, so that guests in it run as fast as
the host itself, not as much slower again as that is slower than a machine."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.vmhost.servers import comes_true, run

_DEVICE, _CREATE_VM = Path("/dev/kvm"), 0xAE01


@contextmanager
def kvm() -> Iterator[None]:
    """Offer KVM from now on, with a virtual machine that does nothing meanwhile.

    The kernel patches its code for the first and after the last one, and an emulated processor that
    goes on executing what was there before would hang.
    """
    run("modprobe", "kvm_amd")
    assert comes_true(_DEVICE.exists, 30)
    device = os.open(_DEVICE, os.O_RDWR | os.O_CLOEXEC)
    machine = fcntl.ioctl(device, _CREATE_VM, 0)
    try:
        yield
    finally:
        os.close(machine)
        os.close(device)
