# SPDX-License-Identifier: Apache-2.0
"""The fixtures of the functional tier, on a nova with two cells."""

from collections.abc import Iterator

import pytest

from tests.cells.cloud import FAR, FarServer, TwoCells
from tests.functional import conftest as functional
from tests.functional.cloud import Server

database, no_policies = functional.database, functional.no_policies
option, policies = functional.option, functional.policies


@pytest.fixture(scope="session")
def cloud() -> Iterator[TwoCells]:
    cloud = TwoCells()
    try:
        cloud.setUp()
        yield cloud
    finally:
        cloud.doCleanups()


@pytest.fixture(autouse=True)
def _forgotten(cloud: TwoCells) -> Iterator[None]:
    """Nothing of one test is left for the next, also in the second cell."""
    yield
    cloud.agents[FAR].manager.policies.refresh(10)


@pytest.fixture
def near(cloud: TwoCells) -> Iterator[Server]:
    """A server in the first cell."""
    server = cloud.boot()
    yield server
    cloud.delete(server)


@pytest.fixture
def far(cloud: TwoCells) -> Iterator[FarServer]:
    """A server in the second."""
    server = cloud.boot_far()
    yield server
    cloud.delete(server)
