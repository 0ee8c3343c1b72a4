# SPDX-License-Identifier: Apache-2.0
"""What the host answers for one resource of one server."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Union

from nova_qos.core import errors

#: Why a requested value is not in force. pending: it can still be applied; unsupported: this host
#: never applies it; refused: the host or the guest does not take it at present; deflated: the guest
#: took its memory back; drifted: another program changed it.
Unmet = Literal["pending", "unsupported", "refused", "deflated", "drifted"]
#: The reason of what drifted where the agent does not correct drift.
LEFT_IN_PLACE = (
    "another program changed the value, and [nova_qos] drift = report leaves it in place")
State = Union[Literal["unset", "applied"], Unmet]  # noqa: UP007  # literals cannot be joined by |


@dataclass(frozen=True)
class Reading:
    """What a host has applied of one resource.

    ``applied`` is in the host's unit (memory: KiB), ``UNLIMITED`` where nothing limits, None where
    nothing can be read. ``effective`` tells whether the value has an effect on this host;
    ``reason`` explains any state other than an effective, applied value. ``details`` are further
    figures in the host's unit. ``unmet`` tells why the requested value is not in force, where that
    is known; ``since`` is the time (s since 1970) of the last change that the agent has seen.
    ``span`` is the least and the most of the values that the host makes ``applied`` of: its scale
    may be coarser, or it raised a weight to keep a guarantee; None where it takes them as they are.
    The detail ``asked`` is the value that was written, where the host made another of it.
    ``wrong_mechanism``: the value is enforced by
    another mechanism than nova.conf asks for, so it is to be written again. ``applied_source`` says
    whose value is applied where that is not the one that was requested: the balancer's.
    """

    applied: int | None
    effective: bool = True
    reason: str | None = None
    details: Mapping[str, int] = field(default_factory=dict)
    unmet: Unmet | None = None
    since: float | None = None
    span: tuple[int, int] | None = None
    wrong_mechanism: bool = False
    applied_source: str | None = None

    @classmethod
    def unread(cls, error: errors.QosError) -> "Reading":
        """The reading of a value that nobody could read: unsupported where this host never offers
        it, else pending."""
        unmet: Unmet = "unsupported" if isinstance(error, errors.HostCannot) else "pending"
        return cls(None, effective=False, reason=error.message, unmet=unmet)

    def holds(self, target: int) -> bool:
        """Whether the host has this value for good, as far as its scale can tell."""
        if self.wrong_mechanism or self.unmet == "pending":
            return False
        if self.span is not None:
            return self.span[0] <= target <= self.span[1]
        return self.applied == target

    @property
    def asked(self) -> int | None:
        """The value that was written: what is applied, unless the host made another of it."""
        return self.details.get("asked", self.applied)

    @property
    def waits(self) -> bool:
        """Nothing could be written yet; it is to be applied later."""
        return self.unmet == "pending" and self.applied is None
