# SPDX-License-Identifier: Apache-2.0
"""What has become of one target of a server, and when the next attempt is due."""

from dataclasses import dataclass

from nova_qos.core import errors
from nova_qos.core.reading import Reading, Unmet

#: The longest pauses before the next attempt: at what comes soon by itself, such as the end of a
#: task or a guest's boot, and at what the guest or the host refuses at present.
SOON_S, SELDOM_S = 5.0, 300.0
#: Which state an error stands for, and the longest pause before the next attempt, None = none.
#: The first class that the error belongs to decides.
_STATES: tuple[tuple[type[errors.QosError], Unmet, float | None], ...] = (
    (errors.NoBalloon, "pending", SOON_S),
    (errors.TooEarly, "pending", SOON_S),
    (errors.ServerNotRunning, "pending", SOON_S),
    (errors.HostRefused, "refused", SELDOM_S),
    (errors.HostCannot, "unsupported", None),
)


@dataclass(frozen=True)
class Outcome:
    """What has become of one target.

    ``reading`` says what is applied, with ``unmet`` and ``reason`` where that is not the target.
    ``again_s`` is the longest pause, in seconds, before the next attempt; None: no attempt is due.
    ``written``: the host took a value; ``follows``: the guest is on its way to the target.
    ``error`` is why the attempt failed. ``before`` is what was applied before a write was tried,
    None where none was, or where nothing could be read.
    """

    reading: Reading
    again_s: float | None = None
    error: errors.QosError | None = None
    written: bool = False
    follows: bool = False
    before: int | None = None

    @classmethod
    def failed(cls, error: errors.QosError) -> "Outcome":
        """The outcome of an attempt that raised.

        :raises QosError: the error itself where it says nothing about the target
        """
        for kind, unmet, again_s in _STATES:
            if isinstance(error, kind):
                reading = Reading(None, effective=False, reason=error.message, unmet=unmet)
                return cls(reading, again_s, error)
        raise error
