# SPDX-License-Identifier: Apache-2.0
"""What a host says that it can do with network priorities, before anybody asks it to."""

import re
import socket
import sys

import pytest

from nova_qos.core import errors
from nova_qos.host import Ability
from nova_qos.net.htb import Trees
from nova_qos.net.netlink import Netlink
from nova_qos.net.outbound import Outbound
from tests.net.bench import QuietBench
from tests.net.conftest import MakeQuiet
from tests.net.picture import everything
from tests.net.test_others import FOREIGN


def survey(bench: QuietBench, *uplinks: str) -> Ability:
    """What a process beside the agent finds; it must leave no trace."""
    before = everything(bench.host)
    with bench.host.inside():
        found = Outbound(uplinks or bench.uplinks, 80, 50).abilities()["net_priority"]
    assert everything(bench.host) == before
    return found


def test_a_host_where_it_works(make_quiet: MakeQuiet) -> None:
    bench = make_quiet(2, "up0", "up1")
    assert str(survey(bench)) == "works (on uplink up0, up1)"


def test_while_the_agent_shapes(make_quiet: MakeQuiet) -> None:
    bench = make_quiet(2, "up0", "up1")
    bench.prioritize(0, 5)
    assert survey(bench).works


def test_an_uplink_that_is_not_there(make_quiet: MakeQuiet) -> None:
    bench = make_quiet(1)
    assert str(survey(bench, "up0", "up7")) == (
        "works without effect because there is no uplink up7 on this host now")
    assert str(survey(bench, "up7")) == (
        "cannot because there is no uplink up7 on this host now")


BRIDGES = (
    "link add br7 type bridge", "link add link br7 name upper7 type macvlan",
    "link add link up0 name upper0 type macvlan")


@pytest.mark.parametrize(
    ("uplink", "said"),
    [
        ("br7", "br7 is a bridge: what a bridge forwards"),
        ("upper7", "upper7 lies on bridge br7: what a bridge forwards"),
        ("lo", "no packet leaves the host through lo; name a network card"),
    ])
def test_an_uplink_whose_queue_packets_do_not_pass(
    make_quiet: MakeQuiet, uplink: str, said: str
) -> None:
    bench = make_quiet(1)
    bench.host.ip(*BRIDGES)
    assert survey(bench, "upper0").works
    found = survey(bench, "up0", uplink)
    assert str(found).startswith(f"works without effect because {said}")
    bench.uplinks = (uplink,)
    bench.restart_agent()
    bench.prioritize(0, 5)
    reading = bench.reading(0)
    assert (reading.applied, reading.effective) == (5, False)
    assert (reading.reason or "").startswith(said)


def test_no_uplink_known(make_quiet: MakeQuiet) -> None:
    bench = make_quiet(1)
    with bench.host.inside():
        found = Outbound((), 80, 50).abilities()["net_priority"]
    assert str(found).startswith("cannot because found no uplink")


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("rule add fwmark 0x1/0x1 lookup 100 priority 7", r"'ip rule' 7 .*0x1/0x1.* without 0x1$"),
        ("-6 rule add fwmark 0x2000/0x3000 lookup 100 priority 7",
         r"'ip -6 rule' 7 .*0x2000/0x3000.* without 0x1000$"),
        ("rule add not fwmark 0xca6c lookup 100 priority 7",
         r"0xca6c/0xffffffff.* without 0x1fff$"),
        ("rule add fwmark 0x80000/0xff0000 lookup 100", None),
        ("rule add fwmark 0x8000/0xc000 lookup 100", None),
    ])
def test_routing_rules_that_look_at_our_bits(
    make_quiet: MakeQuiet, rule: str, said: str | None
) -> None:
    bench = make_quiet(1)
    bench.host.run("ip", *rule.split())
    found = survey(bench)
    assert found.works
    assert len(found.warnings) == (said is not None)
    assert re.search(said or "", "".join(found.warnings))


@pytest.mark.parametrize("owner", FOREIGN)
def test_an_uplink_of_somebody_else(make_quiet: MakeQuiet, owner: str) -> None:
    bench = make_quiet(1)
    lines = "\n".join(line.format("up0") for line in FOREIGN[owner])
    bench.host.run("tc", "-batch", "-", text=f"{lines}\n")
    found = survey(bench)
    assert owner in (found.cannot or "")
    assert "[nova_qos] uplinks" in (found.cannot or "")


def test_a_kernel_without_such_a_discipline(make_quiet: MakeQuiet) -> None:
    bench = make_quiet(1)
    before = everything(bench.host)
    with bench.host.inside(), Netlink() as kernel:
        trees, device = Trees(kernel), socket.if_nametoindex("up0")
        trees.require_kind(device, "htb")
        with pytest.raises(errors.HostCannot, match="load the module sch_nosuch"):
            trees.require_kind(device, "nosuch")
    assert everything(bench.host) == before


def test_without_the_right_to(make_quiet: MakeQuiet) -> None:
    bench = make_quiet(1)
    survey = (
        "from nova_qos.net.outbound import Outbound; "
        "print(Outbound(['up0'], 80, 50).abilities()['net_priority'])")
    said = bench.host.run(
        "setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-net_admin",
        sys.executable, "-c", survey)
    assert said.strip() == (
        "cannot because the agent may not change the network: it needs the capability "
        "CAP_NET_ADMIN")
