# SPDX-License-Identifier: Apache-2.0
"""The plug-in for Tempest, and the tier that runs it, as far as that needs neither Tempest nor a
cloud."""

import ast
import configparser
import datetime
import io
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import subunit

from nova_qos.core.server import Flavor
from nova_qos.resources import TABLE
from nova_qos.tempest_plugin import options
from nova_qos.tempest_plugin.fault import fault_of
from tools.bed.errors import TestbedError
from tools.bed.stack import config, plain, services, tempest
from tools.bed.stack.layout import Layout
from tools.tempest import outcomes, selection
from tools.tempest.__main__ import parts_of
from tools.tempest.outcomes import Result
from tools.tempest.run import Run
from tools.tempest.tier import Tier

ROOT = Path(__file__).parents[2]
PLUGIN = ROOT / "nova_qos/tempest_plugin"
PARTS = tempest.Parts("image", "other", "small", "large", "network")
PASSED, SKIPPED, FAILED = Result("passed"), Result("skipped", "no cinder"), Result("failed", "500")
_BEGAN = datetime.datetime(2026, 11, 30, tzinfo=datetime.UTC)


def stream(*events: tuple[str, str, dict[str, str]]) -> io.BytesIO:
    """What stestr writes of tests, each with its status and its texts."""
    written = io.BytesIO()
    result = subunit.StreamResultToBytes(written)
    for place, (name, status, texts) in enumerate(events):
        began = _BEGAN + datetime.timedelta(seconds=place)
        result.status(test_id=name, test_status="inprogress", timestamp=began)
        for text, content in texts.items():
            result.status(test_id=name, file_name=text, file_bytes=content.encode(), eof=True,
                          mime_type="text/plain; charset=utf8", timestamp=began)
        if status != "inprogress":
            result.status(test_id=name, test_status=status, timestamp=began)
    return io.BytesIO(written.getvalue())


def test_a_stream_is_read() -> None:
    assert outcomes.read(stream(
        ("a.Test.test_one[id-1,smoke]", "success", {"pythonlogging:''": "much"}),
        ("a.Absent.test_three[id-3]", "exists", {}),
        ("setUpClass (a.Absent)", "skip", {"reason": "no cinder"}),
        ("a.Lost.test_four[id-4]", "exists", {}),
        ("a.Test.test_one[id-1,smoke]", "exists", {}),
        ("a.Test.test_two[id-2]", "fail", {"traceback": "Traceback\n  line\nServerFault: 500\n"}),
        ("a.Test.test_hung", "inprogress", {}),
    )) == {
        "a.Test.test_one": PASSED, "a.Absent.test_three": SKIPPED,
        "a.Lost.test_four": Result("failed", "it did not run"),
        "a.Test.test_two": Result("failed", "ServerFault: 500"),
        "a.Test.test_hung": Result("failed", "no reason given"),
    }


def test_outcomes_are_counted_and_explained() -> None:
    tests = {"a": PASSED, "b": SKIPPED, "c": SKIPPED, "d": FAILED}
    assert outcomes.counted(tests) == "4 tests: 1 passed, 2 skipped, 1 failed"
    assert list(outcomes.skips(tests)) == ["skipped 2: no cinder"]
    assert list(outcomes.failures(tests)) == ["failed: d: 500"]


def test_a_class_that_failed_is_one_line() -> None:
    assert list(outcomes.failures({
        "a.Test.test_1": FAILED, "a.Test.test_2": FAILED, "a.Test.test_3": Result("failed", "404"),
        "b.Test.test_4": FAILED, "b.Test.test_5": PASSED,
    })) == ["failed: 2 of a.Test: 500", "failed: a.Test.test_3: 404", "failed: b.Test.test_4: 500"]


def test_a_reason_is_told_in_one_line() -> None:
    (line,) = outcomes.skips({"a": Result("skipped", "Found shared networks: " + "[{}] " * 99)})
    assert line.startswith("skipped 1: Found shared networks: [{}] [{}]")
    assert len(line) < 120


def test_a_skip_needs_a_reason_that_is_known() -> None:
    tests = {"a": PASSED, "b": SKIPPED, "c": Result("skipped", "no such image"), "d": FAILED}
    assert list(outcomes.unexplained(tests, ["^no (cinder|console)"])) == [
        "skipped: c: no such image"]
    assert list(outcomes.unexplained(tests, ["^no "])) == []
    assert len(list(outcomes.unexplained(tests, []))) == 2


