# SPDX-License-Identifier: Apache-2.0
"""Partitions of a block device that its own sectors do not tell of.

They are made by the kernel's call BLKPG (linux/blkpg.h), as ``addpart`` did it, which Debian 13 no
longer has.
"""

import ctypes
import fcntl
import os
from pathlib import Path

_BLKPG = 0x1269
_ADD, _DELETE = 1, 2


class _Partition(ctypes.Structure):
    _fields_ = (("start", ctypes.c_longlong), ("length", ctypes.c_longlong),
                ("number", ctypes.c_int), ("device", ctypes.c_char * 64),
                ("volume", ctypes.c_char * 64))


class _Request(ctypes.Structure):
    _fields_ = (("operation", ctypes.c_int), ("flags", ctypes.c_int), ("size", ctypes.c_int),
                ("partition", ctypes.POINTER(_Partition)))


def add(device: Path, number: int, start: int, length: int) -> None:
    """Make a partition; start and length are in bytes. Raises OSError."""
    _ask(device, _ADD, _Partition(start, length, number))


def delete(device: Path, number: int) -> None:
    """Take a partition away. Raises OSError."""
    _ask(device, _DELETE, _Partition(number=number))


def _ask(device: Path, operation: int, partition: _Partition) -> None:
    request = _Request(
        operation, size=ctypes.sizeof(partition), partition=ctypes.pointer(partition))
    # not for writing: udev would look into the device again, and keep it in use, once it is closed
    opened = os.open(device, os.O_RDONLY)
    try:
        fcntl.ioctl(opened, _BLKPG, request)
    finally:
        os.close(opened)
