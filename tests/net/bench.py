# SPDX-License-Identifier: Apache-2.0
"""A host whose network priorities are set by our code, and looked at by tc and nft."""

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from nova_qos.model import Interface, Interfaces, Reading
from nova_qos.net.shaper import Shaper
from testbed.netns import UPLINK, Guest, Namespace, Site

#: Of servers without a priority.
DEFAULT_WEIGHT = 50
# a priority p has the weight 99 - p
_NO_WEIGHT = 99


class Bench:
    """Servers by number, as the site has guests; calls of ours act inside of its host."""

    def __init__(self, site: Site, rate_mbit: int) -> None:
        self.site = site
        self.shaper = Shaper([UPLINK], rate_mbit, DEFAULT_WEIGHT)
        self.uuids = [str(uuid.uuid4()) for _ in site.guests]
        self.servers: dict[str, Interfaces] = {
            server: interfaces(guest) for server, guest in zip(self.uuids, site.guests, strict=True)
        }

    def neighbours(self) -> Mapping[str, Interfaces]:
        return dict(self.servers)

    def prioritize(self, number: int, priority: int) -> None:
        with self.site.host.inside():
            self.shaper.write_priority(self.uuids[number], priority, self.neighbours)

    def weigh(self, number: int, weight: int) -> None:
        self.prioritize(number, _NO_WEIGHT - weight)

    def reading(self, number: int) -> Reading:
        with self.site.host.inside():
            return self.shaper.read_priority(self.servers[self.uuids[number]])

    def tidy(self) -> None:
        with self.site.host.inside():
            self.shaper.tidy(self.neighbours)

    def class_bytes(self) -> dict[str, int]:
        """What the kernel has sent, by class."""
        return {name: each.sent_bytes for name, each in classes(self.site.host).items()}


def interfaces(guest: Guest) -> Interfaces:
    """As the agent finds them in a domain's definition."""
    return tuple(Interface(mac=nic.mac, tap=nic.tap) for nic in guest.nics)


@dataclass(frozen=True)
class HtbClass:
    """One class as tc shows it."""

    parent: str
    prio: int
    quantum: int
    rate: str
    ceil: str
    sent_bytes: int


# tc of Debian 12 knows no JSON for classes
_CLASS = re.compile(
    r"class htb (?P<name>[0-9a-f]+:[0-9a-f]*) (?:parent )?(?P<parent>\S+) "
    r"(?:leaf \S+ )?(?:prio (?P<prio>\d+) quantum (?P<quantum>\d+) )?"
    r"rate (?P<rate>\S+) .*?ceil (?P<ceil>\S+) .*?\n Sent (?P<sent>\d+) bytes")


def classes(host: Namespace, uplink: str = UPLINK) -> dict[str, HtbClass]:
    """Every HTB class by name."""
    shown = host.run("tc", "-s", "-d", "class", "show", "dev", uplink)
    return {
        each["name"]: HtbClass(
            each["parent"], int(each["prio"] or 0), int(each["quantum"] or 0), each["rate"],
            each["ceil"], int(each["sent"]))
        for each in _CLASS.finditer(shown)
    }
