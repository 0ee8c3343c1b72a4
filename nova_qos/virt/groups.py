# SPDX-License-Identifier: Apache-2.0
"""Control groups of cgroup v2, as the kernel shows them."""

import errno
import os
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from nova_qos.core import errors

ROOT = Path("/sys/fs/cgroup")
#: What systemd calls "infinity" and the kernel "max".
MOST = 2**64 - 1
#: The group inside a domain's own that libvirt puts its processes into, where systemd owns that.
INNER = "libvirt"
#: The extended attribute that marks what the agent set of memory.low; other files have others.
MARK = "user.nova_qos"
#: The group of a domain: with systemd a scope, without it a directory.
_DOMAIN = re.compile(r"(?:machine-qemu\\x2d|qemu-)\d+(?:\\x2d|-)")
_LONGEST_MACHINE = 64
_LINKS_OF_LEAF = 2
#: systemd changes a group a moment after it has answered.
_ARRIVAL_SECONDS = 2.0
_POLL_SECONDS = 0.01


class Group:
    """One group. Every method may raise OSError: the group has gone, or is not ours to write."""

    def __init__(self, path: Path, root: Path = ROOT) -> None:
        self.path = path
        self._root = root

    @property
    def name(self) -> str:
        """The last part of its path; for a group of systemd's, the name of its unit."""
        return self.path.name

    @property
    def controllers(self) -> list[str]:
        """The controllers that it has."""
        return (self.path / "cgroup.controllers").read_text().split()

    @property
    def is_leaf(self) -> bool:
        """Whether it holds no groups, or has gone."""
        try:
            # a directory has a link from each one in it, one from itself, one from above
            return self.path.stat().st_nlink == _LINKS_OF_LEAF
        except FileNotFoundError:
            return True

    def has(self, file: str) -> bool:
        """Whether the kernel offers a file here."""
        return (self.path / file).exists()

    def read(self, file: str) -> int:
        """The number in a file, ``MOST`` for "max"; of several lines the one named "default"."""
        words = (self.path / file).read_text().split()
        word = words[1] if words[0] == "default" else words[0]
        return MOST if word == "max" else int(word)

    def numbers(self, file: str) -> list[int]:
        """All numbers in a file of one line, ``MOST`` for "max"."""
        words = (self.path / file).read_text().split()
        return [MOST if word == "max" else int(word) for word in words]

    def write(self, file: str, value: int) -> None:
        """Write a number into a file; ``MOST`` is written as "max"."""
        (self.path / file).write_text("max" if value >= MOST else str(value))

    def is_inhabited(self) -> bool:
        """Whether a process is in it, or in one below; a libvirt that was killed may leave empty
        ones."""
        events = self.path / "cgroup.events"
        with suppress(FileNotFoundError):
            return "populated 1" in events.read_text()
        for place in self.path / "emulator", self.path:
            with suppress(FileNotFoundError):
                if (place / "cgroup.procs").read_text():
                    return True
        return False

    def mark(self, name: str = MARK) -> tuple[int, ...]:
        """The numbers that were left on it, none at first; they go when the group goes."""
        try:
            return tuple(map(int, os.getxattr(self.path, name).split()))
        except OSError as error:
            if error.errno == errno.ENODATA:
                return ()
            raise

    def set_mark(self, *values: int, name: str = MARK) -> None:
        """Leave numbers on it instead of those that are there; none take the mark off."""
        if values:
            os.setxattr(self.path, name, " ".join(map(str, values)).encode())
        elif self.mark(name):
            os.removexattr(self.path, name)

    def comes_to(self, file: str, value: int) -> bool:
        """Wait until a file has this number, two seconds at most; whether it has then."""
        give_up = time.monotonic() + _ARRIVAL_SECONDS
        while self.read(file) != value:
            if time.monotonic() > give_up:
                return False
            time.sleep(_POLL_SECONDS)
        return True

    def above(self) -> Iterator["Group"]:
        """The groups that it is in, from the nearest to the last below the root."""
        for path in self.path.parents:
            if path == self._root or self._root not in path.parents:
                return
            yield Group(path, self._root)

    def below(self) -> Iterator["Group"]:
        """The groups directly in it."""
        # a group has a hundred files: not one question each
        with os.scandir(self.path) as entries:
            for entry in entries:
                if entry.is_dir():
                    yield Group(self.path / entry.name, self._root)


