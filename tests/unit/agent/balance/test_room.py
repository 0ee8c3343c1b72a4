# SPDX-License-Identifier: Apache-2.0
"""The room: what QEMUs have for themselves is no balloon's."""

import pytest

from tests.unit.agent.balance.scene import RESERVE_MIB, Scene, guest, host


def room_mib(scene: Scene, actual_mib: float, resident_mib: float) -> float:
    """Of one server on a host that has exactly the reserve available."""
    return scene.look({"a": guest(actual_mib=actual_mib, resident_mib=resident_mib)},
                      host(RESERVE_MIB)).room_mib


def test_more_than_the_balloon_is_qemus_own_also_when_the_balloon_is_smaller() -> None:
    scene = Scene()
    for _ in range(3):
        assert room_mib(scene, 4000, 4150) == pytest.approx(4000)
    # the host has swapped some of it out
    assert room_mib(scene, 4000, 3950) == pytest.approx(3800)
    assert room_mib(scene, 4000, 100) == pytest.approx(0)
    assert room_mib(scene, 3000, 3100) == pytest.approx(2950)


@pytest.mark.parametrize("looks", [
    # one that is grows: its size is a second old
    [(3000, 3000), (3000, 3400), (3500, 3500)],
    # it shrinks, and the guest has just begun to
    [(4000, 4000), (3600, 3900), (3200, 3500), (2900, 2900)],
])
def test_a_balloon_that_moves_tells_nothing(looks: list[tuple[float, float]]) -> None:
    scene = Scene()
    for each in looks:
        room_mib(scene, *each)
    assert room_mib(scene, 2900, 2900) == pytest.approx(2900)


def test_it_is_forgotten_with_the_server() -> None:
    scene = Scene()
    for _ in range(3):
        room_mib(scene, 4000, 4150)
    scene.look({})
    assert room_mib(scene, 4000, 3950) == pytest.approx(3950)
