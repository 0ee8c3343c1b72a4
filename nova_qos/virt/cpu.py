# SPDX-License-Identifier: Apache-2.0
"""CPU shares, with cgroup v1 and v2."""

from collections.abc import Mapping

from nova_qos.core import errors, scales
from nova_qos.core.reading import Reading
from nova_qos.host import Ability
from nova_qos.virt.definition import Definition
from nova_qos.virt.kernel import Configuration, Kernel
from nova_qos.virt.session import LIVE, Session
from nova_qos.virt.systemd import Systemd

_WEIGHT = "cpu.weight"


class SharesV1:
    """cpu.shares of cgroup v1, through libvirt."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def read(self) -> Mapping[str, Reading]:
        """The shares."""
        parameters = self._session.parameters("cpu_group")
        why_not = _why_no_shares(self._session.definition())
        return {"cpu_priority": Reading(
            parameters["cpu_shares"], effective=why_not is None, reason=why_not)}

    def write(self, values: Mapping[str, int]) -> None:
        """Set the shares."""
        parameters = {"cpu_shares": values["cpu_priority"]}
        self._session.call_at_rest(
            lambda domain: domain.setSchedulerParametersFlags(parameters, LIVE))


class WeightV2:
    """cpu.weight of cgroup v2: read from the kernel, written by its owner."""

    def __init__(self, session: Session, systemd: Systemd) -> None:
        self._session, self._systemd = session, systemd

    def read(self) -> Mapping[str, Reading]:
        """The shares that the weight stands for, and the span of shares that it cannot tell
        apart; details: the weight."""
        with self._session.group("cpu") as group:
            weight = group.read(_WEIGHT)
        span, why_not = scales.cpu_shares_span(weight), _why_no_shares(self._session.definition())
        return {"cpu_priority": Reading(
            scales.cpu_shares(weight), effective=why_not is None,
            reason=why_not or _coarseness(weight, span), details={"weight": weight}, span=span)}

    def write(self, values: Mapping[str, int]) -> None:
        """Set the weight that is nearest to the shares."""
        shares = values["cpu_priority"]
        if not scales.LEAST_CPU_SHARES <= shares <= scales.MOST_CPU_SHARES:
            raise errors.HostRefused(f"share: the kernel does not accept {shares} shares")
        weight = scales.cpu_weight(shares)
        # Not through libvirt: its least share, 2, is the second least weight.
        with self._session.group("cpu") as group:
            self._systemd.write(group, _WEIGHT, weight, "CPUWeight", weight)


def abilities(configuration: Configuration, kernel: Kernel) -> Mapping[str, Ability]:
    """What this host can do with CPU shares."""
    return {"cpu_priority": Ability(kernel.why_not("cpu"), how=kernel.cgroup)}


def _why_no_shares(definition: Definition) -> str | None:
    """Say why CPU shares have no effect on a domain; None when they divide its CPUs."""
    if definition.dedicated_cpus:
        return ("each vCPU is pinned to a host CPU of its own (dedicated CPUs), so no other "
                "server competes for it")
    return None


def _coarseness(weight: int, span: tuple[int, int]) -> str | None:
    if weight == scales.DEFAULT_CPU_WEIGHT or span[0] == span[1]:
        return None
    return f"cgroup v2 holds weight {weight}, which stands for shares {span[0]} to {span[1]}"