def machine(domain_id: int, name: str) -> str:
    """What libvirt calls a running domain where it makes a control group, such as
    qemu-3-instance-0000002a: its id, and what is left of its name in a host's name."""
    kept = _squeezed(re.sub(r"[^A-Za-z0-9.-]", "", name)).lstrip(".-")
    return f"qemu-{domain_id}-{kept}"[:_LONGEST_MACHINE].rstrip(".-")


def is_domain(group: Group) -> bool:
    """Whether a group is a domain's own."""
    return _DOMAIN.match(group.name) is not None


def by_machine(root: Path = ROOT) -> dict[str, Group]:
    """The groups of all running domains by their ``machine``, listed once; without those that
    ``find`` raises an error for."""
    found = _by_machine(root)
    return {name: named[0] for name, named in found.items() if len(named) == 1}


def inhabited(root: Path = ROOT) -> dict[str, Group]:
    """Those of ``by_machine`` that take part in what the host divides."""
    return {name: group for name, group in by_machine(root).items() if group.is_inhabited()}


def find(named: str, root: Path = ROOT) -> Group | None:
    """The group of a running domain, by its ``machine``; None where it has none of its own.

    Not by its id alone: a second libvirt, such as one in a container, counts its domains as well.

    :raises HostCannot: there are several of this name
    """
    found = _by_machine(root).get(named, [])
    if len(found) > 1:
        places = " and ".join(sorted(str(group.path) for group in found))
        raise errors.HostCannot(
            f"which control group is this server's is not known: {places} have its name")
    return found[0] if found else None


def _by_machine(root: Path) -> dict[str, list[Group]]:
    found: dict[str, list[Group]] = {}
    for group in domains(root):
        found.setdefault(machine_of(group), []).append(group)
    return found


def machine_of(group: Group) -> str:
    """The ``machine`` that a domain's group was made for."""
    name = group.name.removeprefix("machine-").removesuffix(".scope")
    # in the name of a scope, systemd escapes hyphens
    return _squeezed(name.removesuffix(".libvirt-qemu").replace("\\x2d", "-"))


def _squeezed(name: str) -> str:
    # older versions of libvirt leave some runs as they are
    return re.sub(r"([.-])[.-]+", r"\1", name)


def domains(root: Path = ROOT) -> Iterator[Group]:
    """The groups of all running domains, wherever they are: libvirt makes them below its own group
    where it runs in a container without systemd."""
    return (group for group in _below(Group(root, root)) if is_domain(group))


def partitions(root: Path = ROOT) -> Iterator[Group]:
    """Every group that can hold those of domains, the outer ones last."""
    return (group for group in _below(Group(root, root)) if not is_domain(group))


def _below(group: Group) -> Iterator[Group]:
    """All groups below one that are domains' or may hold those, the outer ones last."""
    try:
        inner = list(group.below())
    except FileNotFoundError:
        # it has gone meanwhile
        return
    for each in inner:
        if is_domain(each):
            yield each
        elif _holds_domains(each):
            yield from _below(each)
            yield each


def _holds_domains(group: Group) -> bool:
    # those which only hold groups are looked at also when their last domain has ended
    return (group.name == "machine" or group.name.endswith((".slice", ".partition"))
            or not group.is_leaf)


def v1_root(controller: str, mounts: Path = Path("/proc/self/mounts")) -> Path | None:
    """Where a controller of cgroup v1 is mounted; None = it is not."""
    for line in mounts.read_text().splitlines():
        _device, place, kind, options, *_ = line.split()
        if kind == "cgroup" and controller in options.split(","):
            return Path(place)
    return None
