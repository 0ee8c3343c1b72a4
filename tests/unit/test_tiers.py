# SPDX-License-Identifier: Apache-2.0
"""Which tiers tools/test.sh runs, and CI with it."""

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = (ROOT / "tools/test.sh").read_text()


@pytest.mark.parametrize("tier", ["tempest", "upgrade"])
def test_a_tier_runs_by_its_name_alone(tier: str) -> None:
    without_arguments = " ".join(re.findall(r'^all\+?="(.*)"$', SCRIPT, re.MULTILINE)).split()
    assert "unit" in without_arguments
    assert tier not in without_arguments
    assert re.search(rf'^by_name_only="[^"]*\b{tier}\b', SCRIPT, re.MULTILINE)


def test_ci_names_no_tier() -> None:
    assert re.search(r"tools/test\.sh\"$", (ROOT / ".ci/run").read_text().rstrip())


def test_the_tier_cloud_does_not_upgrade_it() -> None:
    """Those tests lie below its own."""
    assert re.findall(r"^tier_cloud\(\).*", SCRIPT, re.MULTILINE) == [
        "tier_cloud() { in_cloud tests/cloud --ignore tests/cloud/upgrade; }"]


def test_an_environment_may_be_older_than_its_tree(tmp_path: Path) -> None:
    """A tree at the same path lacks what was compiled in the one before it."""
    place = tmp_path / "nova_qos_dashboard/nova_qos_dashboard/locale/de/LC_MESSAGES"
    place.mkdir(parents=True)
    text, compiled = place / "django.po", place / "django.mo"

    def has_messages() -> bool:
        script = f"root={tmp_path}; . {ROOT}/tools/bed/install.sh; has_messages"
        return subprocess.run(["bash", "-uc", script]).returncode == 0

    text.touch()
    assert not has_messages()
    compiled.touch()
    os.utime(text, (1, 1))
    assert has_messages()
    os.utime(compiled, (0, 0))
    assert not has_messages()
