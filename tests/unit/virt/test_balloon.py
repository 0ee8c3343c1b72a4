# SPDX-License-Identifier: Apache-2.0
"""What a balloon's reports say, on hosts whose clock is set while they run."""

from dataclasses import dataclass, field, replace

import pytest

from nova_qos.core.balloon import Balloon
from nova_qos.virt.balloon import Movements, Report, judged, moves_silently
from nova_qos.virt.definition import Definition

PERIOD_S, MOST_KIB = 10, 2**20
DEFINITION = Definition(None, "virtio", PERIOD_S, ())
UUID = "uuid"
HOUR_S = 3600


@dataclass
class Guest:
    """A guest of a host with a clock that can be set; all sizes in KiB."""

    actual: int = 512
    used: int = 100
    now_s: float = 50_000.0
    wall_s: float = 1_700_000_000.0
    paused: bool = False
    figures: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.movements = Movements(lambda: self.now_s, lambda: self.wall_s)
        self.report()

    def report(self) -> None:
        """What libvirt then holds, with the host's time."""
        self.figures = {"unused": self.actual - self.used, "usable": self.actual - self.used,
                        "last_update": int(self.wall_s)}

    def passes(self, seconds: float) -> None:
        self.now_s += seconds
        self.wall_s += seconds

    def moves(self, to: int) -> None:
        """The agent asks for a size, and the guest follows at once."""
        self.look()
        self.movements.started(UUID, to)
        self.look()
        self.actual = to

    def look(self) -> Balloon:
        report = Report({**self.figures, "actual": self.actual}, MOST_KIB)
        return judged(DEFINITION, report, self.paused,
                      self.movements, UUID)


@pytest.fixture
def guest() -> Guest:
    return Guest()


SET = pytest.mark.parametrize("set_by_s", [0, -HOUR_S, HOUR_S])


@SET
def test_after_a_movement_the_next_report_counts(guest: Guest, set_by_s: int) -> None:
    guest.moves(400)
    assert (guest.look().due_s, guest.look().usable_kib) == (PERIOD_S + 1, 0)
    guest.passes(3)
    guest.wall_s += set_by_s
    assert guest.look().due_s == PERIOD_S - 2
    guest.passes(4)
    guest.report()
    seen = guest.look()
    assert (seen.alive, seen.due_s, seen.usable_kib) == (True, 0, 300)


def turned(guest: Guest) -> bool:
    report = Report({**guest.figures, "actual": guest.actual}, MOST_KIB)
    return guest.movements.note(UUID, DEFINITION, report, guest.paused).turned


def test_a_guest_that_was_told_two_sizes_may_go_to_the_first(guest: Guest) -> None:
    assert not turned(guest)
    for size in (400, 512):
        guest.movements.started(UUID, size)
    assert turned(guest)
    # asked once more
    guest.movements.started(UUID, 512)
    assert turned(guest)
    guest.actual = 500
    assert turned(guest)
    guest.passes(PERIOD_S)
    guest.actual = 512
    guest.report()
    assert turned(guest)
    guest.passes(PERIOD_S)
    guest.report()
    assert not turned(guest)


def test_a_guest_on_its_way_shows_it_by_its_size(guest: Guest) -> None:
    turned(guest)
    guest.movements.started(UUID, 400)
    guest.actual = 450
    assert not turned(guest)
    guest.movements.started(UUID, 512)
    assert not turned(guest)


def test_a_guest_without_reports_is_not_waited_for(guest: Guest) -> None:
    guest.figures = {}
    turned(guest)
    for size in (400, 512):
        guest.movements.started(UUID, size)
    assert not turned(guest)


@SET
def test_a_driver_that_lives_is_never_overdue(guest: Guest, set_by_s: int) -> None:
    guest.look()
    guest.wall_s += set_by_s
    for _ in range(5):
        seen = guest.look()
        assert (seen.alive, seen.due_s) == (True, 0)
        guest.passes(PERIOD_S)
        guest.report()


@SET
def test_a_driver_that_is_silent_is_overdue_and_then_dead(guest: Guest, set_by_s: int) -> None:
    guest.look()
    guest.passes(3 * PERIOD_S)
    guest.wall_s += set_by_s
    assert (guest.look().alive, guest.look().due_s) == (True, 0)
    guest.passes(2)
    assert (guest.look().overdue, guest.look().due_s) == (True, PERIOD_S + 1)
    guest.passes(PERIOD_S + 1)
    seen = guest.look()
    assert (seen.alive, seen.reason) == (
        False, "the guest's balloon driver has reported nothing for 43 s")
    guest.report()
    assert guest.look().alive


def test_a_report_from_before_the_agents_start_has_its_age(guest: Guest) -> None:
    guest.passes(HOUR_S)
    assert guest.look().overdue


@SET
def test_a_clock_that_was_set_before_the_agents_start_is_made_up_for_by_a_report(
    guest: Guest, set_by_s: int
) -> None:
    guest.wall_s += set_by_s
    assert guest.look().due_s <= PERIOD_S + 1
    guest.passes(5)
    guest.report()
    assert (guest.look().alive, guest.look().due_s) == (True, 0)


def test_what_came_between_two_looks_is_no_older_than_the_first(guest: Guest) -> None:
    guest.look()
    guest.passes(1)
    guest.report()
    guest.wall_s += HOUR_S
    guest.passes(1)
    assert guest.look().due_s == 0


def test_a_report_that_came_long_before_a_rare_look_is_old(guest: Guest) -> None:
    guest.look()
    guest.passes(1)
    guest.report()
    guest.passes(HOUR_S)
    assert guest.look().overdue


def test_figures_of_an_earlier_snapshot_are_no_new_report(guest: Guest) -> None:
    guest.look()
    earlier = dict(guest.figures)
    guest.passes(PERIOD_S)
    guest.report()
    guest.moves(400)
    guest.look()
    guest.figures = earlier
    assert guest.look().due_s > 0


def test_a_paused_guest_owes_nothing(guest: Guest) -> None:
    guest.look()
    guest.paused = True
    guest.passes(HOUR_S)
    assert (guest.look().alive, guest.look().due_s) == (True, 0)
    guest.paused = False
    assert guest.look().overdue


def test_servers_that_ended_are_forgotten(guest: Guest) -> None:
    guest.moves(400)
    listed_s = guest.now_s - 1
    guest.movements.retain((), listed_s)
    assert guest.look().due_s > 0
    guest.passes(PERIOD_S)
    guest.movements.retain((), guest.now_s)
    assert guest.look().due_s == 0


def test_a_balloon_that_has_moved_without_reports_moves() -> None:
    definition = replace(DEFINITION, memory_kib=512)
    assert moves_silently(definition, Report({"actual": 400}, 512))
    assert not moves_silently(definition, Report({"actual": 512}, 512))
    assert not moves_silently(definition, Report({"actual": 400, "unused": 100}, 512))


@pytest.mark.parametrize(("reported", "taken"), [
    (300 * 1024, 300 * 1024), (512 * 1024, 512 * 1024), (513 * 1024, 512 * 1024),
    # as QEMU tells it where the balloon has 2**32 - 1 pages
    ((2**64 - 2**44) >> 10, 512 * 1024), (-(2**34), 0)])
def test_no_guest_has_more_memory_than_its_domain(reported: int, taken: int) -> None:
    assert Report({"actual": reported}, 512 * 1024).actual_kib == taken
