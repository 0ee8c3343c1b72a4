# SPDX-License-Identifier: Apache-2.0
"""The compute host behind the ``Host`` protocol."""

import contextlib
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace

from nova_qos.core import errors, scales
from nova_qos.core.plan import Capacity, Granted
from nova_qos.core.room import Room
from nova_qos.host import Change, Floating, Knob, Listener, Networks, Part
from nova_qos.virt import cpu, disk, floor, groups
from nova_qos.virt.balloon import Movements
from nova_qos.virt.calls import Calls
from nova_qos.virt.definitions import Definitions
from nova_qos.virt.domain import LibvirtDomain, NetClass, ReadNetwork
from nova_qos.virt.events import Events
from nova_qos.virt.groups import Group
from nova_qos.virt.guests import GuestsMemory
from nova_qos.virt.inventory import Inventory
from nova_qos.virt.kernel import Kernel
from nova_qos.virt.look import look
from nova_qos.virt.memory import BalloonKnob, SoftLimit, SoftLimitV1, SoftLimitV2
from nova_qos.virt.promises import Promises, present_v1
from nova_qos.virt.protection import LOW, MIN, Kind, LookAbove, Protection
from nova_qos.virt.session import Seen, Session
from nova_qos.virt.snapshot import LibvirtSnapshot
from nova_qos.virt.systemd import Systemd
from nova_qos.virt.throttle import ThrottleKnob


