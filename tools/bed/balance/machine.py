# SPDX-License-Identifier: Apache-2.0
"""Such a host on this machine: a private libvirt whose guests are all in one control group."""

import ctypes
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tools.bed.balance.group import PARTITION, GuestsGroup
from tools.bed.balance.overcommitted import Overcommitted
from tools.bed.balance.parts import Pace, Part
from tools.bed.balance.scarce import in_use
from tools.bed.balance.site import Site
from tools.bed.domain import Shape
from tools.bed.errors import TestbedError
from tools.bed.guest import GuestImages
from tools.bed.libvirtd import PrivateLibvirt

#: Not below pytest's own directory: a socket's path must be short, and no file in memory can be
#: swapped to.
_PLACE = Path("/var/tmp")
_IMAGES, _NAME = _PLACE / "nova-qos-images", "nova-qos-balance"
_SWAP_MIB, _LIBVIRT = 2048, "libvirt"
_LOCKED_S = 900
#: In an hour of restarts and loads, QEMU would translate more than the swap holds.
_CODE_MIB = 128
#: Of linux/prctl.h.
_PR_SET_THP_DISABLE = 41
#: Real processors: as quick as guests can report. The machine's pressure tells of other programs.
_OPTIONS = {"tense_look_s": 1.0, "tense_report_s": 1, "tense_pressure_percent": 100.0}


@contextmanager
def on_this_machine(parts: Sequence[Part], pace: Pace) -> Iterator[Site]:
    """Boot the guests. Waits while another such host is there: they have their names in common, by
    which the leftovers of a killed run are found."""
    with _alone(), _place() as state:
        scarce = GuestsGroup(_PLACE / f"{_NAME}.swap", _SWAP_MIB)
        libvirt = PrivateLibvirt(state / _LIBVIRT)
        with in_use(scarce):
            try:
                with _small_pages():
                    libvirt.start()
                host = Overcommitted(libvirt, GuestImages.build(_IMAGES), parts, pace, scarce,
                                     Shape(partition=PARTITION, code_mib=_CODE_MIB))
                host.start()
                yield Site(state, host, **_OPTIONS)
            finally:
                libvirt.remove()


@contextmanager
def _small_pages() -> Iterator[None]:
    """Programs that are started meanwhile, and those that they start, have no huge pages. What a
    balloon takes of one is used until the kernel splits it, and how soon that comes would be most
    of what is measured."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_THP_DISABLE, 1, 0, 0, 0):
        raise TestbedError(f"huge pages stay: {os.strerror(ctypes.get_errno())}")
    try:
        yield
    finally:
        libc.prctl(_PR_SET_THP_DISABLE, 0, 0, 0, 0)


@contextmanager
def _place() -> Iterator[Path]:
    """A directory of its own; what killed runs have left in theirs is ended."""
    for left in _PLACE.glob(f"{_NAME}-*"):
        if (left / _LIBVIRT).exists():
            PrivateLibvirt(left / _LIBVIRT).remove()
        shutil.rmtree(left)
    with tempfile.TemporaryDirectory(prefix=f"{_NAME}-", dir=_PLACE) as place:
        yield Path(place)


@contextmanager
def _alone() -> Iterator[None]:
    give_up_s = time.monotonic() + _LOCKED_S
    with (_PLACE / f"{_NAME}.lock").open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                if time.monotonic() > give_up_s:
                    raise TestbedError(f"{lock.name} is locked by another run") from error
                time.sleep(1)
            else:
                break
        yield
