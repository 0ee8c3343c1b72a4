# SPDX-License-Identifier: Apache-2.0
"""When KSM is started and stopped, and what is written."""

from nova_qos.agent.balance.ksm import KsmNow, Merging
from nova_qos.agent.balance.thresholds import Thresholds

MEMORY_MIB = 10000
STOPPED = {"run": "0", "pages_to_scan": "100", "sleep_millisecs": "20"}
ADVISED = {"run": "0", "advisor_mode": "none", "advisor_max_cpu": "70"}


class Kernel:
    """Holds what is written to it."""

    def __init__(self, files: dict[str, str]) -> None:
        self.files, self.gained_mib, self.is_driven = files, 0.0, False
        self.merging = Merging(Thresholds())

    def decide(self, now_s: float, is_tense: bool = True) -> dict[str, str]:
        now = KsmNow(dict(self.files), self.gained_mib, self.is_driven)
        written = self.merging.decide(now_s, is_tense, MEMORY_MIB, now)
        self.files.update(written)
        return written


def test_a_calm_host_does_not_start_it() -> None:
    assert Kernel(dict(STOPPED)).decide(100, is_tense=False) == {}


def test_by_hand_where_the_kernel_has_no_advisor() -> None:
    assert Kernel(dict(STOPPED)).decide(100) == {
        "pages_to_scan": "1300", "sleep_millisecs": "20", "run": "1"}


def test_by_the_advisor_where_there_is_one() -> None:
    assert list(Kernel(dict(ADVISED)).decide(100).items()) == [
        ("advisor_mode", "scan-time"), ("advisor_max_cpu", "20"), ("run", "1")]


def test_it_runs_while_it_gains() -> None:
    kernel = Kernel(dict(STOPPED))
    kernel.decide(0)
    for now_s in range(1, 600):
        kernel.gained_mib += 0.1
        assert kernel.decide(now_s) == {}


def test_it_is_stopped_where_a_minute_gains_too_little() -> None:
    kernel = Kernel(dict(ADVISED))
    kernel.decide(0)
    kernel.gained_mib = 4
    assert kernel.decide(59) == {}
    # merged pages stay merged: never 2
    assert kernel.decide(60) == {"run": "0", "advisor_mode": "none", "advisor_max_cpu": "70"}


def test_it_is_tried_again_after_ten_minutes() -> None:
    kernel = Kernel(dict(STOPPED))
    kernel.decide(0)
    kernel.decide(60)
    assert not any(kernel.decide(now_s) for now_s in range(61, 660))
    assert kernel.decide(660)["run"] == "1"


def test_a_calm_host_stops_it_when_it_gains_no_more() -> None:
    kernel = Kernel(dict(STOPPED))
    kernel.decide(0)
    assert kernel.decide(60, is_tense=False)["run"] == "0"
    assert kernel.decide(5000, is_tense=False) == {}


def test_another_program_drives_it() -> None:
    kernel = Kernel(dict(STOPPED))
    kernel.is_driven = True
    assert kernel.decide(0) == {}


def test_what_the_operator_has_started_is_left_to_them() -> None:
    kernel = Kernel({**STOPPED, "run": "1"})
    assert not any(kernel.decide(now_s) for now_s in range(0, 1000, 10))


def test_no_ksm_in_this_kernel() -> None:
    assert Kernel({}).decide(0) == {}
