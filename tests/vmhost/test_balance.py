# SPDX-License-Identifier: Apache-2.0
"""The same as in tests/host on a whole host, whose memory itself is scarce, and with KSM, which is
the whole machine's."""

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.balance import soak
from tests.balance.comparison import compared
from tests.balance.failures import CALM_S, SOON_S, Failures, tense, wait
from tests.vmhost.kvm import kvm
from tests.vmhost.servers import IMAGES, SystemLibvirt
from tests.vmhost.whole_host import WholeHost
from tools.bed.balance.overcommitted import Overcommitted
from tools.bed.balance.plays import VIRTUAL, VIRTUAL_REDUCED
from tools.bed.balance.scarce import in_use
from tools.bed.balance.site import Site
from tools.bed.domain import Shape
from tools.bed.guest import GuestImages

IS_REDUCED = os.environ.get("NOVA_QOS_TEST_SIZE") == "reduced"
SIZE = VIRTUAL_REDUCED if IS_REDUCED else VIRTUAL
SOAK_S = soak.seconds(60 if IS_REDUCED else 300)
_SWAP_MIB = 2048
#: What a guest may compute, of one processor: without that, guests leave no processor time to their
#: QEMUs, which then look as if they hung.
_VCPU_PERCENT = 40
#: A look costs an emulated processor ten times and more what it costs a real one.
SELDOM = {"tense_look_s": 6.0, "tense_report_s": 5}
KSM = Path("/sys/kernel/mm/ksm")

pytestmark = pytest.mark.timeout(int(2 * SOAK_S) + 2400)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with kvm(), tempfile.TemporaryDirectory(prefix="balance-", dir="/var/tmp") as place:
        scarce = WholeHost(Path(place) / "swap", _SWAP_MIB)
        libvirt = SystemLibvirt(Path(place))
        with in_use(scarce):
            try:
                host = Overcommitted(libvirt, GuestImages.build(IMAGES), SIZE.parts, SIZE.pace,
                                     scarce, Shape(kvm=True))
                host.start()
                for name in host.guests:
                    libvirt.virsh("schedinfo", name, "--live",
                                  f"vcpu_quota={_VCPU_PERCENT * 1000}", "vcpu_period=100000")
                yield Site(Path(place), host, **SELDOM)
            finally:
                libvirt.destroy_domains()


def test_the_host_swaps_less_and_guests_do_more(site: Site) -> None:
    compared(site, SIZE)


@pytest.fixture(scope="class")
def _tense(site: Site) -> Iterator[None]:
    with tense(site, SIZE.available_mib):
        yield


@pytest.mark.usefixtures("_tense")
class TestMerging:
    def test_samepage_merging_is_ours_until_another_sets_it(self, site: Site) -> None:
        before = ksm()
        assert before["run"] == "0"
        # no gain is enough: it is stopped as soon as it was measured
        seldom = {"mode": "on", "ksm": "adaptive", "ksm_measure_s": 10, "ksm_gain_percent": 100.0}
        try:
            with site.balancing(**seldom):
                wait(lambda: ksm()["run"] == "1", CALM_S, ksm)
                assert ksm()["pages_to_scan"] == "1300"
                wait(lambda: ksm() == before, SOON_S, ksm)
            with site.balancing(**seldom):
                wait(lambda: ksm()["run"] == "1", CALM_S, ksm)
                (KSM / "pages_to_scan").write_text("200")
                time.sleep(30)
                assert (ksm()["run"], ksm()["pages_to_scan"]) == ("1", "200")
        finally:
            for name, value in before.items():
                (KSM / name).write_text(value)


@pytest.mark.usefixtures("_tense")
class TestFailures(Failures):
    pass


def test_nothing_is_lost(site: Site) -> None:
    soak.nothing_is_lost(site, SOAK_S, SIZE.available_mib)


def ksm() -> dict[str, str]:
    """Of KSM, what balancing sets."""
    return {name: (KSM / name).read_text().strip()
            for name in ("pages_to_scan", "sleep_millisecs", "run")}
