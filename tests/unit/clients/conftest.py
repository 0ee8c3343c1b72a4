# SPDX-License-Identifier: Apache-2.0
"""A recorded cloud with policies, and the shell that talks to it."""

import os
from collections.abc import Iterator

import pytest

from novaclient_qos.osc import rollout, several
from tests.shells import OpenStack
from tests.unit.clients.policies import PolicyCloud


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that waits, in this process, looks again at once instead of after seconds."""
    monkeypatch.setattr(several, "_POLL_SECONDS", 0.02)
    monkeypatch.setattr(rollout, "_POLL_SECONDS", 0.02)


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[PolicyCloud]:
    for name in os.environ:
        if name.startswith("OS_"):
            monkeypatch.delenv(name)
    with PolicyCloud("vm1", "vm2", "vm3") as cloud:
        yield cloud


@pytest.fixture
def openstack(cloud: PolicyCloud, capsys: pytest.CaptureFixture[str]) -> OpenStack:
    return OpenStack(cloud.credentials(), capsys)
