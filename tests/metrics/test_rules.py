# SPDX-License-Identifier: Apache-2.0
"""The rules for Prometheus: valid, and each one's cases fail where the rule is another."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools.bed.prometheus import ETC, RULES

CASES = sorted((Path(__file__).parent / "rules").glob("*.yml"))
#: By rule, in which file its cases are and what each change of its expression or its time makes
#: wrong.
CHANGES = {
    "nova_qos:server_cpu_received:ratio_rate5m": ("cpu", [
        ("/ on (job, instance) group_left ()\n          nova_qos_host_cpus\n\n", "\n\n")]),
    "nova_qos:server_cpu_promised:ratio": ("cpu", [
        ("< on (job, instance, server_id)", "> on (job, instance, server_id)"),
        ('max by (job, instance, server_id) (nova_qos_server_share_ratio{resource="cpu_priority"})',
         "max by (job, instance, server_id) (nova_qos_server_share_ratio)")]),
    "nova_qos:server_cpu_steal:ratio_rate5m": ("cpu", [
        ("            > 0\n", ""), ("            > 0\n", "            * 2 > 0\n")]),
    "NovaQosServerShortChanged": ("cpu", [
        ("< 0.8", "< 0.9"), ("< 0.8", "< 0.4"), ("ratio_rate5m > 0.1", "ratio_rate5m > 0.05"),
        ("ratio_rate5m > 0.1", "ratio_rate5m > 0.6"), ("for: 10m", "for: 6m"),
        ("for: 10m", "for: 12m"), ("on (job, instance, server_id)", "on (server_id)"),
        ("ratio_rate5m / nova_qos:server_cpu_promised:ratio < 0.8", "ratio_rate5m < 0.8")]),
    "NovaQosDriftReturns": ("settings", [
        ("> 3", "> 2"), ("> 3", "> 5"), (" - resets(nova_qos_corrections_total[1h])", ""),
        ("changes(", "increase(")]),
    "NovaQosDriftStays": ("settings", [
        ("for: 10m", "for: 7m"), ("for: 10m", "for: 12m"), ('{state="drifted"}', "")]),
    "NovaQosSettingWithoutEffect": ("settings", [
        ("for: 15m", "for: 12m"), ("for: 15m", "for: 17m"), (',source!~"default|none"', ""),
        ("== 0", "== 1"), ('state="applied"', 'state!=""'), ('state="applied"', 'state="refused"'),
        ('state="unsupported"', 'state="refused"')]),
    "nova_qos:server_memory_waiting:ratio_rate5m": ("memory", [
        ("memory_waiting_seconds", "memory_stalled_seconds"), ("rate(", "2 * rate(")]),
    "NovaQosMemoryTakenBack": ("memory", [
        ("for: 15m", "for: 5m"), ("for: 15m", "for: 17m"), ("[5m]", "[1m]"),
        ('{state="deflated"}', "")]),
    "NovaQosMemoryTakenBackOften": ("memory", [("> 10", "> 8"), ("> 10", "> 40")]),
    "NovaQosHostShortOfMemory": ("memory", [
        ("ratio_rate5m) > 0.1", "ratio_rate5m) > 0.6"),
        ("ratio_rate5m > 0.1", "ratio_rate5m > 0.05"),
        (">= 2", ">= 1"), (">= 2", ">= 3"), ("unless on", "and on"), ("for: 10m", "for: 4m"),
        ("for: 10m", "for: 16m")]),
    "NovaQosAgentAway": ("agent", [
        ("for: 5m", "for: 2m"), ("for: 5m", "for: 7m"), ('{job="nova-qos"}', ""),
        ("== 0", "== 1")]),
    "NovaQosNothingScraped": ("agent", [
        ("for: 15m", "for: 10m"), ("for: 15m", "for: 17m"), ('{job="nova-qos"}', "")]),
    "NovaQosCollectorFails": ("agent", [
        ("for: 10m", "for: 7m"), ("for: 10m", "for: 12m"), ("== 0", ">= 0")]),
}


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True)


def rules() -> dict[str, dict[str, Any]]:
    """All rules by name."""
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return {rule.get("alert") or rule["record"]: rule
            for group in groups for rule in group["rules"]}


def alerts() -> dict[str, dict[str, Any]]:
    return {name: rule for name, rule in rules().items() if "alert" in rule}


def part_of(text: str, name: str) -> tuple[int, int]:
    """Where a rule begins and ends in the file."""
    begin = text.index(f": {name}\n")
    end = text.find("\n      - ", begin)
    return begin, len(text) if end < 0 else end


def test_rules_and_configuration_are_valid(promtool: str) -> None:
    for kind, path in (("rules", RULES), ("config", ETC / "prometheus.yml")):
        done = run(promtool, "check", kind, path)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_rules_do_what_their_cases_say(path: Path, promtool: str) -> None:
    done = run(promtool, "test", "rules", path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("name", "cases", "old", "new"), [
    (name, cases, old, new)
    for name, (cases, changes) in CHANGES.items() for old, new in changes])
def test_another_rule_fails(
    name: str, cases: str, old: str, new: str, promtool: str, tmp_path: Path
) -> None:
    text = RULES.read_text()
    begin, end = part_of(text, name)
    assert old in text[begin:end]
    changed = tmp_path / RULES.name
    changed.write_text(text[:begin] + text[begin:end].replace(old, new) + text[end:])
    done = run(promtool, "check", "rules", changed)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = (CASES[0].parent / f"{cases}.yml").read_text().splitlines()
    (tmp_path / "cases.yml").write_text("\n".join(
        f"  - {changed}" if line.endswith(RULES.name) else line for line in lines))
    done = run(promtool, "test", "rules", tmp_path / "cases.yml")
    assert done.returncode == 1
    assert "FAILED" in done.stdout + done.stderr


def test_every_rule_is_changed() -> None:
    assert set(CHANGES) == set(rules())


def test_every_alert_fires_in_one_case_and_stays_silent_in_another() -> None:
    outcomes: dict[str, set[bool]] = {}
    for path in CASES:
        for test in yaml.safe_load(path.read_text())["tests"]:
            for case in test["alert_rule_test"]:
                outcomes.setdefault(case["alertname"], set()).add(bool(case["exp_alerts"]))
    assert outcomes == {name: {True, False} for name in alerts()}


@pytest.mark.parametrize(("name", "alert"), alerts().items(), ids=lambda each: str(each)[:40])
def test_alerts_say_what_and_why(name: str, alert: dict[str, Any]) -> None:
    assert name.startswith("NovaQos")
    assert alert["labels"]["severity"] in {"warning", "critical"}
    assert set(alert["annotations"]) == {"summary", "description"}
    assert alert["annotations"]["description"].endswith(".")
    assert "$labels" in alert["annotations"]["summary"] or "absent(" in alert["expr"]
    # each threshold has its reason in the comment above
    above = RULES.read_text().split(f"      - alert: {name}\n")[0].splitlines()
    comment: list[str] = []
    while above and above[-1].strip().startswith("#"):
        comment.insert(0, above.pop())
    assert "# Why" in "\n".join(comment)


def test_the_page_names_each_rule() -> None:
    page = (Path(__file__).parents[2] / "doc/source/admin/monitoring_rules.inc").read_text()
    assert set(re.findall(r"``(NovaQos\w+|nova_qos:[\w:]+)``", page)) == set(rules())
