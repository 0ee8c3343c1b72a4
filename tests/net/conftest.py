# SPDX-License-Identifier: Apache-2.0
"""Network namespaces of our own; nothing of them is left afterwards."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from testbed import packages
from testbed.netns import Path as SitePath
from testbed.netns import Site

pytest.register_assert_rewrite("tests.net.bench", "tests.net.traffic")

from tests.net.bench import Bench  # noqa: E402

_PACKAGES = Path(packages.__file__).with_name("net.apt")

MakeBench = Callable[..., Bench]


@pytest.fixture(scope="session", autouse=True)
def _root() -> None:
    if os.geteuid() != 0:
        pytest.skip("network namespaces and traffic control are for root only")
    absent = packages.missing(packages.read_list(_PACKAGES))
    if absent:
        pytest.fail(f"install these packages, or let tools/test.sh do it: {' '.join(absent)}")


@pytest.fixture
def make_bench() -> Iterator[MakeBench]:
    """Make a host with guests: ``make_bench("nat", [1, 1, 2])``."""
    made: list[Site] = []

    def make(path: SitePath, nics: list[int], rate_mbit: int = 80) -> Bench:
        made.append(Site(path, nics))
        return Bench(made[-1], rate_mbit)

    yield make
    for site in made:
        site.remove()
