# SPDX-License-Identifier: Apache-2.0
"""What Watcher audits are to reach: hosts that are short can keep again what their servers need
and are guaranteed."""

from collections.abc import Mapping
from typing import Any

from watcher.decision_engine.goal import base
from watcher.decision_engine.goal.efficacy import base as efficacy
from watcher.decision_engine.goal.efficacy import indicators
from watcher.decision_engine.solution.efficacy import Indicator

#: Of the goal, and of the strategy for it.
NAME = "nova_qos_relief"


class Count(indicators.IndicatorSpecification):
    """A whole number."""

    @property
    def schema(self) -> dict[str, object]:
        """As JSON schema has it."""
        return {"type": "integer", "minimum": 0}


class Efficacy(efficacy.EfficacySpecification):
    """What a plan costs, and how many hosts it relieves."""

    def get_indicators_specifications(self) -> list[Count]:
        """What the strategy tells of each plan."""
        return [
            Count("hosts_short", "Hosts that are short and were to be relieved."),
            Count("hosts_relieved", "Those of them that are not short after the moves."),
            Count("instance_migrations_count", "Servers to move."),
            Count("migrated_mib", "Resident memory and local disks to copy.", "MiB")]

    def get_global_efficacy_indicator(self, indicators_map: Mapping[str, int]) -> list[Any]:
        """The part of the hosts that is relieved; all where none is short."""
        short, relieved = (
            (indicators_map or {}).get(name, 0) for name in ("hosts_short", "hosts_relieved"))
        return [Indicator(
            "hosts_relieved_ratio", "Hosts that are relieved, of those that are short.", "%",
            100.0 * relieved / short if short else 100.0)]


class Relief(base.Goal):
    """Hosts can keep again what their servers need and are guaranteed."""

    @classmethod
    def get_name(cls) -> str:
        """As audits name it."""
        return NAME

    @classmethod
    def get_display_name(cls) -> str:
        """As it is shown."""
        return cls.get_translatable_display_name()

    @classmethod
    def get_translatable_display_name(cls) -> str:
        """As it is shown, in English."""
        return "Relief of hosts that are short"

    @classmethod
    def get_efficacy_specification(cls) -> Efficacy:
        """How its plans are measured."""
        return Efficacy()
