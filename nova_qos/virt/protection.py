# SPDX-License-Identifier: Apache-2.0
"""Memory that a server keeps while its host is short of it: memory.low or memory.min of its group.

The kernel grants a group protection only as far as each group above it has it too. So each group
above protected servers is kept at the sum of the groups that it holds, and libvirt's own group
inside a server's, which has its processes, gets the same value. The kernel can distribute
protection to inner groups by itself, but then a little less than they use, and it reclaims the
rest.
"""

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from resource import getpagesize

from nova_qos.core import errors
from nova_qos.virt import groups, systemd
from nova_qos.virt.groups import INNER, Group

_MIB = 2**20
#: Of a group above servers: the bytes that it has, and those that the groups in it have together.
LookAbove = Callable[[Group], tuple[int, int]]


@dataclass(frozen=True)
class Kind:
    """A kernel's file that protects memory, the property of systemd's that sets it, the attribute
    that marks what the agent set, and what a request calls the value."""

    file: str
    property_name: str
    mark: str
    field: str

    def look_above(self, group: Group) -> tuple[int, int]:
        """The bytes that a group above servers has, and those that the groups in it have together.

        :raises OSError: the group is gone
        """
        return group.read(self.file), self.needed_by(group)

    def needed_by(self, group: Group) -> int:
        """The sum of what the groups in it have; 0 where no server in it has any."""
        if not self._has_protected_server(group):
            return 0
        return min(sum(self._size(each) for each in group.below()), groups.MOST)

    def _has_protected_server(self, group: Group) -> bool:
        return any(
            self._size(each) > 0 and (groups.is_domain(each) or self._has_protected_server(each))
            for each in group.below())

    def _size(self, group: Group) -> int:
        # groups come and go, and not every one has the controller
        with suppress(OSError):
            return group.read(self.file)
        return 0


#: Reclaimed last; and never, which a host that has too little cannot survive.
LOW = Kind("memory.low", "MemoryLow", groups.MARK, "memory_limit")
MIN = Kind("memory.min", "MemoryMin", f"{groups.MARK}.min", "memory_guarantee")


class Protection:
    """The protection of all servers of a host; used by many threads.

    A group above servers keeps a value that another program set. A group that the agent set carries
    the value as a mark, by which a later agent recognises it.
    """

    def __init__(
        self, manager: systemd.Systemd, root: Path = groups.ROOT, kind: Kind = LOW
    ) -> None:
        self._root = root
        self._kind = kind
        self._manager = manager
        self._lock = threading.Lock()

    def set(self, group: Group, size: int) -> None:
        """Protect so many bytes (whole pages) of a server's group, and as much above it.

        :raises OSError, HostCannot, HostRefused: it could not be done
        """
        size -= size % getpagesize()
        with self._lock:
            for each in (group, *self._inner(group)):
                if each.read(self._kind.file) != size:
                    self._write(each, size)
            for above in group.above():
                self._adjust(above)

    def tidy(self) -> None:
        """Bring what we have set above servers in line with the servers that there are.

        :raises OSError, HostCannot, HostRefused: it could not be done
        """
        with self._lock:
            for group in groups.partitions(self._root):
                if group.mark(self._kind.mark):
                    self._adjust(group)

    def why_not_effective(self, group: Group, look: LookAbove | None = None) -> str | None:
        """Say why a server's group has less protection than it shows; None when it has it.

        :param look: in place of ``look_above``, such as one that remembers, for many servers
        """
        for above in group.above():
            size, needed = (look or self._kind.look_above)(above)
            if size < needed:
                return (f"{self._kind.file} of {above.name}, which holds the servers, is "
                        f"{size // _MIB} MiB, and theirs together are {needed // _MIB} MiB; "
                        f"another program set it: raise {self._kind.property_name} of "
                        f"{above.name}, or set it to 0")
        return None

    def _adjust(self, group: Group) -> None:
        kind = self._kind
        needed, present = kind.needed_by(group), group.read(kind.file)
        if present == needed or present not in (0, *group.mark(kind.mark)):
            return
        # both values, so that it counts as ours also if this fails or ends half way
        group.set_mark(present, needed, name=kind.mark)
        self._write(group, needed)
        if needed:
            group.set_mark(needed, name=kind.mark)
        else:
            group.set_mark(name=kind.mark)
            if systemd.owns(group):
                # a 0 left behind would be in the way of what an administrator writes later
                self._manager.forget_property(group.name, kind.property_name)

    def _write(self, group: Group, size: int) -> None:
        if systemd.owns(group):
            self._manager.set_property(group.name, self._kind.property_name, size)
        else:
            group.write(self._kind.file, size)
        if not group.comes_to(self._kind.file, size):
            raise errors.HostRefused(
                f"{self._kind.field}: {self._kind.file} of {group.name} stays at "
                f"{group.read(self._kind.file)} bytes")

    def _inner(self, group: Group) -> list[Group]:
        return [each for each in group.below()
                if each.name == INNER and each.has(self._kind.file)]
