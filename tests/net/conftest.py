# SPDX-License-Identifier: Apache-2.0
"""Network namespaces of our own; nothing of them is left afterwards."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tools.bed import packages
from tools.bed.namespace import Namespace, remove_leftovers
from tools.bed.site import Path as SitePath
from tools.bed.site import Site

pytest.register_assert_rewrite("tests.net.bench", "tests.net.traffic")

from tests.net.bench import RATE_MBIT, QuietBench, SiteBench  # noqa: E402

_PACKAGES = Path(packages.__file__).with_name("net.apt")

MakeBench = Callable[..., SiteBench]
MakeQuiet = Callable[..., QuietBench]


@pytest.fixture(scope="session", autouse=True)
def _root() -> None:
    if os.geteuid() != 0:
        pytest.skip("network namespaces and traffic control are for root only")
    absent = packages.missing(packages.read_list(_PACKAGES))
    if absent:
        pytest.fail(f"install these packages, or let tools/test.sh do it: {' '.join(absent)}")
    remove_leftovers()


@pytest.fixture
def make_bench() -> Iterator[MakeBench]:
    """Make a host with guests: ``make_bench("nat", [1, 1, 2])``."""
    made: list[Site] = []

    def make(path: SitePath, nics: list[int], rate_mbit: int = RATE_MBIT) -> SiteBench:
        made.append(Site(path, nics))
        return SiteBench(made[-1], rate_mbit)

    yield make
    for site in made:
        site.remove()


@pytest.fixture
def make_quiet() -> Iterator[MakeQuiet]:
    """Make a host with that many servers, whose guests send nothing."""
    made: list[Namespace] = []

    def make(servers: int, *uplinks: str) -> QuietBench:
        made.append(Namespace("quiet"))
        return QuietBench(made[-1], servers, uplinks or ("up0",))

    yield make
    for host in made:
        host.remove()
