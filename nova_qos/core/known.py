# SPDX-License-Identifier: Apache-2.0
"""What the API knows of named policies beside what they come to for a server: all of them as they
are now, and how current the copy of them is that the server's host has. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from nova_qos.core.desired import Target
from nova_qos.core.policy import Catalog, Value
from nova_qos.core.reading import Reading

#: Of a reading that tells of an agent's copy: the detail with its age.
AGE_S = "age_s"
_LOGGED = "its log says why"
_TOO_OLD = "the host's agent is older than named policies; upgrade it"
#: From so many of the next unit on, an age is told in it.
_UNITS = ((86400, 2, "days"), (3600, 1, "h"), (60, 1, "min"))


@dataclass(frozen=True)
class Copy:
    """A host's copy of the policies, as its agent tells of it.

    ``revision`` is that of its catalog, None for no copy; ``age_s`` the time since it was fetched
    or found to be current, in seconds; ``complaint`` says why the agent could not fetch policies
    last time, as a sentence; None: it could. ``is_possible``: the agent knows named policies.
    """

    revision: int | None = None
    age_s: int | None = None
    complaint: str | None = None
    is_possible: bool = True

    @classmethod
    def of(cls, reading: Reading | None) -> "Copy":
        """The copy that an agent has answered for; older agents leave that out."""
        if reading is None or reading.unmet == "unsupported":
            return cls(is_possible=False)
        return cls(reading.applied, reading.details.get(AGE_S), reading.reason)

    def for_users(self) -> "Copy":
        """The same for those who are not to read of hosts, addresses and accounts."""
        return replace(self, complaint=_LOGGED) if self.complaint else self

    def is_older(self, catalog: Catalog) -> bool:
        """Whether these policies have been changed since it was fetched."""
        return self.revision is None or self.revision < catalog.revision


@dataclass(frozen=True)
class Known:
    """``catalog``: all policies, None where nobody can tell; ``copy``: what the host has of them,
    None where it was not asked, or did not answer."""

    catalog: Catalog | None = None
    copy: Copy | None = None

    def explained(self, target: Target, reading: Reading) -> Reading:
        """The reading of a resource, where the host's copy is why a policy is not in force."""
        if self.copy is None or target.source.kind != "policy":
            return reading
        if not self.copy.is_possible:
            return replace(reading, effective=False, unmet="unsupported", reason=_TOO_OLD)
        if _is_elsewhere(target, reading) or not self._is_behind:
            return reading
        return replace(reading, unmet="pending", reason=(
            f"the host has yet to get revision {target.source.revision} of policy "
            f"{target.source.name}"))

    def complaints(self, target: Target, reading: Reading) -> Iterator[str]:
        """What keeps the host's copy from being current, where that may matter to a resource."""
        if (self.copy is not None and self.copy.complaint and target.source.kind == "policy"
                and not _is_elsewhere(target, reading)):
            age = ("it has no copy" if self.copy.age_s is None
                   else f"its copy is {in_words(self.copy.age_s)} old")
            yield f"its agent could not fetch policies lately ({self.copy.complaint}), {age}"

    def written(self, name: str, target: Target) -> Value | None:
        """The value of a resource as the policy has it that decides, such as "75%"."""
        policy = None
        if self.catalog is not None and target.source.kind == "policy":
            policy = self.catalog.named(str(target.source.name))
        return policy.settings.get(name) if policy is not None else None

    @property
    def _is_behind(self) -> bool:
        return (self.copy is not None and self.catalog is not None
                and self.copy.is_older(self.catalog))


def in_words(age_s: int) -> str:
    """A time in its largest sensible unit, rounded down."""
    for size, least, unit in _UNITS:
        if age_s >= least * size:
            return f"{age_s // size} {unit}"
    return f"{age_s} s"


def _is_elsewhere(target: Target, reading: Reading) -> bool:
    """Whether the copy cannot be the reason: the value is in force, or nothing can be read."""
    return reading.applied is None or reading.holds(target.host_value)
