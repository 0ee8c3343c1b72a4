# SPDX-License-Identifier: Apache-2.0
"""What others have made of tc and nftables on the host stays as it is."""

import pytest

from nova_qos.core import errors
from nova_qos.core.units import UNLIMITED
from nova_qos.net.choice import ChoiceTable
from tests.net.conftest import MakeQuiet
from tests.net.picture import disciplines, everything, look, root, shown, tables
from tools.bed.namespace import Namespace
from tools.bed.site import UPLINK

THEIR_TABLE = """\
table netdev theirs {
    chain marks {
        type filter hook ingress device "tap0" priority 0
        meta mark set 7
    }
}
"""


FOREIGN = {
    "Open vSwitch": (
        "qdisc add dev {} root handle 1: htb default 1",
        "class add dev {} parent 1: classid 1:fffe htb rate 1gbit ceil 1gbit",
        "class add dev {} parent 1:fffe classid 1:1 htb rate 10mbit ceil 1gbit",
    ),
    "libvirt": (
        "qdisc add dev {} root handle 1: htb default 1",
        "class add dev {} parent 1: classid 1:1 htb rate 1gbit ceil 1gbit",
        "class add dev {} parent 1:1 classid 1:2 htb rate 10mbit ceil 1gbit",
        "qdisc add dev {} parent 1:2 handle 2: bfifo limit 100000",
    ),
    "administrator": ("qdisc add dev {} root tbf rate 100mbit burst 10000 limit 100000",),
    "another program": ("qdisc add dev {} root handle 5ca1: bfifo",),
}


@pytest.mark.parametrize("owner", FOREIGN)
def test_what_others_have_made_is_left_alone(make_quiet: MakeQuiet, owner: str) -> None:
    bench = make_quiet(2, "up0", "up1")
    _tc(bench.host, *(line.format("up1") for line in FOREIGN[owner]))
    before = everything(bench.host)
    with pytest.raises(errors.HostCannot, match=owner) as refused:
        bench.prioritize(0, 5)
    assert "up1" in refused.value.message
    assert everything(bench.host) == before


@pytest.mark.parametrize("owner", FOREIGN)
def test_uplink_taken_from_us(make_quiet: MakeQuiet, owner: str) -> None:
    """Nothing of ours is left behind, nor on the other uplink; and all comes back after that."""
    bench = make_quiet(2, "up0", "up1")
    bench.prioritize(0, 5)
    wanted = look(bench)
    _tc(bench.host, "qdisc del dev up1 root", *(line.format("up1") for line in FOREIGN[owner]))
    theirs = shown(bench.host, "up1")
    with pytest.raises(errors.HostCannot, match=owner):
        bench.prioritize(1, 6)
    with pytest.raises(errors.HostCannot, match=owner):
        bench.tidy()
    assert shown(bench.host, "up1") == theirs
    assert root(bench.host, "up0") == "noqueue 0:"
    assert tables(bench.host) == []
    _tc(bench.host, "qdisc del dev up1 root")
    bench.tidy()
    assert look(bench) == wanted


def test_ingress_of_others_is_not_touched(make_quiet: MakeQuiet) -> None:
    """As libvirt's <bandwidth> and Open vSwitch's policing have them."""
    bench = make_quiet(2)
    everything = "protocol all prio 1 u32 match u32 0 0 flowid :7"
    _tc(bench.host,
        "qdisc add dev tap0 ingress", f"filter add dev tap0 parent ffff: {everything}",
        "qdisc add dev tap1 clsact", f"filter add dev tap1 ingress {everything}",
        f"qdisc add dev {UPLINK} clsact", f"filter add dev {UPLINK} egress {everything}")
    bench.host.run("nft", "-f", "-", text=THEIR_TABLE)

    def theirs() -> list[str]:
        device = {"tap0": "ffff:", "tap1": "ffff:fff2", UPLINK: "ffff:fff3"}
        return [
            *(line for line in disciplines(bench.host) if "ingress" in line or "clsact" in line),
            *(bench.host.run("tc", "filter", "show", "dev", name, "parent", parent)
              for name, parent in device.items()),
            bench.host.run("nft", "list", "table", "netdev", "theirs"),
        ]

    before = theirs()
    assert sum("flowid :7" in each for each in before) == 3
    bench.prioritize(0, 5)
    bench.prioritize(1, 6)
    assert len(look(bench).chains) == 3
    assert theirs() == before
    bench.prioritize(0, UNLIMITED)
    bench.tidy()
    bench.prioritize(1, UNLIMITED)
    assert theirs() == before
    assert tables(bench.host) == ["netdev theirs"]


def _tc(host: Namespace, *lines: str) -> None:
    host.run("tc", "-batch", "-", text="\n".join(lines) + "\n")


def test_rules_are_listed_again_when_somebody_has_changed_any(
    make_quiet: MakeQuiet, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make_quiet(3)
    bench.prioritize(0, 5)
    listed: list[int] = []
    really = ChoiceTable._listed
    monkeypatch.setattr(ChoiceTable, "_listed", lambda self: listed.append(1) or really(self))
    for priority in (6, 7):
        bench.prioritize(0, priority)
        assert bench.reading(0).applied == priority
    assert listed == []
    index = bench.host.run("cat", "/sys/class/net/tap0/ifindex").strip()
    bench.host.run("nft", "flush", "chain", "netdev", "nova_qos", f"tap{index}")
    assert not bench.reading(0).effective
    assert listed == [1]
    bench.tidy()
    assert bench.reading(0).effective
