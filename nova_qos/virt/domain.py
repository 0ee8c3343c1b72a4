# SPDX-License-Identifier: Apache-2.0
"""A running domain behind the ``Domain`` protocol: its knobs by name."""

from collections.abc import Callable, Mapping, Sequence

from nova_qos.core.balloon import Balloon
from nova_qos.core.reading import Reading
from nova_qos.host import Interfaces, Knob, Neighbours, Network
from nova_qos.virt.memory import BalloonKnob
from nova_qos.virt.session import Session

ReadNetwork = Callable[[str, Interfaces], Mapping[str, Reading]]
Admission = Callable[[Mapping[str, int]], None]


class NetClass:
    """The class of the host's uplinks that a server's packets get."""

    def __init__(
        self, session: Session, network: Network, neighbours: Neighbours,
        read: ReadNetwork | None = None,
    ) -> None:
        """:param read: in place of ``network.read``, for a snapshot"""
        self._session, self._network, self._neighbours = session, network, neighbours
        self._read = read or network.read

    def read(self) -> Mapping[str, Reading]:
        """See ``Network.read``."""
        # the definition of a stopped domain can be read as well, and names no devices
        self._session.require_running()
        return self._read(self._session.server_uuid, self._session.definition().interfaces)

    def write(self, values: Mapping[str, int]) -> None:
        """See ``Network.write``."""
        self._network.write(self._session.server_uuid, values, self._neighbours)

    def admit(self, values: Mapping[str, int]) -> None:
        """See ``host.Domain.admit``."""
        self._network.admit(self._session.server_uuid, values, self._neighbours)


class LibvirtDomain:
    """A running domain."""

    def __init__(
        self, balloon: BalloonKnob, others: Mapping[str, Knob], admissions: Sequence[Admission] = ()
    ) -> None:
        """:param admissions: each as ``host.Domain.admit``, for some of the resources"""
        self._balloon, self._admissions = balloon, admissions
        self._knobs: Mapping[str, Knob] = {"balloon": balloon, **others}

    def knob(self, name: str) -> Knob:
        """See ``host.Domain.knob``."""
        return self._knobs[name]

    def admit(self, values: Mapping[str, int]) -> None:
        """See ``host.Domain.admit``."""
        for admit in self._admissions:
            admit(values)

    def balloon(self) -> Balloon:
        """See ``host.Domain.balloon``."""
        return self._balloon.balloon()
