# SPDX-License-Identifier: Apache-2.0
"""Warnings of --check, from messages as pyroute2 decodes them."""

from pathlib import Path

import pytest

from nova_qos.net import advice
from tests.unit.net.links import link


@pytest.mark.parametrize("kind", [None, "bond"])
def test_a_card_with_several_queues(kind: str | None) -> None:
    (said,) = advice.of_cards([link("nosuch0", kind, num_tx_queues=8)])
    assert said.startswith("uplink nosuch0 has 8 transmit queues: ")


def test_a_fast_card(tmp_path: Path) -> None:
    speeds = {"slow": "1000\n", "fast": "25000\n", "down": "-1\n"}
    for name, speed in speeds.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "speed").write_text(speed)
    cards = [link(name, num_tx_queues=1) for name in (*speeds, "unknown")]
    (said,) = advice.of_cards(cards, tmp_path)
    assert said.startswith("uplink fast has 25000 Mbit/s: ")


def test_what_is_no_card_may_have_queues() -> None:
    assert not list(advice.of_cards([link("veth0", "veth", num_tx_queues=8)]))


def test_devices_into_other_namespaces() -> None:
    own = link("veth0", "veth")
    assert not list(advice.of_strangers([own, link("eth0"), link("tap1", "tun")]))
    leading = [link(f"qr{number}", "veth", link_netnsid=number) for number in range(7)]
    (said,) = advice.of_strangers([own, *leading])
    assert said.startswith("qr0, qr1, qr2, qr3, qr4 and 2 more lead into other network namespaces")


def test_redirecting_devices() -> None:
    assert not list(advice.of_redirects([]))
    (said,) = advice.of_redirects([link("tap2"), link("tap1")])
    assert "packets from tap1, tap2 past nftables" in said