class LibvirtHost:
    """A libvirt host, used by many threads; libvirt is reached when first needed."""

    def __init__(
        self, uri: str, networks: Networks, soft_limit: SoftLimit = "protect",
        capacity: Capacity | None = None, budget_mib: int = 0,
    ) -> None:
        """
        :param soft_limit: what a memory soft limit does on cgroup v2
        :param capacity: what can be guaranteed to servers; None = all that the machine has
        :param budget_mib: the memory that balancing lets servers use together, 0 = all there is
        """
        self._calls = Calls(uri)
        self._networks = networks
        self._definitions = Definitions(self._calls)
        self._inventory = Inventory(self._calls, self._definitions)
        self._movements = Movements()
        self._is_unified = (groups.ROOT / "cgroup.controllers").exists()
        self._soft_limit = soft_limit
        self._systemd = Systemd()
        self._protection = Protection(self._systemd)
        self._floors = Protection(self._systemd, kind=MIN)
        self._promises = self._make_promises(capacity or Kernel().capacity())
        self.memory = GuestsMemory(self._calls, self._inventory, self._definitions, self._movements,
                                   Kernel(), budget_mib)

    def domain(self, server_uuid: str) -> LibvirtDomain:
        """The server's running domain, for one operation.

        :raises ServerNotRunning: there is none
        :raises HostAway: libvirt does not answer
        """
        session = Session(self._calls, server_uuid, self._definitions)
        session.require_running()
        return self._domain(session)

    def look(self, server_uuid: str, names: Iterable[str]) -> LibvirtDomain:
        """See ``host.Host.look``."""
        asking = Session(self._calls, server_uuid, self._definitions)
        seen = look(asking, set(names), self._is_unified)
        return self._domain(Session(self._calls, server_uuid, self._definitions, seen))

    def snapshot(self, names: Iterable[str], figures: bool = False) -> "LibvirtSnapshot":
        """See ``host.Host.snapshot``.

        With cgroup v1, where libvirt alone reads a domain's parameters, it reads each
        of those anew.
        """
        wanted, now_s = set(names), time.monotonic()
        listed = self._inventory.list("balloon" in wanted, figures)
        self._movements.retain(listed, now_s)
        listed_s = time.monotonic()
        seen = {knob: network.snapshot() for knob, network in self._networks.items()
                if figures or knob in wanted}
        why = "; ".join(filter(None, (network.error for network in seen.values())))
        parts = {"libvirt": Part(listed_s - now_s),
                 "network": Part(time.monotonic() - listed_s, why or None)}
        return LibvirtSnapshot(self._seen_domain, listed, self._is_unified, seen, parts,
                               self._promises.capacity.cpu_percent // 100)

    def room(self) -> Room:
        """See ``host.Host.room``."""
        mine = self._promises.capacity
        out, into = self._networks.get("net_class"), self._networks.get("net_in_class")
        return Kernel().room({
            "memory": mine.memory_mib, "cpu": mine.cpu_percent,
            "net": out.capacity_kbit if out else None,
            "net_in": into.capacity_kbit if into else None})

    def watch(self, listener: Listener) -> None:
        """Tell the listener from now on what happens to servers; ``events.run_loop`` must run."""
        def heard(server_uuid: str | None, change: Change) -> None:
            self._definitions.forget(server_uuid)
            if server_uuid is not None and change in ("started", "ended"):
                self._promises.forget(server_uuid)
            listener(server_uuid, change)

        self._calls.hangs.tell(lambda server_uuid: heard(server_uuid, "changed"))
        Events(self._calls.daemon, heard).start()
        self._definitions.watched()

    def settle(self) -> None:
        """See ``host.Host.settle``."""
        self._promises.settle()

    def tidy(self, correct: bool, floating: Floating | None) -> None:
        """See ``Network.tidy``; likewise for the groups of cgroup v2 above servers.

        :raises HostCannot, HostRefused, HostAway: it could not be done
        """
        # each is done, whatever becomes of the others
        with contextlib.ExitStack() as tasks:
            if self._is_unified:
                tasks.callback(self._tidy_groups)
            tasks.callback(self._promises.settle)
            for network in self._networks.values():
                tasks.callback(network.tidy, self._inventory.interfaces, correct, floating)

    def close(self) -> None:
        """Close the connections to libvirt that nobody uses; a later call opens new ones."""
        self._calls.close()

    def _seen_domain(
        self, server_uuid: str, seen: Seen, above: Mapping[Kind, LookAbove],
        read_networks: Mapping[str, ReadNetwork],
    ) -> LibvirtDomain:
        """A domain of a snapshot."""
        session = Session(self._calls, server_uuid, self._definitions, seen)
        return self._domain(session, above, read_networks)

    def _domain(
        self, session: Session, above: Mapping[Kind, LookAbove] | None = None,
        read: Mapping[str, ReadNetwork] | None = None,
    ) -> LibvirtDomain:
        above, read = above or {}, read or {}
        classes = {
            knob: NetClass(session, network, self._inventory.interfaces, read.get(knob))
            for knob, network in self._networks.items()}
        throttle = ThrottleKnob(session, lambda: self._definitions.forget(session.server_uuid))
        knobs: dict[str, Knob] = {"disk_throttle": throttle, **classes}
        if self._is_unified:
            knobs["memory_group"] = SoftLimitV2(
                session, self._soft_limit, self._protection, above.get(LOW))
            memory: floor.Floor = floor.FloorV2(
                session, self._promises, self._floors, above.get(MIN))
            shares: cpu.Shares = cpu.WeightV2(session, self._promises, self._systemd)
            knobs["cpu_quota"] = cpu.LimitV2(session)
            knobs["io_group"] = disk.WeightV2(session, self._systemd)
        else:
            knobs["memory_group"] = SoftLimitV1(session)
            memory = floor.FloorV1(session, self._promises)
            shares = cpu.SharesV1(session, self._promises)
            knobs["cpu_quota"] = cpu.LimitV1(session)
            knobs["io_group"] = disk.WeightV1(session)
        knobs |= {"cpu_group": shares, "memory_floor": memory}
        return LibvirtDomain(
            BalloonKnob(session, self._movements), knobs,
            (shares.admit, memory.admit, throttle.admit,
             *(each.admit for each in classes.values())))

    def _make_promises(self, capacity: Capacity) -> Promises:
        if not self._is_unified:
            return Promises(capacity, present_v1, cpu.shares_v1, _give_v1)
        most = scales.cpu_shares(scales.MOST_CPU_WEIGHT)
        return Promises(
            replace(capacity, most_shares=most), groups.inhabited, cpu.shares_v2, self._give_v2)

    def _give_v2(self, group: Group, before: Granted, now: Granted) -> None:
        if now.shares != before.shares:
            cpu.set_shares_v2(self._systemd, group, now.shares)
        floor.give_v2(self._floors, group, before, now)

    def _tidy_groups(self) -> None:
        try:
            self._protection.tidy()
            self._floors.tidy()
        except OSError as error:
            raise errors.HostRefused(
                f"memory_limit: {error.strerror}: {error.filename}") from error


def _give_v1(group: Group, before: Granted, now: Granted) -> None:
    if now.shares != before.shares:
        cpu.set_shares_v1(group, now.shares)
