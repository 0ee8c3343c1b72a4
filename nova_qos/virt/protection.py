# SPDX-License-Identifier: Apache-2.0
"""Memory that a server keeps while its host is short of it: memory.low of its group.

The kernel grants a group protection only as far as each group above it has it too. So each group
above protected servers is kept at the sum of the groups that it holds, and libvirt's own group
inside a server's, which has its processes, gets the same value. The kernel can distribute
protection to inner groups by itself, but then a little less than they use, and it reclaims the
rest.
"""

import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from resource import getpagesize

from nova_qos.core import errors
from nova_qos.virt import groups, systemd
from nova_qos.virt.groups import INNER, Group

FILE, _PROPERTY = "memory.low", "MemoryLow"
_MIB = 2**20
#: Of a group above servers: the bytes that it has, and those that the groups in it have together.
LookAbove = Callable[[Group], tuple[int, int]]


class Protection:
    """The protection of all servers of a host; used by many threads.

    A group above servers keeps a value that another program set. A group that the agent set carries
    the value as a mark, by which a later agent recognises it.
    """

    def __init__(self, manager: systemd.Systemd, root: Path = groups.ROOT) -> None:
        self._root = root
        self._manager = manager
        self._lock = threading.Lock()

    def set(self, group: Group, size: int) -> None:
        """Protect so many bytes (whole pages) of a server's group, and as much above it.

        :raises OSError, HostCannot, HostRefused: it could not be done
        """
        size -= size % getpagesize()
        with self._lock:
            for each in (group, *_inner(group)):
                if each.read(FILE) != size:
                    self._write(each, size)
            for above in group.above():
                self._adjust(above)

    def tidy(self) -> None:
        """Bring what we have set above servers in line with the servers that there are.

        :raises OSError, HostCannot, HostRefused: it could not be done
        """
        with self._lock:
            for group in groups.partitions(self._root):
                if group.mark:
                    self._adjust(group)

    def why_not_effective(self, group: Group, look: LookAbove | None = None) -> str | None:
        """Say why a server's group has less protection than it shows; None when it has it.

        :param look: in place of ``look_above``, such as one that remembers, for many servers
        """
        for above in group.above():
            size, needed = (look or look_above)(above)
            if size < needed:
                return (f"memory.low of {above.name}, which holds the servers, is "
                        f"{size // _MIB} MiB, and theirs together are {needed // _MIB} MiB; "
                        f"another program set it: raise MemoryLow of {above.name}, or set it to 0")
        return None

    def _adjust(self, group: Group) -> None:
        needed, present = _needed_by(group), group.read(FILE)
        if present == needed or present not in (0, *group.mark):
            return
        # both values, so that it counts as ours also if this fails or ends half way
        group.set_mark(present, needed)
        self._write(group, needed)
        if needed:
            group.set_mark(needed)
        else:
            group.set_mark()
            if systemd.owns(group):
                # a 0 left behind would be in the way of what an administrator writes later
                self._manager.forget_property(group.name, _PROPERTY)

    def _write(self, group: Group, size: int) -> None:
        if systemd.owns(group):
            self._manager.set_property(group.name, _PROPERTY, size)
        else:
            group.write(FILE, size)
        if not group.comes_to(FILE, size):
            raise errors.HostRefused(
                f"memory_limit: {FILE} of {group.name} stays at {group.read(FILE)} bytes")


def look_above(group: Group) -> tuple[int, int]:
    """The bytes that a group above servers has, and those that the groups in it have together.

    :raises OSError: the group is gone
    """
    return group.read(FILE), _needed_by(group)


def _inner(group: Group) -> list[Group]:
    return [each for each in group.below() if each.name == INNER and each.has(FILE)]


def _needed_by(group: Group) -> int:
    """The sum of what the groups in it have; 0 where no server in it has any."""
    if not _has_protected_server(group):
        return 0
    return min(sum(_size(each) for each in group.below()), groups.MOST)


def _has_protected_server(group: Group) -> bool:
    return any(
        _size(each) > 0 and (groups.is_domain(each) or _has_protected_server(each))
        for each in group.below())


def _size(group: Group) -> int:
    # groups come and go, and not every one has the controller
    with suppress(OSError):
        return group.read(FILE)
    return 0
