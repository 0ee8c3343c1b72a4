# SPDX-License-Identifier: Apache-2.0
"""What a guarantee of memory does on cgroup v2: the kernel never takes it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from nova_qos.core.reading import Reading
from nova_qos.core.units import UNLIMITED
from tests.vmhost.scarce import GENERATIONS, MEMORY_MIB, Site, kernel_setting
from tests.vmhost.servers import MACHINES, run


@pytest.fixture
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("guarantee"))
    try:
        site.start()
        yield site
    finally:
        site.remove()


def least(path: Path) -> int:
    return int((path / "memory.min").read_text()) // 2**20


@pytest.fixture(params=["n", "y"], ids=["active and inactive", "generations"])
def lru(request: pytest.FixtureRequest) -> Iterator[str]:
    """How the kernel chooses what it reclaims."""
    with kernel_setting(GENERATIONS, request.param):
        yield str(request.param)


@pytest.mark.resources("memory_guarantee")
def test_the_guaranteed_server_loses_nothing_of_it_while_its_neighbour_is_swapped(
    site: Site, lru: str
) -> None:
    site.renew()
    readings = site.guarantee(MEMORY_MIB, UNLIMITED)
    assert readings == [Reading(MEMORY_MIB), Reading(UNLIMITED)]
    guaranteed, other = site.scopes()
    chain = MACHINES, guaranteed, guaranteed / "libvirt"
    assert [least(each) for each in chain] == [MEMORY_MIB] * 3
    assert least(other) == 0
    run("systemctl", "daemon-reload")
    assert [least(each) for each in chain] == [MEMORY_MIB] * 3
    spared, reclaimed = site.press()
    print(f"guaranteed {MEMORY_MIB} MiB: has {site.resident_mib()[0]:.1f} MiB")
    assert reclaimed > 50
    if lru == "n":
        assert site.resident_mib()[0] >= MEMORY_MIB
        assert spared < reclaimed / 5
    else:
        # what is beyond goes as soon as what others have, some pages at a time
        assert site.resident_mib()[0] >= MEMORY_MIB - 1
    assert site.guarantee(UNLIMITED, UNLIMITED) == [Reading(UNLIMITED)] * 2
    assert [least(each) for each in chain] == [0, 0, 0]
