# SPDX-License-Identifier: Apache-2.0
"""What tc and nft show of a host, with servers in place of the numbers that classes have."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.net.bench import Bench
from tools.bed.namespace import Namespace

TABLE = ("netdev", "nova_qos")
WHOLE, STRAYS = "5ca1:1", "5ca1:fffe"
# tc of Debian 12 knows no JSON for classes
_CLASS = re.compile(
    r"class htb (?P<name>[0-9a-f]+:[0-9a-f]+) (?:parent )?(?P<parent>\S+) "
    r"(?:leaf \S+ )?(?:prio (?P<prio>\d+) quantum (?P<quantum>\d+) )?"
    r"rate (?P<rate>\S+) .*?ceil (?P<ceil>\S+) .*?\n Sent (?P<sent>\d+) bytes")
_QUEUE = re.compile(
    r"^qdisc (?P<kind>\S+) \S+ (?:dev \S+ )?parent (?P<parent>\S+)(?P<options>.*)$", re.M)
_CHAIN = re.compile(
    r'chain (?P<name>\S+) {\n\s+type filter hook (?P<hook>\S+) device "(?P<device>[^"]+)" '
    r"priority [^;]+; policy accept;\n(?P<rules>[^}]*)}")
# nft lists the bits that are set as kept, too
_MARK = re.compile(r"(?:meta mark & 0xffff[ef][0-9a-f]{3} \| )?0x([0-9a-f]{8})\b(?! map)")
_BIT = {"bit": 1, "Kbit": 1000, "Mbit": 10**6, "Gbit": 10**9, "Tbit": 10**12}


@dataclass(frozen=True)
class HtbClass:
    """One class as tc shows it; rates in bit/s, as far as tc's rounding goes."""

    parent: str
    prio: int
    quantum: int
    rate: int
    ceil: int
    queue: str


@dataclass(frozen=True, order=True)
class Chain:
    """One chain as nft shows it."""

    hook: str
    device: str
    rules: tuple[str, ...]


@dataclass(frozen=True)
class Picture:
    """All that is ours on a host. Servers are called by their numbers; a class that no address
    leads to keeps its own name."""

    roots: Mapping[str, str]
    classes: Mapping[str, Mapping[str, HtbClass]]
    macs: Mapping[str, str]
    marks: Mapping[str, str]
    host_macs: frozenset[str]
    chains: tuple[Chain, ...]


def look(bench: Bench) -> Picture:
    """The present state; the rules are empty where there is no table."""
    listed = _listed(bench.host)
    by_mac = _elements(listed, "by_mac")
    names = _names(bench, by_mac)
    text = _text(bench.host)
    return Picture(
        roots={uplink: root(bench.host, uplink) for uplink in bench.uplinks},
        classes={
            uplink: {names.get(name, name): each
                     for name, each in classes(bench.host, uplink).items()}
            for uplink in bench.uplinks
        },
        macs={mac: names.get(name, name) for mac, name in by_mac.items()},
        marks={
            _named_mark(f"{mark:#010x}", names): names.get(name, name)
            for mark, name in _elements(listed, "by_mark").items()
        },
        host_macs=frozenset(_elements(listed, "host_macs")),
        chains=tuple(sorted(
            Chain(each["hook"], each["device"], tuple(
                _named_mark(line.strip(), names) for line in each["rules"].strip().splitlines()))
            for each in _CHAIN.finditer(text)
        )),
    )


def wipe(bench: Bench) -> None:
    """Take away all that is ours, by hand."""
    for uplink in bench.uplinks:
        if "5ca1:" in root(bench.host, uplink):
            bench.host.run("tc", "qdisc", "del", "dev", uplink, "root")
    if " ".join(TABLE) in tables(bench.host):
        bench.host.run("nft", "delete", "table", *TABLE)
    bench.restart_agent()


def made_anew(bench: Bench, priorities: Mapping[int, int]) -> Picture:
    """What the host looks like when all is taken away and made by a new agent."""
    wipe(bench)
    for number, priority in priorities.items():
        bench.prioritize(number, priority)
    return look(bench)