def test_every_difference_is_found() -> None:
    without = {"same": PASSED, "skipped": SKIPPED, "worse": PASSED, "gone": PASSED}
    with_it = {"same": PASSED, "skipped": Result("skipped", "other words"), "worse": FAILED,
               "new": SKIPPED}
    assert list(outcomes.differences(without, with_it)) == [
        "differs: gone: passed without nova-qos, not run with it",
        "differs: new: not run without nova-qos, skipped with it",
        "differs: worse: passed without nova-qos, failed with it",
    ]
    assert list(outcomes.differences(with_it, with_it)) == []


@pytest.mark.parametrize(("catalog_type", "has_nova_qos"), [
    (plain.CATALOG_TYPE, False), ("compute", True)])
def test_tempest_asks_the_api_that_is_meant(
    catalog_type: str, has_nova_qos: bool, tmp_path: Path
) -> None:
    path = config.write(tmp_path / "tempest.conf", tempest.sections(
        PARTS, tmp_path, catalog_type, has_nova_qos))
    parser = configparser.ConfigParser()
    parser.read(path)
    assert parser["compute"]["catalog_type"] == catalog_type
    assert parser["service_available"].getboolean("nova_qos") is has_nova_qos
    assert parser["compute"]["flavor_ref"] != parser["compute"]["flavor_ref_alt"]
    assert not parser["validation"].getboolean("run_validation")


def test_the_plain_api_differs_in_its_paste_file_alone(tmp_path: Path) -> None:
    layout = Layout(tmp_path, ROOT)
    first, own = layout.etc("nova"), layout.etc(services.PLAIN)
    novas, ours = config.novas_paste(layout), first / "api-paste.ini"
    for place, content in ((novas, "nova's"), (ours, "ours")):
        place.parent.mkdir(parents=True)
        place.write_text(content)
    conf = first / "nova.conf"
    conf.write_text(f"[wsgi]\napi_paste_config = {first}/api-paste.ini\n[api]\nx = 1\n")
    plain.configure(layout)
    assert (own / "api-paste.ini").read_text() == "nova's"
    assert (own / "nova.conf").read_text() == conf.read_text().replace(str(first), str(own))
    conf.write_text("[wsgi]\n")
    with pytest.raises(TestbedError, match=r"api-paste\.ini"):
        plain.configure(layout)


@pytest.mark.parametrize("reason", [
    "AttachSCSIVolumeTestJSON skipped as Cinder is not available",
    "LiveMigrationTest skipped as live-migration is not available",
    "Live migration is not enabled", "Cold migration not available.", "Validation must be enabled",
    "Volume service not enabled.",
    "Less than 2 compute nodes, skipping multi-nodes test."])
def test_what_the_cloud_has_not_explains_a_skip(reason: str) -> None:
    known = selection.expressions("absent")
    assert list(outcomes.unexplained({"a": Result("skipped", reason)}, known)) == []


@pytest.mark.parametrize("reason", [
    "no reason given", "Resize not available.", "Suspend is not available.", "migration failed",
    "This test is not compatible with the image"])
def test_what_the_cloud_has_explains_none(reason: str) -> None:
    known = selection.expressions("absent")
    assert len(list(outcomes.unexplained({"a": Result("skipped", reason)}, known))) == 1



def program(place: Path, body: str) -> Path:
    path = place / "program"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def test_a_run_without_tests_is_none(tmp_path: Path) -> None:
    run = Run(tmp_path / "place", "plugin", program(tmp_path, "echo it broke >&2; exit 3"))
    with pytest.raises(TestbedError, match=r"no test.*output\.log"):
        run.perform({})
    assert (tmp_path / "place/output.log").read_text() == "it broke\n"


def ended(place: Path, scratch: Path, *events: tuple[str, str, dict[str, str]]) -> Run:
    """A run in that place that came to this."""
    (scratch / "stream").write_bytes(stream(*events).getvalue())
    run = Run(place, "nova", program(scratch, f"cat {scratch}/stream"))
    run.perform({})
    return run


def test_a_run_that_has_ended_is_kept(tmp_path: Path) -> None:
    place = tmp_path / "place"
    assert Run(place, "nova").kept() == {}
    run = ended(place, tmp_path, ("a", "success", {}))
    assert run.kept() == Run(place, "nova").kept() == {"a": PASSED}
    broken = Run(place, "nova", program(tmp_path, "exit 3"))
    with pytest.raises(TestbedError):
        broken.perform({})
    assert broken.kept() == {}


