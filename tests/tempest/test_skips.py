# SPDX-License-Identifier: Apache-2.0
"""Why Tempest would skip tests of nova on the demo's cloud, as far as its configuration says that:
each reason is known, before anything has run for half an hour."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.test_tempest import PARTS
from tools.bed.stack import config, plain, tempest
from tools.tempest import outcomes, selection
from tools.tempest.outcomes import Result

ROOT = Path(__file__).parents[2]
# in a process of its own: what Tempest reads of its configuration, it reads once
_LOOK = """
import json, re, sys, unittest
from pathlib import Path

import tempest

def each(suite):
    for test in suite:
        yield from each(test) if isinstance(test, unittest.TestSuite) else [test]

def of_class(cls):
    try:
        cls.skip_checks()
    except unittest.SkipTest as reason:
        return str(reason)

def why(test):
    method = getattr(test, test._testMethodName)
    return of_class(type(test)) or getattr(method, "__unittest_skip_why__", None)

root = Path(tempest.__file__).parent
found = unittest.TestLoader().discover(str(root / "test_discover"), top_level_dir=str(root.parent))
print(json.dumps({test.id(): why(test) for test in each(found)
                  if any(re.search(line, test.id()) for line in sys.argv[1:])}))
"""


@pytest.fixture(scope="module")
def reasons(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str | None]:
    place = tmp_path_factory.mktemp("tempest")
    config.write(place / "tempest.conf", tempest.sections(PARTS, place, plain.CATALOG_TYPE, False))
    done = subprocess.run(
        [sys.executable, "-c", _LOOK, *selection.expressions("nova")], capture_output=True,
        text=True, cwd=place,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TEMPEST_CONFIG_DIR": str(place)})
    assert done.returncode == 0, done.stderr
    found: dict[str, str | None] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_most_tests_run(reasons: dict[str, str | None]) -> None:
    assert sum(why is None for why in reasons.values()) > len(reasons) * 3 / 4 > 300


def test_each_reason_is_known(reasons: dict[str, str | None]) -> None:
    skipped = {name: Result(outcomes.SKIPPED, why) for name, why in reasons.items() if why}
    assert skipped
    assert list(outcomes.unexplained(skipped, selection.expressions("absent"))) == []
