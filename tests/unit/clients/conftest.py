# SPDX-License-Identifier: Apache-2.0
"""A recorded cloud with policies, and the shell that talks to it."""

import functools
import os
import shutil
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import stevedore
from cliff import commandmanager
from novaclient import client as novaclient

from novaclient_qos.osc import rollout, several
from tests.shells import OpenStack
from tests.unit.clients.policies import PolicyCloud

#: What is installed, and how wide the terminal is, stays: each shell would find it out anew.
_found = functools.cache(stevedore.ExtensionManager)
_discovered = functools.cache(novaclient.discover_extensions)
_terminal = functools.cache(shutil.get_terminal_size)


@pytest.fixture(autouse=True)
def _finds_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commandmanager, "stevedore", SimpleNamespace(ExtensionManager=_found))
    monkeypatch.setattr(
        novaclient, "discover_extensions", lambda *_args, **_kwargs: _discovered())
    monkeypatch.setattr(shutil, "get_terminal_size", _terminal)


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
