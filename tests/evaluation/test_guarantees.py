# SPDX-License-Identifier: Apache-2.0
"""What is asked of nova to see guarantees refuse, and what becomes of its answers."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tools.bed.errors import TestbedError
from tools.evaluation import guarantees, promises, records, timings
from tools.evaluation.promises import Promised
from tools.evaluation.site import Site

SERVERS: Any = [SimpleNamespace(uuid=name) for name in "abc"]


class Nova:
    """Refuses all of the one kind of requests, and the last server's of the other."""

    refusal = 400
    too_much = 409

    def act(self, server: str, action: str, value: object = None) -> int:
        return self.refusal

    def set_many(self, servers: Sequence[str], settings: dict[str, object]) -> int:
        return self.refusal

    def request(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        if path == "/os-qos":
            codes = (200, 200, self.too_much)
            return 207, {"results": [{"code": code} for code in codes]}
        if path == "/servers/a":
            return 200, {"server": {"OS-EXT-SRV-ATTR:host": "one"}}
        assert path == "/os-qos/hosts?host=one"
        return 200, {"hosts": [{
            "cpu": {"unit": "percent", "guaranteed": 200, "capacity": 200},
            "net": {"unit": "kbit", "guaranteed": 80000, "capacity": 80000}}]}


class Fake:
    """A site whose servers all have 1024 MiB; the changes that it was asked for."""

    servers = SERVERS

    def __init__(self) -> None:
        self.asked: list[tuple[str, Mapping[str, int]]] = []
        self.libvirt = SimpleNamespace(virsh=lambda script: "actual 1048576\n" * 3)

    def clear(self) -> None:
        self.asked.append(("clear", {}))

    def change(self, recording: object, command: str, changes: Mapping[str, int]) -> list[Any]:
        self.asked.append((command, changes))
        return []


@pytest.fixture
def nova(monkeypatch: pytest.MonkeyPatch) -> type[Nova]:
    monkeypatch.setattr(guarantees, "Rest", Nova)
    for name in ("_HOLD_S", "_OLD_S"):
        monkeypatch.setattr(guarantees, name, 0.01)
    return Nova


def perform(out: Path) -> Fake:
    fake = Fake()
    guarantees.perform(cast(Site, fake), out)
    return fake


def test_what_is_asked_and_kept(nova: type[Nova], tmp_path: Path) -> None:
    fake = perform(tmp_path)
    assert fake.asked[0] == fake.asked[-1] == ("clear", {})
    assert fake.asked[1:5] == [
        ("lv-set-mem-guarantee", {"VM1": 1024}), ("lv-set-mem", {"VM1": 1024}),
        ("lv-set-mem-guarantee", {"VM1": -1}), ("lv-set-mem", {"VM1": 512})]
    refused = tmp_path / "guarantees-refused"
    assert [each.status for each in timings.load_answered(refused)] == [400] * 9
    assert promises.load(refused) == [
        Promised("cpu_guarantee", "percent", 100, 3, 1, 200, 200),
        Promised("net_guarantee", "kbit", 40000, 3, 1, 80000, 80000)]
    table = records.load(tmp_path / "guarantees").tables["balloons"]
    assert set(table.columns["VM1.actual_mib"]) == {1024.0}


@pytest.mark.parametrize(("name", "code"), [("refusal", 503), ("too_much", 404)])
def test_a_failure_is_no_refusal(
    nova: type[Nova], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, code: int
) -> None:
    monkeypatch.setattr(nova, name, code)
    with pytest.raises(TestbedError, match=str(code)):
        perform(tmp_path)
