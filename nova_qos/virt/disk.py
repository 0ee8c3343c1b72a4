# SPDX-License-Identifier: Apache-2.0
"""Disk I/O weights, with cgroup v1 and v2."""

from collections.abc import Collection, Mapping
from pathlib import Path

from nova_qos.core import errors, scales
from nova_qos.core.reading import Reading
from nova_qos.host import Ability
from nova_qos.virt import iosched
from nova_qos.virt.definition import Disk
from nova_qos.virt.groups import Group
from nova_qos.virt.kernel import Configuration, Kernel
from nova_qos.virt.session import LIVE, Session
from nova_qos.virt.systemd import Systemd

_BFQ, _IO = "io.bfq.weight", "io.weight"
_MOST_WEIGHT = 1000


class WeightV1:
    """blkio's weight of cgroup v1, through libvirt."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def read(self) -> Mapping[str, Reading]:
        """The weight that the kernel's scheduler uses."""
        weight = self._session.parameters("io_group")["weight"]
        why_not = iosched.look(self._session.definition().disks).why_not
        return {"io_priority": Reading(weight, effective=why_not is None, reason=why_not)}

    def write(self, values: Mapping[str, int]) -> None:
        """Set the weight."""
        parameters = {"weight": values["io_priority"]}
        self._session.call_at_rest(lambda domain: domain.setBlkioParameters(parameters, LIVE))


class WeightV2:
    """The io controller's weights of cgroup v2: read from the kernel, written by their owner."""

    def __init__(self, session: Session, systemd: Systemd) -> None:
        self._session, self._systemd = session, systemd

    def read(self) -> Mapping[str, Reading]:
        """The weight that the kernel's scheduler uses."""
        division = iosched.look(self._session.definition().disks)
        with self._session.group("io") as group:
            weight = group.read(_weight_files(group, division.dividers)[0])
        return {"io_priority": Reading(
            weight, effective=division.why_not is None, reason=division.why_not)}

    def write(self, values: Mapping[str, int]) -> None:
        """Set the weight for every scheduler that divides the domain's disks."""
        # Not through libvirt: it would tell the host that the server moves to a value that is
        # meant for systemd, and one with cgroup v1 would refuse the server.
        weight = values["io_priority"]
        if not 1 <= weight <= _MOST_WEIGHT:
            raise errors.HostRefused(f"weight: the kernel does not accept weight {weight}")
        dividers = iosched.look(self._session.definition().disks).dividers
        with self._session.group("io") as group:
            first, *others = _weight_files(group, dividers)
            for_systemd = scales.systemd_io_weight(weight) if first == _BFQ else weight
            self._systemd.write(group, first, weight, "IOWeight", for_systemd)
            for file in others:
                group.write(file, weight)


def abilities(configuration: Configuration, kernel: Kernel) -> Mapping[str, Ability]:
    """What this host can do with disk I/O weights."""
    path, kind = configuration.instances_path, configuration.images_type
    if kind in ("rbd", "lvm"):
        why_not: str | None = (
            f"servers' disks are not files on this host ([libvirt] images_type = {kind}); get-qos "
            "of a server shows whether weights have an effect")
    else:
        division = iosched.look([Disk(path, "file", path)])
        why_not = division.why_not
        if why_not is not None:
            why_not += "".join(map(_advice, division.undivided))
    return {"io_priority": Ability(kernel.why_not("io"), why_not, kernel.cgroup)}


def _advice(device: Path) -> str:
    offered = iosched.offered(device)
    if not offered:
        return ""
    load = "" if "bfq" in offered else "load the module bfq and "
    return (f". {device.name} offers {offered}: {load}write bfq to "
            f"/sys/block/{device.name}/queue/scheduler")


def _weight_files(group: Group, dividers: Collection[iosched.Divider]) -> list[str]:
    """The files of what divides the domain's disks; where nothing does, the one that would be
    looked at first."""
    offered = [file for file in (_BFQ, _IO) if group.has(file)]
    if not offered:
        raise errors.HostCannot(
            "weight: no I/O scheduler of this kernel supports weights; load the module bfq")
    of = {_BFQ: "bfq", _IO: "io.cost"}
    return [file for file in offered if of[file] in dividers] or offered[:1]
