# SPDX-License-Identifier: Apache-2.0
"""The abilities of a host, determined before any setting is made; changes nothing."""

from collections.abc import Callable, Mapping

from nova_qos.host import Ability
from nova_qos.virt import cpu, disk, throttle
from nova_qos.virt.connection import Connection
from nova_qos.virt.daemon import Daemon
from nova_qos.virt.floor import FloorV1, FloorV2
from nova_qos.virt.kernel import Configuration, Kernel
from nova_qos.virt.memory import BalloonKnob, SoftLimitV1, SoftLimitV2

_Abilities = Callable[[Configuration, Kernel], Mapping[str, Ability]]


def survey(configuration: Configuration, kernel: Kernel | None = None) -> dict[str, Ability]:
    """The ability of each knob of this room, by resource.

    :raises HostAway: libvirt does not answer
    """
    connection = Connection(Daemon(configuration.connection_uri))
    connection.call(lambda opened: opened.getLibVersion())
    connection.close()
    kernel = kernel or Kernel()
    soft_limit = SoftLimitV2.abilities if kernel.is_unified else SoftLimitV1.abilities
    memory_floor = FloorV2.abilities if kernel.is_unified else FloorV1.abilities
    knobs: tuple[_Abilities, ...] = (
        BalloonKnob.abilities, soft_limit, memory_floor, cpu.abilities, disk.abilities,
        throttle.abilities)
    return {name: ability for abilities in knobs
            for name, ability in abilities(configuration, kernel).items()}
