# SPDX-License-Identifier: Apache-2.0
"""A server as nova keeps it, without nova's objects."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from nova_qos.core.source import Assigned

#: The name under which a server's policy is saved beside its resources, by its number.
POLICY = "policy"
#: The extra spec by which a flavor names its policy.
FLAVOR_POLICY = "qos:policy"


@dataclass(frozen=True)
class Flavor:
    """The part of the flavor that settings depend on: memory in MiB, the number of vCPUs, and CPU
    shares where the flavor sets them.

    ``fair_cpu_shares`` is the operator's default by vCPUs where the flavor sets none. ``policy`` is
    the name of the policy that the flavor assigns. ``faults`` tells by resource what of the flavor
    cannot be read, as a sentence.
    """

    memory_mib: int
    cpu_shares: int | None = None
    fair_cpu_shares: int | None = None
    faults: Mapping[str, str] = field(default_factory=dict, hash=False)
    vcpus: int = 1
    policy: str | None = None


@dataclass(frozen=True)
class Mobility:
    """How a server can move to another host.

    ``fixed`` says why nova would not move it; None: nothing that nova keeps of it speaks against
    it. ``disk_mib`` is what its disks on the host may hold at most, without volumes. ``is_paused``:
    its guest does not run at present.
    """

    fixed: str | None = None
    disk_mib: int = 0
    is_paused: bool = False


@dataclass(frozen=True)
class Called:
    """What a server is called: its name and its project's id in nova, the name of its flavor, and
    that of its domain in libvirt."""

    name: str
    project_id: str
    flavor: str
    domain: str


@dataclass(frozen=True)
class NewServer:
    """A server that has just been created, as post-create hooks see it."""

    uuid: str
    name: str
    project_id: str
    flavor: Flavor
    extra_specs: Mapping[str, str]


@dataclass(frozen=True)
class Entry:
    """What is saved of one resource of a server.

    ``value`` is the server's own setting in the API's unit, None for none. ``marked``: there is no
    setting, but the host holds, or may hold, a value of ours that is to be reset. ``stamp`` orders
    the changes of one server, see ``next_stamp``; 0 where nobody noted one. ``by_hook``: the value
    is a post-create hook's.
    """

    value: int | None = None
    marked: bool = False
    stamp: int = 0
    by_hook: bool = False


Entries = Mapping[str, Entry]


@dataclass(frozen=True)
class SavedServer:
    """A server with its desired state.

    ``host`` is the compute host that nova has it on, None for none; ``task`` what nova does with
    it at the moment, None for nothing; ``project`` its project's id. ``own`` are its own settings
    by resource, in the API's units, and ``hooked`` those that a post-create hook gave it.
    ``marked`` names the resources that have no setting, but of which the host holds, or may hold, a
    value of ours that is to be reset. ``stamps`` tells when each resource was last changed.
    ``unreadable`` tells by resource what is saved of it and cannot be read, as a sentence; such a
    resource counts as one that nobody ever changed. ``assigned`` is what its policies come to, as
    far as whoever loaded it knows them. ``balanced`` is what its host's balancer gives it, in the
    API's units, by the resources that it looks after; None: it has yet to say. ``mobility`` changes
    nothing of what it is to have.
    """

    uuid: str
    host: str | None
    task: str | None
    flavor: Flavor
    own: Mapping[str, int] = field(default_factory=dict)
    marked: frozenset[str] = frozenset()
    stamps: Mapping[str, int] = field(default_factory=dict)
    unreadable: Mapping[str, str] = field(default_factory=dict)
    hooked: Mapping[str, int] = field(default_factory=dict)
    project: str = ""
    assigned: Assigned = field(default_factory=Assigned)
    balanced: Mapping[str, int | None] = field(default_factory=dict)
    mobility: Mobility = field(default_factory=Mobility, compare=False)

    @property
    def policy(self) -> int | None:
        """The number of the policy that it is set to; 0 = none is to reach it."""
        return self.own.get(POLICY)

    @property
    def faults(self) -> dict[str, str]:
        """By resource, what nova keeps of it and cannot be read, as a sentence."""
        return {**self.flavor.faults, **self.unreadable}

    @property
    def entries(self) -> dict[str, Entry]:
        """Its desired state by resource; a resource that nobody ever changed is left out."""
        values = {**self.hooked, **self.own}
        names = sorted({*values, *self.marked, *self.stamps})
        return {name: Entry(values.get(name), name in self.marked, self.stamps.get(name, 0),
                            name in self.hooked) for name in names}

    def updated(self, entries: Entries) -> "SavedServer":
        """The server with those entries that were changed later than its own."""
        later = newer(entries, self.entries)
        if not later:
            return self
        return self.having({**self.entries, **later})

    def having(self, entries: Entries) -> "SavedServer":
        """The server with this desired state."""
        return replace(
            self, own={name: each.value for name, each in entries.items()
                       if each.value is not None and not each.by_hook},
            hooked={name: each.value for name, each in entries.items()
                    if each.value is not None and each.by_hook},
            marked=frozenset(name for name, each in entries.items() if each.marked),
            stamps={name: each.stamp for name, each in entries.items() if each.stamp},
            unreadable={name: fault for name, fault in self.unreadable.items()
                        if name not in entries})


def newer(entries: Entries, than: Entries) -> dict[str, Entry]:
    """Those entries that were changed later than their counterparts."""
    return {name: each for name, each in entries.items()
            if each.stamp > than.get(name, Entry()).stamp}


def next_stamp(known: Entries, now_s: float) -> int:
    """The stamp of a change: milliseconds since 1970, but always later than what is known, so that
    clocks that differ, or are set back, do not change the order of one server's changes.

    This is a hybrid logical clock (Kulkarni and others, 2014), with one number for both parts.
    """
    return max(int(now_s * 1000), *(each.stamp + 1 for each in known.values()), 1)
