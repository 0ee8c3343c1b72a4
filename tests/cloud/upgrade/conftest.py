# SPDX-License-Identifier: Apache-2.0
"""The cloud with another release of nova-qos, and its users."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cloud.api import Person
from tests.cloud.upgrade import releases
from tests.cloud.upgrade.answers import Answers, User
from tests.cloud.upgrade.cloud import Cloud, cloud_of_two_hosts
from tests.cloud.upgrade.releases import Release
from tools.bed.stack.layout import Layout


@pytest.fixture(scope="session")
def this(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return releases.this(tmp_path_factory.mktemp("this") / "release")


@pytest.fixture(params=releases.earlier_names())
def earlier(request: pytest.FixtureRequest, tmp_path: Path) -> Release:
    return releases.earlier(request.param, tmp_path / "earlier")


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
def cloud(admin: Person, clean: None, servers: dict[str, str], tmp_path: Path) -> Iterator[Cloud]:
    try:
        with cloud_of_two_hosts(Layout.of_environment(), tmp_path, admin) as made:
            yield made
    finally:
        # its policy was in the database that is gone
        for server in servers.values():
            admin.act(server, "set-qos", {"policy": None})


@pytest.fixture
def user(admin: Person, cloud: Cloud, answers: Answers) -> User:
    return User(admin.environment, cloud.pool, answers)
