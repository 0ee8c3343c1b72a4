# SPDX-License-Identifier: Apache-2.0
"""Horizon in this process, on a cloud in memory."""

from collections.abc import Callable, Iterator

import pytest

from tests.dashboard.double import Double
from tests.dashboard.inside import Browser, set_up

GRAFANA = {"host": "https://grafana.example/host?var-instance={host}",
           "server": "https://grafana.example/server?var-server={server}"}


@pytest.fixture(scope="session")
def _double() -> Iterator[Double]:
    with Double() as cloud:
        yield cloud


@pytest.fixture(scope="session")
def _horizon(_double: Double, tmp_path_factory: pytest.TempPathFactory) -> None:
    set_up(tmp_path_factory.mktemp("horizon"), f"{_double.url}/v3", NOVA_QOS_GRAFANA=GRAFANA,
           LANGUAGES=(("en", "English"), ("de", "Deutsch")))
    from django.test.utils import setup_test_environment
    setup_test_environment()


@pytest.fixture
def cloud(_double: Double) -> Double:
    """A cloud without servers."""
    _double.clear()
    return _double


@pytest.fixture(scope="session")
def browse(_horizon: None) -> Callable[[str], Browser]:
    """Logs a person in, once."""
    known: dict[str, Browser] = {}

    def browse(user: str) -> Browser:
        return known.setdefault(user, known.get(user) or Browser(user))

    return browse


@pytest.fixture
def admin(browse: Callable[[str], Browser], cloud: Double) -> Browser:
    """An administrator."""
    return browse("admin")
