# SPDX-License-Identifier: Apache-2.0
"""What part of a host each server gets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nova_qos.core.sharing import Claim, among_processors, in_proportion

WEIGHTS = st.one_of(st.none(), st.integers(1, 262144))
CLAIMS = st.lists(st.builds(Claim, WEIGHTS, st.integers(1, 64)), max_size=30)
HOST_VCPUS = st.integers(1, 256)
each_rule = pytest.mark.parametrize("rule", [among_processors, in_proportion])


def exact(value: float) -> object:
    return pytest.approx(value, rel=1e-9, abs=1e-9)


def test_by_weight() -> None:
    claims = [Claim(39, 1), Claim(None, 4), Claim(26, 1), Claim(15, 8)]
    assert in_proportion(claims, 4) == [48.75, None, 32.5, 18.75]


@pytest.mark.parametrize(("claims", "host_vcpus", "percent"), [
    # room for all: by weight
    ([Claim(1024, 4), Claim(3072, 4)], 4, [25, 75]),
    # the heavy one has one vCPU of four, and leaves the rest
    ([Claim(1024, 4), Claim(3072, 1)], 4, [75, 25]),
    # what it leaves goes by weight again, and makes the next one full
    ([Claim(1000, 8), Claim(8000, 2), Claim(3000, 4)], 8, [25, 25, 50]),
    ([Claim(100, 1), Claim(100, 1)], 8, [12.5, 12.5]),
    ([Claim(2, 1), Claim(262144, 64)], 64, [100 * 2 / 262146, 100 * 262144 / 262146]),
    ([Claim(None, 4), Claim(5, 8), Claim(0, 1)], 4, [None, 100, None]),
    ([], 4, []),
    ([Claim(None, 1)], 4, [None]),
])
def test_no_more_than_its_own_processors(
    claims: list[Claim], host_vcpus: int, percent: list[float | None]
) -> None:
    assert among_processors(claims, host_vcpus) == [
        None if each is None else exact(each) for each in percent]


@each_rule
@given(claims=CLAIMS, host_vcpus=HOST_VCPUS)
def test_all_is_given_away_where_there_is_room(
    rule: object, claims: list[Claim], host_vcpus: int
) -> None:
    assert callable(rule)
    percent = rule(claims, host_vcpus)
    assert [each is None for each in percent] == [claim.weight is None for claim in claims]
    busy = [claim for claim in claims if claim.weight is not None]
    room = min(1, sum(claim.vcpus for claim in busy) / host_vcpus)
    whole = room if rule is among_processors else float(bool(busy))
    assert sum(each or 0 for each in percent) == exact(100 * whole)


@given(claims=CLAIMS, host_vcpus=HOST_VCPUS)
def test_processors_cap_and_weights_order(claims: list[Claim], host_vcpus: int) -> None:
    percent = among_processors(claims, host_vcpus)
    given_vcpus = [(claim, each * host_vcpus / 100) for claim, each in zip(
        claims, percent, strict=True) if claim.weight is not None and each is not None]
    for claim, vcpus in given_vcpus:
        assert 0 <= vcpus <= claim.vcpus + 1e-9
        for other, others_vcpus in given_vcpus:
            # only who has all it can use may have less than its weight is worth against another
            ratio = (claim.weight or 0) / (other.weight or 1)
            assert vcpus >= min(claim.vcpus, others_vcpus * ratio) * (1 - 1e-9) - 1e-9


@given(claims=CLAIMS)
def test_by_weight_alone_the_order_is_that_of_the_weights(claims: list[Claim]) -> None:
    pairs = [(claim.weight, each) for claim, each in zip(
        claims, in_proportion(claims, 1), strict=True) if claim.weight is not None]
    assert [each for _weight, each in sorted(pairs)] == sorted(each for _weight, each in pairs)