def test_both_halves_are_compared_as_soon_as_they_have_ended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tier = Tier(Layout(tmp_path, ROOT), None, PARTS, tmp_path)
    ended(tmp_path / "mounted", tmp_path, ("a", "success", {}), ("b", "fail", {}))
    assert tier.differences() == []
    assert "did not run without nova-qos yet" in capsys.readouterr().out
    ended(tmp_path / "plain", tmp_path, ("a", "success", {}), ("b", "success", {}))
    assert tier.differences() == ["differs: b: passed without nova-qos, failed with it"]
    assert "1 of 2 tests differ" in capsys.readouterr().out


def test_parts_run_in_the_order_asked_for() -> None:
    assert parts_of([]) == ["plugin", "with", "without"]
    assert parts_of(["without", "plugin"]) == ["without", "plugin"]
    with pytest.raises(SystemExit, match="there is no part half; there are: plugin, with, without"):
        parts_of(["half", "with"])


def test_a_run_sees_no_other_cloud(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OS_CLOUD", "OS_AUTH_URL", "TEMPEST_CONFIG_DIR"):
        monkeypatch.setenv(name, "elsewhere")
    (tmp_path / "stream").write_bytes(stream(("a", "success", {})).getvalue())
    run = Run(tmp_path / "place", "plugin", program(
        tmp_path, f'env >&2; echo "$@" >&2; cat {tmp_path}/stream'))
    assert run.perform({}) == {"a": PASSED}
    said = (tmp_path / "place/output.log").read_text()
    assert "elsewhere" not in said
    assert f"--config-file {tmp_path}/place/tempest.conf" in said
    assert f"--include-list {ROOT}/tools/tempest/plugin.txt" in said
    assert (tmp_path / "place/tempest.conf").stat().st_mode & 0o777 == 0o600


def test_the_priority_that_the_plugin_sets_is_one() -> None:
    option = next(each for each in options.OPTIONS if each.name == "cpu_priority")
    row = TABLE["cpu_priority"]
    assert (option.type.min, option.type.max) == row.value.range_of(Flavor(512))
    assert option.default != row.default.of(Flavor(512))
    # so that hosts with cgroup v2 hold it exactly
    assert option.default * 100 % 1024 == 0


def test_the_page_has_every_option_with_its_default() -> None:
    page = (ROOT / "doc/source/admin/tempest.rst").read_text()
    for each in (*options.AVAILABLE, *options.OPTIONS):
        assert f"    {each.name} = {str(each.default).lower()}\n" in page


@pytest.mark.parametrize("body", [
    {"badRequest": {"code": 400, "message": "share: no"}}, {"code": 400, "message": "share: no"}])
def test_a_fault_is_found_in_either_form(body: object) -> None:
    assert fault_of(body) == {"code": 400, "message": "share: no"}


@pytest.mark.parametrize("body", ["<html>", None, b"", ["code"]])
def test_what_is_no_fault_has_nothing_of_one(body: object) -> None:
    assert fault_of(body) == {}


def identifiers() -> Iterator[tuple[str, list[str]]]:
    """Each test of the plug-in with what its decorator says."""
    for path in sorted((PLUGIN / "tests").glob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                yield f"{path.stem}.{node.name}", [
                    ast.literal_eval(each.args[0]) for each in node.decorator_list
                    if isinstance(each, ast.Call) and isinstance(each.func, ast.Attribute)
                    and each.func.attr == "idempotent_id"]


def test_every_test_of_the_plugin_has_an_id_of_its_own() -> None:
    found = dict(identifiers())
    assert len(found) > 10
    assert [name for name, ids in found.items() if len(ids) != 1] == []
    every = [ids[0] for ids in found.values()]
    assert len(set(every)) == len(every)
    assert [str(uuid.UUID(each)) for each in every] == every


def test_the_entry_point_leads_to_the_plugin() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    name, target = setup["entry_points"]["tempest.test_plugins"].strip().split(" = ")
    module, cls = target.split(":")
    path = ROOT / f"{module.replace('.', '/')}.py"
    assert name == "nova_qos"
    assert cls in {node.name for node in ast.parse(path.read_text()).body
                   if isinstance(node, ast.ClassDef)}
