# SPDX-License-Identifier: Apache-2.0
"""One private libvirt for the whole run; nothing of it is left afterwards."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed import packages
from testbed.guest import GuestImages
from testbed.libvirtd import PrivateLibvirt

pytest.register_assert_rewrite("tests.contract.domain", "tests.host.bench")

from tests.host.bench import RealBench, RealServer  # noqa: E402

_IMAGES = Path("/var/tmp/nova-qos-images")
_HUGE_PAGES = Path("/proc/sys/vm/nr_overcommit_hugepages")
_PINNED_GUEST_PAGES = 256 // 2
_PACKAGES = Path(packages.__file__).with_name("host.apt")


@pytest.fixture(scope="session", autouse=True)
def _root() -> None:
    if os.geteuid() != 0:
        pytest.skip("the host tests start a libvirt and real guests, which only root can do")
    absent = packages.missing(packages.read_list(_PACKAGES))
    if absent:
        pytest.fail(f"install these packages, or let tools/test.sh do it: {' '.join(absent)}")


@pytest.fixture(scope="session")
def libvirt(_root: None) -> Iterator[PrivateLibvirt]:
    # Not pytest's own directory: a socket's path must be short, and /tmp may not take direct I/O.
    state = Path(tempfile.mkdtemp(prefix="nova-qos-host-", dir="/var/tmp"))
    private = PrivateLibvirt(state)
    try:
        private.start()
        yield private
    finally:
        private.remove()
        shutil.rmtree(state)


@pytest.fixture(scope="session")
def _huge_pages(_root: None) -> Iterator[None]:
    """Let huge pages be made on demand; those of other people are left alone."""
    before = _HUGE_PAGES.read_text()
    _HUGE_PAGES.write_text(str(int(before) + _PINNED_GUEST_PAGES))
    yield
    _HUGE_PAGES.write_text(before)


@pytest.fixture(scope="session")
def bench(_huge_pages: None, libvirt: PrivateLibvirt) -> Iterator[RealBench]:
    bench = RealBench(libvirt, GuestImages.build(_IMAGES))
    yield bench
    bench.host.close()


@pytest.fixture
def server(bench: RealBench) -> RealServer:
    """A healthy server as nova would have started it."""
    return bench.server()
