# SPDX-License-Identifier: Apache-2.0
"""libvirt's calls on one running domain, with its errors translated."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import libvirt

from nova_qos.core import errors
from nova_qos.virt import failures, groups
from nova_qos.virt.calls import Calls
from nova_qos.virt.definition import Definition
from nova_qos.virt.definitions import Definitions
from nova_qos.virt.groups import Group
from nova_qos.virt.pool import LIMIT_S

_Answer = TypeVar("_Answer")
# Nova owns the definition; only running values are ours.
LIVE = libvirt.VIR_DOMAIN_AFFECT_LIVE
_STILL = (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PMSUSPENDED)
_BETWEEN_HOSTS = (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_MIGRATION)
# A libvirtd that has just started has yet to find the control groups of its running domains.
_GROUPS_FOUND_S = 2.0
_POLL_S = 0.2
#: libvirt's id of a domain that does not run.
NO_ID = -1
Parameters = Mapping[str, int]
#: How libvirt tells of a control group of cgroup v1, by knob.
PARAMETERS: Mapping[str, Callable[[libvirt.virDomain], Parameters]] = {
    "memory_group": lambda domain: domain.memoryParameters(LIVE),
    "cpu_group": lambda domain: domain.schedulerParametersFlags(LIVE),
    "io_group": lambda domain: domain.blkioParameters(LIVE),
}


@dataclass(frozen=True)
class Seen:
    """What one call told of a domain: its state and the reason in libvirt's numbers, the figures of
    its balloon (None: libvirt had none), its definition, its cgroup v2 group, and what libvirt
    holds for cgroup v1. With ``asked``, state and figures are not told: it does what
    ``Session.balloon_figures`` does, perhaps by an answer that is under way."""

    state: tuple[int, int]
    figures: Mapping[str, int] | None
    definition: Definition
    group: Group | None
    parameters: Mapping[str, Parameters] = field(default_factory=dict)
    asked: Callable[[], tuple[Mapping[str, int], bool]] | None = None


class Session:
    """One domain for one operation.

    Its definition is read once. It outlives a restart of libvirtd. What was ``seen`` of it is not
    read again.
    """

    def __init__(
        self, calls: Calls, server_uuid: str, definitions: Definitions, seen: Seen | None = None
    ) -> None:
        self._calls = calls
        self.server_uuid = server_uuid
        self._definitions, self._seen = definitions, seen
        self._definition = seen.definition if seen else None
        # libvirt's handle on each connection
        self._handles: dict[libvirt.virConnect, libvirt.virDomain] = {}
        self._id = NO_ID

    def require_running(self) -> None:
        """:raises ServerNotRunning: there is no running domain of this server."""
        if self._seen is None:
            self._handles.clear()
            self.call(self.identify)

    def identify(self, domain: libvirt.virDomain) -> None:
        """Remember which start of the server this domain is, whose handle was found anew.

        :raises ServerNotRunning: it has ended
        """
        # no other running domain has this id
        self._id = domain.ID()
        if self._id == NO_ID:
            raise failures.not_running()

    @property
    def is_described(self) -> bool:
        """Whether a definition is known; of which start of the server, shows when it is used."""
        return self._definitions.known(self.server_uuid, None) is not None

    @property
    def is_seen(self) -> bool:
        """Whether what was seen of it is all that is to be read."""
        return self._seen is not None

    def definition(self) -> Definition:
        """What the domain is made of."""
        if self._definition is None:
            with self._translated_if_running():
                self._definition = self._definitions.of(self.server_uuid, self._id)
        return self._definition

    def machine(self) -> str:
        """The running domain's ``groups.machine``."""
        def ask(domain: libvirt.virDomain) -> str:
            # found anew, libvirt's handle knows the id of a running domain
            _running(domain)
            return groups.machine(domain.ID(), domain.name())

        return self.call(ask)

    def balloon_figures(self) -> tuple[Mapping[str, int], bool]:
        """The statistics that libvirt holds of its balloon, in KiB and seconds since 1970, and
        whether the guest does not run."""
        if self._seen is None:
            return self.begin_balloon_figures()()
        if self._seen.asked is not None:
            return self._seen.asked()
        _require_rest(self._seen.state)
        if self._seen.figures is None:
            self.call(self._calls.hangs.require_answer)
            raise errors.HostRefused(
                "memory: libvirt has no statistics of this guest at present; QEMU may be hanging")
        return self._seen.figures, is_still(self._seen.state)

    def begin_balloon_figures(self) -> Callable[[], tuple[Mapping[str, int], bool]]:
        """Begin to ask for those; what this returns waits."""
        def ask(domain: libvirt.virDomain) -> tuple[Mapping[str, int], bool]:
            figures = domain.memoryStats()
            if "actual" not in figures:
                # without a balloon device, the memory is as it was defined
                figures["actual"] = domain.info()[2]
            return figures, is_still(domain.state())

        return self._begin_at_rest(ask)

    def parameters(self, knob: str) -> Parameters:
        """What libvirt holds for a control group of cgroup v1."""
        if self._seen is not None and knob in self._seen.parameters:
            return self._seen.parameters[knob]
        return self.call(PARAMETERS[knob])

    @contextmanager
    def group(self, controller: str) -> Iterator[Group]:
        """The domain's group of cgroup v2, for what the kernel's controller offers; errors of its
        files are translated."""
        try:
            group = self._seen.group if self._seen else None
            if group is None:
                machine = self.machine()
                group = groups.find(machine)
            if group is None:
                self._require_domain()
                raise errors.HostCannot(
                    f"libvirt gave this server no control group of its own: there is no {machine} "
                    f"below {groups.ROOT}; see cgroup_controllers in libvirt's qemu.conf, and let "
                    "the agent see all groups of the host")
            if controller not in group.controllers:
                raise errors.HostCannot(
                    f"this host's servers have no cgroup controller {controller}; see "
                    f"cgroup.subtree_control of {group.path.parent}")
            yield group
        except OSError as error:
            self._require_domain()
            raise failures.of_file(error) from error
        except errors.HostRefused:
            # it may have ended under the write
            self._require_domain()
            raise

    def call_at_rest(self, work: Callable[[libvirt.virDomain], _Answer]) -> _Answer:
        """``call`` what libvirt asks the guest's QEMU for, or does not do while another change of
        the domain lasts, such as its move between two hosts; it would wait half a minute for that
        to end."""
        return self._begin_at_rest(work)()

    def call(self, work: Callable[[libvirt.virDomain], _Answer]) -> _Answer:
        """Do ``work``, which libvirt does by itself, on the running domain.

        :raises ServerNotRunning, HostCannot, HostRefused, HostAway: libvirt's error, translated
        """
        with _translated():
            return self._calls.call(self.server_uuid, self._on(work))

    def _begin_at_rest(
        self, work: Callable[[libvirt.virDomain], _Answer]
    ) -> Callable[[], _Answer]:
        def ask(domain: libvirt.virDomain) -> _Answer:
            _require_rest(_running(domain))
            self._calls.hangs.require_answer(domain, LIMIT_S)
            answer = work(domain)
            self._calls.hangs.answered(self.server_uuid)
            return answer

        answered = self._calls.begin_to_ask(self.server_uuid, self._on(ask))

        def wait() -> _Answer:
            with self._translated_if_running():
                return answered()

        return wait

    def _on(
        self, work: Callable[[libvirt.virDomain], _Answer]
    ) -> Callable[[libvirt.virConnect], _Answer]:
        """``work`` with the domain of a connection."""
        def on(connection: libvirt.virConnect) -> _Answer:
            domain = self._handles.get(connection)
            if domain is None:
                domain = connection.lookupByUUIDString(self.server_uuid)
                self._handles[connection] = domain
            give_up = time.monotonic() + _GROUPS_FOUND_S
            while True:
                try:
                    return work(domain)
                except libvirt.libvirtError as error:
                    if failures.is_connection_lost(error):
                        raise
                    if not failures.is_group_missing(error) or time.monotonic() > give_up:
                        raise failures.translate(error, bool(domain.isActive())) from error
                time.sleep(_POLL_S)

        return on

    @contextmanager
    def _translated_if_running(self) -> Iterator[None]:
        """Translate libvirt's errors of calls during which the domain may end."""
        with _translated():
            try:
                yield
            except libvirt.libvirtError:
                # libvirt has no code of its own for "not running"
                self._require_domain()
                raise

    def _require_domain(self) -> None:
        """:raises ServerNotRunning: it has ended, whatever was seen before."""
        self.call(_running)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except libvirt.libvirtError as error:
        raise failures.translate(error, running=True) from error


def _running(domain: libvirt.virDomain) -> tuple[int, int]:
    """Its state and the reason.

    :raises ServerNotRunning: it has ended
    """
    state, reason = domain.state()
    if state == libvirt.VIR_DOMAIN_SHUTOFF:
        raise failures.not_running()
    return state, reason


def is_still(state: tuple[int, int]) -> bool:
    """Whether a guest in this state, with its reason, does not run."""
    return state[0] in _STILL


def is_between_hosts(state: tuple[int, int]) -> bool:
    """Whether a guest in this state, with its reason, is still coming from another host."""
    return state == _BETWEEN_HOSTS


def _require_rest(state: tuple[int, int]) -> None:
    if is_between_hosts(state):
        raise errors.ServerNotRunning("the server is migrating between two hosts; try again "
                                      "when it runs")
