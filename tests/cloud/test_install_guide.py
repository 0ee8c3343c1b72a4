# SPDX-License-Identifier: Apache-2.0
"""The page on installation, followed to the letter: the demo's cloud loses nova-qos, gets it as a
new user would give it to it, uses it, and loses it again.

Every command is read from the page and run, with names of this cloud for the page's examples. The
commands write below /etc and into nova's Python environment; here, they, the compute API and the
agent see an overlay of both, so the cloud is itself again as soon as those two are started outside
of it. At two edges something stands in for the page's host:

* This machine has no systemd as its init. ``systemctl`` is the real one, but it only reads and
  writes unit files; ``--now`` starts and stops what ExecStart of the installed unit says as the
  cloud's agent. The unit's users and rights are not given to it.
* One machine is API host, compute host and where people type, with one environment.
"""

import os
import re
import shlex
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import pytest

from nova_qos.resources import TABLE
from tests.cloud.api import Person, wait_for
from tests.cloud.host import Observer
from tests.cloud.overlay import Overlay
from tests.cloud.test_documentation import ROOT, blocks, told
from tests.cloud.values import on_uplink
from tools.bed.stack import code, services
from tools.bed.stack.config import HTB_RATE_MBIT
from tools.bed.stack.host import uplink
from tools.bed.stack.layout import Layout

PAGE = (ROOT / "doc/source/admin/install.rst").read_text()
_TITLE = re.compile(r"^(.+)\n-{4,}\n", re.MULTILINE)
INSTALL, REMOVE = ("The API", "Compute hosts", "Clients", "See that it works"), "Remove"
#: Not followed here, for its engine has an environment of its own; the tier install makes one so.
WATCHER = "Watcher"
_COMMAND = re.compile(r"^([#$]) (.*)\n((?:(?![#$] ).*\n)*)", re.MULTILINE)
NOVA, UNITS = Path("/etc/nova"), Path("/etc/systemd/system")
#: The API's configuration; the page is about nova.conf of compute hosts, which have no database.
_OF_API = "nova-api.conf"
_OUR_OPTIONS = re.compile(r"^\[(?:nova_qos|tc)\]\n(?:[^\[].*\n)*", re.MULTILINE)
#: The agent's in the page's list of services.
_ID = "4c1d7f0e-92b5-4d36-8a5e-6f0b1c3d2e7a"
#: How long an agent that has just been started takes for its first report, and for its servers.
STARTS_S = 40

Step = tuple[str, str, str]


def steps(title: str) -> Iterator[Step]:
    """What a section tells to do: who is to type what (``#``, ``$``), and what is said to be
    printed then; or lines for nova.conf (``ini``)."""
    parts = _TITLE.split(PAGE)
    for language, text in blocks(parts[parts.index(title) + 1]):
        if language == "ini":
            yield "ini", text, ""
        else:
            assert language == "console"
            yield from _COMMAND.findall(text)


