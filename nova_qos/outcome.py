# SPDX-License-Identifier: Apache-2.0
"""What a server's resources are like, as the API reports it, and what became of a set."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NotRequired, TypedDict

from nova_qos.core.reading import LEFT_IN_PLACE, State
from nova_qos.core.server import POLICY
from nova_qos.resources import TABLE

Result = Literal["applied", "pending", "failed"]
#: What a server can be set to: of a resource its value in the resource's unit, of "policy" the name
#: of one; None unsets.
Setting = int | str | None


#: Why a server's CPU shares are more than anybody asks for; that is no drift.
_RAISED = "raised by cpu_guarantee"


class Saved(TypedDict):
    """What is requested of one resource, in ``unit``; None = nothing.

    ``source`` says whose wish that is: "server", "policy gold", "default policy bronze", "hook", or
    "none"; of a policy, ``policy_revision`` is its revision. It is "unknown" while the API cannot
    tell what policies ask for, and ``reason`` says why. Older APIs say none of these.
    """

    requested: int | None
    unit: str
    range: list[int]
    default: int
    source: NotRequired[str]
    policy_revision: NotRequired[int | None]
    reason: NotRequired[str | None]


class Report(Saved):
    """One resource of a server: requested, and applied by its host (None = nothing can be read,
    -1 = unlimited). ``since``: ISO 8601, UTC. ``reason``: a sentence."""

    applied: int | float | None
    state: State
    effective: bool
    since: str | None


@dataclass(frozen=True)
class Outcome:
    """What became of the settings that were ``asked`` for: ``report`` holds every resource.

    ``policy`` is the policy that the server was set to, where "policy" is among them; None: unset.
    Its resources then count as if each were among them, too.
    """

    report: Mapping[str, Report]
    asked: tuple[str, ...]
    policy: str | None = None

    @classmethod
    def of(cls, report: Mapping[str, Report], settings: Mapping[str, Setting]) -> "Outcome":
        """What became of these settings."""
        policy = settings.get(POLICY)
        return cls(report, tuple(settings), None if policy is None else str(policy))

    @property
    def by_policies(self) -> tuple[str, ...]:
        """The resources that some policy decides, where a policy was set or unset."""
        return tuple(name for name, each in self.report.items()
                     if POLICY in self.asked and is_by_policy(each))

    @property
    def _concerned(self) -> tuple[str, ...]:
        if POLICY not in self.asked:
            return self.asked
        return tuple(name for name, each in self.report.items() if name in self.asked or (
            is_by_policy(each) or _is_left_by_policy(each)))

    @property
    def pending(self) -> tuple[str, ...]:
        """What is saved, but still to come."""
        return tuple(name for name in self._concerned if _is_to_come(name, self.report[name]))

    @property
    def failed(self) -> tuple[str, ...]:
        """Settings that are saved but will not be applied soon: the host refuses or does not
        support them, the guest took the memory back, or the agent leaves in place what another
        program wrote."""
        return tuple(name for name in self._concerned if _does_not_come(name, self.report[name]))

    @property
    def result(self) -> Result:
        """Of all requested settings."""
        return "failed" if self.failed else "pending" if self.pending else "applied"


def is_by_policy(report: Saved) -> bool:
    """Whether a named policy asks for the value."""
    return report.get("source", "").startswith(("policy ", "default policy "))


def _is_left_by_policy(report: Report) -> bool:
    """Whether nobody asks for a value any more, or nobody can tell, and the host may still hold
    that of a policy: it waits, or no reason explains what it holds."""
    return report.get("source") in ("none", "unknown") and (
        report["state"] == "pending" or report["applied"] is None or not report["reason"])


def _is_to_come(name: str, report: Report) -> bool:
    return _differs(name, report) and report["reason"] != LEFT_IN_PLACE


def _differs(name: str, report: Report) -> bool:
    """Whether the host holds another value than it is to hold, which its agent corrects unless it
    only reports drift."""
    if report["requested"] is None:
        # the host still holds what it was, there is nobody to carry it out, or a policy that may
        # ask for a value is not known there yet
        return report["state"] == "pending" or (
            report["state"] == "unset" and report["reason"] != _RAISED
            and not _has_default(name, report))
    return report["state"] in ("pending", "drifted")


def _has_default(name: str, report: Report) -> bool:
    # the state does not tell: it is "unset" also while the host still holds the former value
    row = TABLE.get(name)
    if row is None:
        return report["applied"] == report["default"]
    return row.unit.holds(report["applied"], report["default"])


def _does_not_come(name: str, report: Report) -> bool:
    if report["reason"] == LEFT_IN_PLACE:
        return _differs(name, report)
    states = ("refused", "unsupported", "deflated")
    return report["requested"] is not None and report["state"] in states