def root(host: Namespace, device: str) -> str:
    """Kind and handle of a device's root queueing discipline."""
    shown = json.loads(host.run("tc", "-j", "qdisc", "show", "dev", device))
    return next(f"{each['kind']} {each['handle']}" for each in shown if each.get("root"))


def classes(host: Namespace, device: str) -> dict[str, HtbClass]:
    """Every HTB class by name."""
    # its JSON leaves out what a queue is made with
    queues = {each["parent"]: f"{each['kind']} {each['options'].strip()}"
              for each in _QUEUE.finditer(host.run("tc", "qdisc", "show", "dev", device))}
    return {
        each["name"]: HtbClass(
            parent=each["parent"], prio=int(each["prio"] or 0),
            quantum=int(each["quantum"] or 0), rate=_bits(each["rate"]), ceil=_bits(each["ceil"]),
            queue=queues.get(each["name"], ""))
        for each in _class_lines(host, device)
    }


def class_bytes(host: Namespace, device: str) -> dict[str, int]:
    """What the kernel has sent, by class."""
    return {each["name"]: int(each["sent"]) for each in _class_lines(host, device)}


def class_of(host: Namespace, mac: str) -> str | None:
    """The class that packets from an address get; None when the map does not tell."""
    return _elements(_listed(host), "by_mac").get(mac)


def tables(host: Namespace) -> list[str]:
    """Every nftables table of the host."""
    listed = json.loads(host.run("nft", "-j", "list", "tables"))["nftables"]
    return [f"{each['table']['family']} {each['table']['name']}" for each in listed
            if "table" in each]


def disciplines(host: Namespace) -> list[str]:
    """Every queueing discipline of the host."""
    return host.run("tc", "qdisc", "show").splitlines()


def shown(host: Namespace, device: str) -> list[str]:
    """All that tc shows of a device."""
    return [host.run("tc", kind, "show", "dev", device) for kind in ("qdisc", "class", "filter")]


def everything(host: Namespace) -> list[str]:
    """Enough to see whether anything was touched."""
    return [*disciplines(host), *shown(host, "up0"), *tables(host)]


def _class_lines(host: Namespace, device: str) -> list[re.Match[str]]:
    return list(_CLASS.finditer(host.run("tc", "-s", "-d", "class", "show", "dev", device)))


def _bits(rate: str) -> int:
    number, unit = re.fullmatch(r"(\d+)(\D+)", rate).groups()  # type: ignore[union-attr]
    return int(number) * _BIT[unit]


def _names(bench: Bench, by_mac: Mapping[str, str]) -> dict[str, str]:
    """The number of the server that each class belongs to."""
    owners = {
        by_mac[each.mac]: f"server {bench.uuids.index(server)}"
        for server, interfaces in bench.servers.items() for each in interfaces
        if each.mac in by_mac
    }
    return {**owners, WHOLE: "whole", STRAYS: "strays"}


def _named_mark(text: str, names: Mapping[str, str]) -> str:
    return _MARK.sub(
        lambda found: "of " + names.get(_class_of_mark(int(found[1], 16)), found[0]), text)


def _class_of_mark(mark: int) -> str:
    """Marks count up from 16: even with a priority, odd without."""
    number, without = divmod(mark - 16, 2)
    return f"5ca1:{number + (0x8000 if without else 0x10):x}"


def _listed(host: Namespace) -> list[dict[str, Any]]:
    if " ".join(TABLE) not in tables(host):
        return []
    listed: list[dict[str, Any]] = json.loads(
        host.run("nft", "-j", "list", "table", *TABLE))["nftables"]
    return listed


def _text(host: Namespace) -> str:
    # its JSON does not tell the device of a chain
    return host.run("nft", "list", "table", *TABLE) if _listed(host) else ""


def _elements(listed: list[dict[str, Any]], name: str) -> dict[Any, str]:
    for each in listed:
        held = each.get("map") or each.get("set") or {}
        if held.get("name") == name:
            elements = held.get("elem", [])
            return dict(elements) if "map" in each else dict.fromkeys(elements, "")
    return {}