class Operator:
    """Who follows the page: root on the host, and administrator of the cloud."""

    def __init__(self, layout: Layout, files: Overlay, tree: Path, admin: Person) -> None:
        self.files = files
        self.venv = layout.state / "venv"
        self._layout, self._tree, self._admin = layout, tree, admin
        (agent,) = agents(admin)
        self._names = {
            "/usr/local": str(self.venv), "bond0": uplink.device, "9000": str(HTB_RATE_MBIT),
            "compute1": agent["host"]}

    def follow(self, title: str) -> None:
        """Do what the section says, in its order."""
        for kind, text, shown in steps(title):
            if kind == "ini":
                with self.files.path(NOVA / "nova.conf").open("a") as file:
                    file.write(self._with_names(text))
                continue
            printed = self._obey(kind, shlex.split(self._with_names(text)))
            assert not shown.strip() or told(printed) == told(self._with_names(shown)), text

    def run(self, *words: str, **more: str) -> "subprocess.CompletedProcess[str]":
        """A command with nova's environment first in its path, in the directory of nova-qos."""
        environment = {
            **os.environ, "PATH": f"{self.venv}/bin:{os.environ['PATH']}", "PYTHONPATH": "",
            "SYSTEMD_OFFLINE": "1", **more}
        return subprocess.run([*self.files.entering(self._tree), *words], env=environment,
                              capture_output=True, text=True)

    def _with_names(self, text: str) -> str:
        examples = "|".join(map(re.escape, self._names))
        return re.sub(rf"(?<!\w)(?:{examples})(?!\w)", lambda found: self._names[found[0]], text)

    def _obey(self, kind: str, words: list[str]) -> str:
        credentials = self._admin.environment if kind == "$" else {}
        typed = [word for word in words if (words[0], word) != ("systemctl", "--now")]
        answer = self.run(*typed, **credentials)
        assert answer.returncode in expected_status(words), (
            f"{shlex.join(words)}\n{answer.stdout}{answer.stderr}")
        self._do_what_comes_with(words, answer.stdout)
        return answer.stdout

    def _do_what_comes_with(self, words: list[str], printed: str) -> None:
        match words:
            case ["nova-qos-paste", "enable" | "disable", _]:
                self._restart_api()
            case ["systemctl", "enable", "--now", name]:
                self._start(name)
            case ["systemctl", "disable", "--now", _]:
                services.agent(self._layout).stop()
            case ["nova-qos-agent", *_, "--check"]:
                lines = [line for line in printed.splitlines() if not line.startswith("warning: ")]
                # the host has no part in what no object of it holds
                held = [name for name, row in TABLE.items() if row.knob is not None]
                assert [line.partition(":")[0] for line in lines] == held
                assert f"net_priority: works (on uplink {uplink.device})" in lines
            case ["openstack", "compute", "service", "list", *_]:
                if found := re.search(r"^\| (\S+) +\| nova-qos-agent ", printed, re.MULTILINE):
                    self._names[_ID] = found[1]

    def _restart_api(self) -> None:
        api = services.apis(self._layout)[-1]
        assert api.environment is not None
        api.stop()
        replace(api, command=[*self.files.entering(), *api.command],
                environment={**api.environment, "OS_NOVA_CONFIG_DIR": str(NOVA),
                             "OS_NOVA_CONFIG_FILES": f"api-paste.ini;{_OF_API}"}).start()

    def _start(self, name: str) -> None:
        unit = self.files.path(UNITS / f"{name}.service").read_text()
        (command,) = re.findall(r"^ExecStart=(.*)$", unit, re.MULTILINE)
        agent = services.agent(self._layout)
        replace(agent, command=[*self.files.entering(), *shlex.split(command)]).start()
        wait_for(lambda: is_up(self._admin), STARTS_S, "the agent is up")


def expected_status(words: list[str]) -> tuple[int, ...]:
    # the check's tells whether this machine lacks something
    return (0, 1) if words[0] == "nova-qos-agent" else (0,)


def agents(admin: Person) -> list[dict[str, str]]:
    """Those that nova knows."""
    answer = admin.request("GET", "/os-services?binary=nova-qos-agent").json()
    listed: list[dict[str, str]] = answer["services"]
    return listed


def is_up(admin: Person) -> bool:
    """Whether nova knows one agent, and that it runs."""
    return [agent["state"] for agent in agents(admin)] == ["up"]


def copy_of_the_tree(to: Path) -> Path:
    """The directory of nova-qos, which a build leaves things behind in."""
    unwanted = shutil.ignore_patterns(
        ".*", "*.egg-info", "__pycache__", "build", "dist", "evaluation")
    shutil.copytree(ROOT, to, ignore=unwanted)
    # there is no git for pbr to ask for the version; a released archive has it like this
    (to / "PKG-INFO").write_text(
        f"Metadata-Version: 1.1\nName: nova-qos\nVersion: {metadata.version('nova-qos')}\n")
    return to


