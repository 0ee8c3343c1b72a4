# SPDX-License-Identifier: Apache-2.0
"""Memory is missing on a host at this moment, because a guest fills its guarantee and goes on; the
move of another server makes room, and the guarantee is kept all the time."""

import os
import time
from collections.abc import Callable, Iterator, Sequence

import pytest

from tests.cloud.api import Person, wait_for
from tests.cloud.relieving import relieve
from tests.twonode.crowd import (
    Crowd,
    ShortNow,
    cheapest,
    figures,
    occupied_mib,
    occupy,
    swapping,
    told,
)
from tests.twonode.host import NodeHost
from tests.twonode.moves import (
    DRIVER_S,
    MOVE_S,
    host_of,
    host_of_v1,
    locked,
    migrate,
    reported,
)

pytestmark = [
    pytest.mark.timeout(3600),
    pytest.mark.skipif(os.environ.get("NOVA_QOS_TEST_SIZE") == "reduced",
                       reason="needs two virtual machines: NOVA_QOS_TEST_SIZE is reduced")]

_GUARANTEE_MIB = 280
#: What guests occupy beside the 75 MiB or so that each uses by itself: the one with the guarantee,
#: and the one that uses much.
_FILLED_MIB, _USED_MIB = 340, 230
#: How much less servers need than the first node has for them, before the guest grows.
_FITS_MIB = 12
#: What the first node then has available: a few percent. With 15 percent it is calm.
_AVAILABLE_MIB, _CALM_SHARE, _SHORT_SHARE = 65, 0.15, 0.05
#: What is available on a full target: less than 15 percent.
_FULL_MIB = 250


@pytest.fixture(scope="module")
def crowd(
    admin: Person, hosts: list[NodeHost], boot_for_all: Callable[..., str]
) -> Crowd:
    """They boot where the cloud runs, and migrate live to the first node."""
    here = host_of_v1(admin)
    crowd = Crowd(boot_for_all("guaranteed", here, "m512"), boot_for_all("large", here, "m512"),
                  boot_for_all("small", here))
    for server in crowd.all:
        wait_for(lambda server=server: admin.act(server, "balloon-driver-enabled")[1].get(
            "ballooning_enabled"), DRIVER_S, "its balloon driver lives")
    for server in crowd.all:
        migrate(admin, server, hosts[0])
    # here: of what is all zeros, a migration gives the other host nothing
    occupy(admin, crowd.large, _USED_MIB)
    status, answer = admin.act(
        crowd.guaranteed, "set-qos", {"memory_guarantee": _GUARANTEE_MIB})
    assert status in (200, 202), answer
    wait_for(lambda: hosts[0].held(crowd.guaranteed).get("memory.min") == _GUARANTEE_MIB * 2**20,
             DRIVER_S, "the kernel holds its guarantee")
    return crowd


@pytest.fixture(scope="module")
def short_now(admin: Person, hosts: list[NodeHost], crowd: Crowd) -> Iterator[ShortNow]:
    """The first node, after the guest with the guarantee has grown."""
    host, target = hosts[:2]
    needs_mib = _steady_needs(admin, host)
    others = [each["id"] for each in told(admin, host)["placed"] if each["id"] not in crowd.all]
    with (swapping(host), host.in_use(_FILLED_MIB + _AVAILABLE_MIB), locked(admin, others),
          host.reserved(needs_mib + _FITS_MIB)):
        wait_for(lambda: told(admin, host)["state"] != "short", DRIVER_S, "all fits")
        print(f"\n  before: {figures(told(admin, host))}")
        began = time.monotonic()
        occupy(admin, crowd.guaranteed, _FILLED_MIB)
        wait_for(lambda: reported(admin, host.name)["short"]["now"], DRIVER_S, "it is short now")
        took_s = time.monotonic() - began
        print(f"  short now after {took_s:.0f} s: {figures(told(admin, host))}")
        yield ShortNow(host, target, crowd)


def _steady_needs(admin: Person, host: NodeHost) -> int:
    """What the servers of a host need, once their guests report."""
    def steady() -> int:
        first = told(admin, host)["memory"]["needs"]
        time.sleep(5)
        return first if abs(first - told(admin, host)["memory"]["needs"]) <= 2 else 0

    return int(wait_for(steady, DRIVER_S, "needs are steady"))


def _check_kept(seen: Sequence[dict[str, int]]) -> None:
    """All the time, the server with the guarantee had that of the host's memory, and its guest a
    balloon no smaller."""
    for name in "guaranteed", "held", "balloon", "swapped", "available":
        values = [each[name] for each in seen]
        print(f"  {name}: {min(values)} to {max(values)} MiB in {len(values)} looks")
    assert {each["guaranteed"] for each in seen} == {_GUARANTEE_MIB}
    assert min(each["held"] for each in seen) >= _GUARANTEE_MIB
    assert min(each["balloon"] for each in seen) >= _GUARANTEE_MIB


def test_a_full_target_is_refused_with_what_is_missing(
    admin: Person, short_now: ShortNow
) -> None:
    host, target = short_now.host, short_now.target
    with target.in_use(_FULL_MIB), host.watched(short_now.crowd.guaranteed) as seen:
        missing = reported(admin, host.name)["short"]["now"]["mib"]
        done = relieve(admin, host.name, "--to", target.name)
    print(f"\n  refused: {done.said.strip()}; missing before: {missing} MiB")
    assert (done.status, done.rows) == (1, [])
    (said,) = [line for line in done.said.splitlines() if "is still short of" in line]
    amount = int(said.split()[-4])
    assert said.endswith(f"{host.name} is still short of {amount} MiB of memory.")
    assert amount == pytest.approx(missing, abs=_FITS_MIB)
    assert {host_of(admin, server) for server in short_now.crowd.all} == {host.name}
    _check_kept(seen)


def test_the_cheapest_server_that_helps_makes_room(admin: Person, short_now: ShortNow) -> None:
    host, target, crowd = short_now.host, short_now.target, short_now.crowd
    assert host.memory_mib("MemAvailable") < _SHORT_SHARE * host.memory_mib("MemTotal")
    found = told(admin, host)
    assert found["short"]["now"] is not None
    assert cheapest(found) == {crowd.large}
    with host.watched(crowd.guaranteed) as seen:
        began = time.monotonic()
        done = relieve(admin, host.name, "--to", target.name, "--timeout", str(MOVE_S))
        print(f"\n  relieved in {time.monotonic() - began:.0f} s: {done.rows}")
        assert done.status == 0, done
        (row,) = done.rows
        assert (row["Server"], row["Result"], row["To"]) == ("large", "moved", target.name)
        relieved = told(admin, host)
        print(f"  after: {figures(relieved)}")
        assert relieved["state"] != "short"
        assert relieved["short"] == {"promised": None, "now": None}
        wait_for(lambda: reported(admin, host.name)["state"] == "calm", DRIVER_S, "it is calm")
        print(f"  calm after {time.monotonic() - began:.0f} s")
    assert host.memory_mib("MemAvailable") >= _CALM_SHARE * host.memory_mib("MemTotal")
    assert {host_of(admin, crowd.guaranteed), host_of(admin, crowd.small)} == {host.name}
    assert host_of(admin, crowd.large) == target.name
    assert reported(admin, target.name)["state"] != "short"
    _check_kept(seen)
    assert occupied_mib(admin, crowd.guaranteed) == _FILLED_MIB
