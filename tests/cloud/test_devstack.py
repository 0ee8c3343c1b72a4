# SPDX-License-Identifier: Apache-2.0
"""DevStack's exercise, on a cloud that is none of DevStack's."""

import subprocess
import sys
from pathlib import Path

from tests.cloud.api import Person
from tools.bed.stack.tenants import IMAGE, NETWORK

EXERCISE = Path(__file__).parents[2] / "devstack/exercise.sh"


def test_the_exercise(admin: Person) -> None:
    made_of = {
        "NOVA_QOS_IMAGE": IMAGE, "NOVA_QOS_FLAVOR": "m256", "NOVA_QOS_NETWORK": NETWORK,
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
    answer = subprocess.run(
        ["bash", EXERCISE], env=admin.environment | made_of, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.splitlines()[-1] == "exercise.sh: nova-qos works"
    assert "nova-qos-exercise" not in admin.request("GET", "/servers").text
