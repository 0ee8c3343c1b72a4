# SPDX-License-Identifier: Apache-2.0
"""Named policies as the table shows them."""

from collections.abc import Mapping
from dataclasses import dataclass

from nova_qos.client_policies import Policy
from nova_qos.core.policy import Value
from nova_qos.resources import BY_FAMILY, TABLE
from nova_qos.words import setting


@dataclass(frozen=True)
class PolicyRow:
    """A policy with the names of its projects."""

    policy: Policy
    project_names: Mapping[str, str]

    @property
    def id(self) -> str:
        return self.policy["id"]

    @property
    def name(self) -> str:
        return self.policy["name"]

    @property
    def description(self) -> str:
        return self.policy["description"]

    @property
    def settings(self) -> str:
        return in_words(self.policy["settings"])

    @property
    def is_default(self) -> bool:
        return self.policy["is_default"]

    @property
    def projects(self) -> str:
        return ", ".join(self.project_names.get(each, each)
                         for each in self.policy.get("projects", ()))

    @property
    def revision(self) -> int:
        return self.policy["revision"]


def in_words(settings: Mapping[str, Value]) -> str:
    """The settings of a policy, those of a family together."""
    known = [name for name in BY_FAMILY if name in settings]
    return ", ".join([
        *(setting(TABLE[name], settings[name]) for name in known),
        *(f"{name} {value}" for name, value in settings.items() if name not in known)])
