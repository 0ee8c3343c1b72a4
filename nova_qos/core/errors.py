# SPDX-License-Identifier: Apache-2.0
"""Everything that can go wrong, as one tree.

::

    QosError
    ├── InvalidSetting         the value is no value for this resource
    ├── TaskInProgress         nova is at work on the server; ask again when it is done
    ├── ServerGone             the server was deleted meanwhile
    ├── NoSuchHost             nova has no compute host of this name
    ├── NoSuchPolicy           no named policy has this id or name
    ├── PolicyConflict         the name is taken, there is a default, or somebody uses the policy
    ├── PolicyChanged          the policy is not what the caller has seen any more
    ├── NoDatabase             named policies have no database that this service could use
    ├── ServerNotRunning       no domain, or a paused one, that could take the value now
    ├── HostCannot             this host does not support it as it is configured
    ├── HostRefused            this host could, but not now or not this value
    │   ├── NoBalloon          the guest runs no balloon driver
    │   ├── UnsafeMemory       the guest cannot spare that much
    │   └── TooEarly           what the guest can spare is not known yet
    ├── Unreachable            nobody there to ask
    │   ├── AgentAway          no answer from the agent on the server's host
    │   ├── DatabaseAway       no answer from the database of policies
    │   └── HostAway           the agent is there, libvirt is not
    ├── UnknownNova            (start) this nova, or its api-paste.ini, is none that we know
    └── ApiRefused             (client) nova's API answered with an error
        └── NotInstalled       (client) that API knows nothing of nova-qos

A message names the field, the value and the range or the owner in the way, and what to do.
The single argument of each is that message, so that an error survives the message bus; those of
the client stay where they arise and hold the answer's status too.
"""


class QosError(Exception):
    """Any failure of ours; ``message`` is a sentence for people."""

    def __init__(self, message: str) -> None:
        super().__init__(message)

    @property
    def message(self) -> str:
        """The sentence."""
        return str(self.args[0])


class InvalidSetting(QosError):
    """The value is of the wrong type or outside the range of its resource."""


class TaskInProgress(QosError):
    """Nova works on the server; nothing may change under it."""


class ServerGone(QosError):
    """The server was deleted while it was being handled."""


class NoSuchHost(QosError):
    """Nova has no compute host of this name."""


class NoSuchPolicy(QosError):
    """No named policy has this id or name."""


class PolicyConflict(QosError):
    """The name is taken, another policy is the default, or somebody uses the policy."""


class PolicyChanged(QosError):
    """Somebody has changed the policy since the caller has read it."""


class NoDatabase(QosError):
    """Named policies have no database, or one that this service cannot use."""


class ServerNotRunning(QosError):
    """The server has no running domain, or a paused or incoming one where a running guest is
    required."""


class HostCannot(QosError):
    """The host, or the server as it is defined, does not offer this resource at all."""


class HostRefused(QosError):
    """The host did not take the value."""


class NoBalloon(HostRefused):
    """The guest runs no balloon driver that answers."""


class UnsafeMemory(HostRefused):
    """The guest cannot spare the memory that would be taken."""


class TooEarly(HostRefused):
    """The guest has yet to report what it can spare; ``due_s`` is the longest time, in seconds,
    until it does, as far as that is known."""

    def __init__(self, message: str, due_s: float = 0.0) -> None:
        super().__init__(message)
        self.due_s = due_s


class Unreachable(QosError):
    """The agent or libvirt did not answer; the server's resources are unchanged."""


class AgentAway(Unreachable):
    """The agent on the server's host did not answer in time."""


class DatabaseAway(Unreachable):
    """The database of policies did not answer in time."""


class HostAway(Unreachable):
    """The agent cannot reach libvirt."""


class UnknownNova(QosError):
    """What nova-qos is to be mounted in, nova or its api-paste.ini, is not what it knows."""

    # the documented name: operators search for it as a traceback says it
    __module__ = "nova_qos.errors"


class ApiRefused(QosError):
    """Nova's API answered with an error; ``message`` is its sentence, ``status`` the HTTP status.

    As text it also names the status and, where there is one, the request's id.
    """

    def __init__(self, message: str, status: int, request_id: str | None = None) -> None:
        super().__init__(message)
        self.status, self.request_id = status, request_id

    def __str__(self) -> str:
        request = f" (Request-ID: {self.request_id})" if self.request_id else ""
        return f"{self.message} (HTTP {self.status}){request}"


class NotInstalled(ApiRefused):
    """The API that answered has no nova-qos."""

    def __str__(self) -> str:
        return self.message


def by_name() -> dict[str, type[QosError]]:
    """Every class of the tree by its name, for what comes over the message bus."""
    found: dict[str, type[QosError]] = {}
    waiting: list[type[QosError]] = [QosError]
    while waiting:
        kind = waiting.pop()
        found[kind.__name__] = kind
        waiting += kind.__subclasses__()
    return found
