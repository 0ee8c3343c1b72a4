# SPDX-License-Identifier: Apache-2.0
"""KSM's files, as they are read and written."""

from pathlib import Path

import pytest

from nova_qos.core import errors
from nova_qos.virt.ksm import KernelKsm


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for name, text in {"run": "0\n", "pages_to_scan": "100\n",
                       "advisor_mode": "[none] scan-time\n"}.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def test_of_a_choice_the_chosen_is_read(place: Path) -> None:
    assert KernelKsm(place).read() == {"run": "0", "pages_to_scan": "100", "advisor_mode": "none"}


def test_what_is_written(place: Path) -> None:
    KernelKsm(place).write({"pages_to_scan": "1300", "run": "1"})
    assert (place / "run").read_text() == "1"
    assert (place / "pages_to_scan").read_text() == "1300"


def test_a_kernel_without_it(tmp_path: Path) -> None:
    with pytest.raises(errors.HostCannot, match="CONFIG_KSM"):
        KernelKsm(tmp_path / "ksm").read()


def test_a_file_that_does_not_take_it(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with pytest.raises(errors.HostRefused, match="does not take 1"):
        KernelKsm(tmp_path).write({"run": "1"})


def test_the_kernels_own_files_can_be_read() -> None:
    try:
        files = KernelKsm().read()
    except errors.HostCannot:
        assert not Path("/sys/kernel/mm/ksm").exists()
    else:
        assert files["run"] in ("0", "1", "2")
