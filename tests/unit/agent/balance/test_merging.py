# SPDX-License-Identifier: Apache-2.0
"""KSM as balancing drives it, and hands off where another program does."""

import pytest

from nova_qos.agent.balance.merging import Merging
from nova_qos.agent.balance.thresholds import Thresholds
from nova_qos.core import errors
from tests.fakehost import FakeKsm

HOST_MIB = 10_000.0


def kernel(**files: str) -> FakeKsm:
    return FakeKsm({"run": "0", "pages_to_scan": "100", "sleep_millisecs": "20",
                    "pages_sharing": "0", **files})


def merging(ksm: FakeKsm, is_wanted: bool = True) -> Merging:
    return Merging(ksm, Thresholds(), is_wanted)


def test_it_merges_while_the_host_is_tense() -> None:
    ksm = kernel()
    mine = merging(ksm)
    mine.follow(0.0, False, HOST_MIB)
    assert ksm.files["run"] == "0"
    mine.follow(10.0, True, HOST_MIB)
    assert (ksm.files["run"], ksm.files["pages_to_scan"]) == ("1", "1300")
    # it gains nothing
    mine.follow(80.0, True, HOST_MIB)
    assert (ksm.files["run"], ksm.files["pages_to_scan"]) == ("0", "100")


def test_it_goes_on_while_it_gains() -> None:
    ksm = kernel()
    mine = merging(ksm)
    for minute in range(5):
        ksm.files["pages_sharing"] = str(minute * 10_000)
        mine.follow(61.0 * minute, True, HOST_MIB)
    assert ksm.files["run"] == "1"


def test_the_kernels_advisor_is_preferred() -> None:
    ksm = kernel(advisor_mode="none", advisor_max_cpu="70")
    merging(ksm).follow(0.0, True, HOST_MIB)
    assert (ksm.files["advisor_mode"], ksm.files["advisor_max_cpu"]) == ("scan-time", "20")
    assert ksm.files["pages_to_scan"] == "100"


@pytest.mark.parametrize("is_wanted", [True, False])
def test_what_runs_already_is_left_alone(is_wanted: bool) -> None:
    ksm = kernel(run="1")
    before = dict(ksm.files)
    mine = merging(ksm, is_wanted)
    for second in range(0, 2000, 100):
        mine.follow(float(second), True, HOST_MIB)
    assert ksm.files == before


def test_hands_off_once_another_program_writes(caplog: pytest.LogCaptureFixture) -> None:
    ksm = kernel()
    mine = merging(ksm)
    mine.follow(0.0, True, HOST_MIB)
    ksm.files["pages_to_scan"] = "64"
    for second in range(2, 3000, 100):
        mine.follow(float(second), True, HOST_MIB)
    assert (ksm.files["run"], ksm.files["pages_to_scan"]) == ("1", "64")
    assert caplog.text.count("Another program sets KSM") == 1


def test_a_kernel_that_refuses_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    class Refusing(FakeKsm):
        def write(self, values: object) -> None:
            raise errors.HostCannot("the agent may not write it")

    mine = merging(Refusing(kernel().files))
    for second in range(0, 2000, 100):
        mine.follow(float(second), True, HOST_MIB)
    assert caplog.text.count("the agent may not write it") == 1


def test_a_kernel_without_it(caplog: pytest.LogCaptureFixture) -> None:
    mine = merging(FakeKsm({}))
    mine.follow(0.0, True, HOST_MIB)
    mine.follow(2.0, True, HOST_MIB)
    assert caplog.text.count("has no KSM") == 1