def make_installed(layout: Layout, files: Overlay) -> None:
    """Let the demo's files lie where the page expects them."""
    files.path(NOVA).mkdir(exist_ok=True)
    for name, of in (("nova.conf", "nova-compute"), (_OF_API, "nova")):
        options = _OUR_OPTIONS.sub("", (layout.etc(of) / "nova.conf").read_text())
        files.path(NOVA / name).write_text(options.replace(str(layout.etc("nova")), str(NOVA)))
    shutil.copy(layout.etc("nova") / "api-paste.ini", files.path(NOVA))
    shutil.copy(ROOT / "etc/nova-qos/nova-qos-agent.service", files.path(UNITS))


@pytest.fixture
def operator(admin: Person, clean: None, tmp_path: Path) -> Iterator[Operator]:
    layout = Layout.of_environment()
    tree = copy_of_the_tree(tmp_path / "nova-qos")
    with Overlay(tmp_path / "layers", Path("/etc"), layout.state / "venv") as files:
        make_installed(layout, files)
        try:
            yield Operator(layout, files, tree, admin)
        finally:
            code.restart(layout)
            wait_for(lambda: is_up(admin), STARTS_S, "the agent is up again")


def assert_gone(operator: Operator, admin: Person, host: Observer, server: str) -> None:
    """Nova is plain nova, and there is nothing of nova-qos on the host."""
    status, fault = admin.act(server, "get-qos")
    assert (status, fault["badRequest"]["message"]) == (400, "There is no such action: get-qos")
    assert admin.request("GET", "/os-qos").status_code == 404
    assert agents(admin) == []
    assert host.daemon("nova-qos-agent").pid() is None
    assert host.virsh_value("schedinfo", server, "cpu_shares") == 1024
    assert (uplink.root(), uplink.has_table()) == ("noqueue 0:", False)
    assert not has_receiver()
    assert operator.run("pip", "show", "nova-qos", "nova-qos-hooks").stdout == ""
    assert operator.files.path(NOVA / "api-paste.ini").read_bytes() == (
        operator.venv / "etc/nova/api-paste.ini").read_bytes()
    assert remains(operator) == []


def has_receiver() -> bool:
    """Whether the device is there by which servers receive."""
    return "nova-qos-in" in dict(socket.if_nameindex()).values()


def remains(operator: Operator) -> list[Path]:
    """Files of nova-qos, by their names."""
    venv = operator.files.path(operator.venv)
    found = [*operator.files.path(UNITS).rglob("*"), *venv.glob("bin/*"), *venv.glob("etc/*"),
             *venv.glob("lib/python3*/site-packages/*")]
    return [path for path in found if re.search(r"nova(client)?[-_]qos", path.name)]


def test_followed_to_the_letter(
    operator: Operator, admin: Person, host: Observer, vm1: str, vm2: str
) -> None:
    # the page has the settings of the first unset, and speaks of servers that still have some
    for server, settings in (
            (vm1, {"cpu_priority": 1500}), (vm2, {"net_priority": 20, "net_in_limit": 50_000})):
        assert admin.act(server, "set-qos", settings)[0] == 200
    operator.follow(REMOVE)
    assert_gone(operator, admin, host, vm1)
    for title in INSTALL:
        operator.follow(title)
    wait_for(lambda: on_uplink(host, vm2) == 20 and has_receiver(), STARTS_S,
             "settings are there again")
    assert admin.act(vm1, "set-qos", {"cpu_priority": 1500})[0] == 200
    operator.follow(REMOVE)
    assert_gone(operator, admin, host, vm1)


def test_no_command_is_left_out() -> None:
    titles = [title for title in _TITLE.findall(PAGE) if title in {*INSTALL, WATCHER, REMOVE}]
    run = [text for title in titles for kind, text, _ in steps(title) if kind != "ini"]
    assert run == re.findall(r"^ *[#$] (.*)$", PAGE, re.MULTILINE)
    assert "::\n" not in PAGE
