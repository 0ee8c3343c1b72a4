# SPDX-License-Identifier: Apache-2.0
"""A table of nftables that is ours.

``nft`` reads and writes it as JSON (libnftables-json(5)); a change is one transaction.
"""

import abc
import json
import os
import shutil
import socket
import subprocess  # nosec B404  # for nft alone, without a shell
from collections.abc import Iterable, Iterator
from typing import Any

from nova_qos.core import errors
from nova_qos.net import failures, netlink
from nova_qos.net.layout import MAJOR, Rules
from nova_qos.net.marks import Marks

_TIMEOUT_SECONDS = 30
_ABSENT = "No such file or directory"

Command = dict[str, Any]
Rule = list[Command]
#: A packet's mark, as a rule names it.
MARK = {"meta": {"key": "mark"}}


class Table(abc.ABC):
    """A table of family netdev, whose rules use these marks."""

    def __init__(self, name: str, marks: Marks) -> None:
        self.marks = marks
        self._name = name
        self.place = {"family": "netdev", "table": name}
        self.itself = {"table": {"family": "netdev", "name": name}}
        # what was listed, and in which state of the kernel
        self._seen: tuple[object, Rules | None] | None = None

    def read(self) -> Rules | None:
        """Everything in it; None when there is no such table. Not to be changed by the caller.

        To list hundreds of chains takes a program of its own and many milliseconds, so what was
        listed counts until the kernel says that rules have changed, whoever changed them.
        """
        before, seen = self._state(), self._seen
        if seen is not None and before == seen[0]:
            return seen[1]
        rules = self._listed()
        self._seen = None if before is None or before != self._state() else (before, rules)
        return rules

    def _state(self) -> object | None:
        """What is another one whenever the table may be listed otherwise; None: nobody knows."""
        try:
            return netlink.generation(self._name)
        except OSError:
            # a kernel without nftables; nft says what is wrong
            return None

    def _listed(self) -> Rules | None:
        listed = self._run("list", "table", "netdev", self._name, absent_is_none=True)
        try:
            return None if listed is None else self._parsed(json.loads(listed)["nftables"])
        except (LookupError, TypeError, ValueError) as error:
            raise errors.HostRefused(
                f"prio: nft lists table netdev {self._name} in a form that the agent does not "
                f"know ({type(error).__name__}: {error}); delete it, and the agent makes it anew"
            ) from error

    def change(self, before: Rules | None, after: Rules) -> None:
        """Change the table into its target state in one transaction.

        :param before: None when there is no table
        """
        # an earlier release's table lacks maps, and its chains are foreign; to add what is there
        # changes nothing
        is_whole = before is not None and not before.foreign
        commands = [*([] if is_whole else self._made()),
                    *self._differences(before or Rules(), after)]
        if commands:
            self._run("-f", "-", commands=commands)

    def remove(self) -> None:
        """Take the table away, if it is there."""
        if self.read() is not None:
            self._run("-f", "-", commands=[{"delete": self.itself}])

    def rehearse(self, device: int) -> None:
        """Ask whether the kernel would take all kinds of rules that we make, here on one device;
        nothing is changed.

        :raises HostCannot, HostRefused: as ``change``
        """
        rehearsal = type(self)(f"{self._name}_rehearsal", self.marks)
        commands = [*rehearsal._made(), *rehearsal._samples(device)]
        rehearsal._run("--check", "-f", "-", commands=commands)

    @abc.abstractmethod
    def _made(self) -> list[Command]:
        """What makes it without any chain."""

    @abc.abstractmethod
    def _samples(self, device: int) -> Iterator[Command]:
        """What makes one chain of each kind, for a device."""

    @abc.abstractmethod
    def _differences(self, before: Rules, after: Rules) -> Iterator[Command]:
        """What makes one state of it into another."""

    @abc.abstractmethod
    def _parsed(self, listed: list[Command]) -> Rules:
        """What the listed objects hold; a chain with other rules than ours is foreign.

        :raises LookupError, TypeError, ValueError: they are listed in an unknown form
        """

    def elements(self, verb: str, name: str, elements: Iterable[object]) -> Iterator[Command]:
        """Add elements to a set or a map, or delete them."""
        listed = list(elements)
        if listed:
            yield {verb: {"element": {**self.place, "name": name, "elem": listed}}}

    def chain(self, verb: str, name: str, **hook: object) -> Command:
        """Add or delete a chain."""
        return {verb: {"chain": {**self.place, "name": name, **hook}}}

    def hooked(self, chain: str, device: int, hook: str, priority: int) -> Command:
        """Add a chain for what comes in from a device, or goes out through it.

        :raises HostRefused: the device is gone
        """
        try:
            name = socket.if_indextoname(device)
        except OSError as error:
            raise errors.HostRefused(f"prio: device {device} has just disappeared") from error
        return self.chain("add", chain, type="filter", hook=hook, dev=name, prio=priority,
                           policy="accept")

    def rules_of(self, chain: str, rules: list[Rule]) -> Iterator[Command]:
        """Add rules to a chain."""
        for rule in rules:
            yield {"add": {"rule": {**self.place, "chain": chain, "expr": rule}}}

    def _run(
        self, *arguments: str, commands: list[Command] | None = None, absent_is_none: bool = False
    ) -> str | None:
        program = shutil.which("nft", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
        if program is None:
            raise errors.HostCannot("prio: the program nft is missing; install nftables")
        try:
            done = subprocess.run(  # noqa: S603  # nosec B603  # no shell; our words
                [program, "-j", *arguments], capture_output=True, text=True,
                input=json.dumps({"nftables": commands}), timeout=_TIMEOUT_SECONDS,
                env={**os.environ, "LC_ALL": "C"})
        except subprocess.TimeoutExpired as error:
            raise errors.HostRefused("prio: nft did not finish in time") from error
        if done.returncode and absent_is_none and _ABSENT in done.stderr:
            return None
        if done.returncode:
            raise failures.of_nft(done.stderr or done.stdout, done.returncode)
        return done.stdout


def class_name(minor: int) -> str:
    """How nftables names a class of ours."""
    return f"{MAJOR:x}:{minor:x}"


def set_meta(key: str, value: object) -> Command:
    """Set the mark or the class (``priority``) of a packet."""
    return {"mangle": {"key": {"meta": {"key": key}}, "value": value}}


def chains_of(listed: list[Command]) -> dict[str, list[Rule]]:
    """The rules of each chain that was listed."""
    chains: dict[str, list[Rule]] = {
        each["chain"]["name"]: [] for each in listed if "chain" in each}
    for each in listed:
        if "rule" in each:
            chains[each["rule"]["chain"]].append(each["rule"]["expr"])
    return chains


def minor_of_name(name: str) -> int:
    """The class that nftables names so."""
    return int(name.partition(":")[2], 16)
