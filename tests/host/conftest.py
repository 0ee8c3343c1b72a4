# SPDX-License-Identifier: Apache-2.0
"""One private libvirt for the whole run; nothing of it is left afterwards."""

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyroute2 import IPRoute, netns

from nova_qos.virt import events
from tools.bed import packages
from tools.bed.guest import GuestImages
from tools.bed.libvirtd import PrivateLibvirt

pytest.register_assert_rewrite(
    "tests.balance.comparison", "tests.balance.failures", "tests.balance.soak",
    "tests.contract.domain", "tests.contract.memory", "tests.host.bench")

from tests.host.bench import BRIDGE, OUTER, UPLINK, RealBench, RealServer  # noqa: E402

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
def images(_root: None) -> GuestImages:
    return GuestImages.build(_IMAGES)


@pytest.fixture(scope="session")
def _network(images: GuestImages) -> Iterator[None]:
    """A network namespace in which everything runs that this session starts from here on."""
    name = f"nova-qos-host-{uuid.uuid4().hex[:8]}"
    # made before: what is downloaded comes over the machine's own network
    netns.create(name)
    try:
        netns.pushns(name)
        with IPRoute() as ipr:
            ipr.link("add", ifname=UPLINK, kind="veth", peer={"ifname": OUTER})
            ipr.link("add", ifname=BRIDGE, kind="bridge")
            bridge = ipr.link_lookup(ifname=BRIDGE)[0]
            ipr.link("set", ifname=UPLINK, master=bridge)
            for device in ("lo", UPLINK, OUTER, BRIDGE):
                ipr.link("set", ifname=device, state="up")
        yield
    finally:
        netns.popns()
        netns.remove(name)


@pytest.fixture(scope="session")
def libvirt(_root: None, _network: None) -> Iterator[PrivateLibvirt]:
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
def event_loop() -> None:
    """libvirt's; before any connection is opened, or it has neither events nor keepalive."""
    events.run_loop()


@pytest.fixture(scope="session")
def huge_pages(_root: None) -> Iterator[None]:
    """Let huge pages be made on demand; those of other people are left alone. Only one process may
    ask for them at a time."""
    before = _HUGE_PAGES.read_text()
    _HUGE_PAGES.write_text(str(int(before) + _PINNED_GUEST_PAGES))
    yield
    _HUGE_PAGES.write_text(before)


@pytest.fixture(scope="session")
def bench(
    event_loop: None, libvirt: PrivateLibvirt, images: GuestImages
) -> Iterator[RealBench]:
    bench = RealBench(libvirt, images)
    yield bench
    bench.host.close()


@pytest.fixture
def server(bench: RealBench) -> RealServer:
    """A healthy server as nova would have started it."""
    return bench.server()
