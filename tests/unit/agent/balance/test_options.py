# SPDX-License-Identifier: Apache-2.0
"""Every threshold of the rule is an option, with the rule's default."""

from dataclasses import fields

from oslo_config import cfg

from nova_qos import balance_options
from nova_qos.agent.balance.thresholds import Thresholds

#: What nova.conf says elsewhere.
NOVAS = {"calm_report_s"}


def options() -> cfg.ConfigOpts:
    found = cfg.ConfigOpts()
    found([])
    found.register_opts(balance_options.OPTIONS, group=balance_options.GROUP)
    return found


def test_the_defaults_are_the_rules() -> None:
    assert balance_options.thresholds_of(options(), Thresholds().calm_report_s) == Thresholds()


def test_nothing_else_is_a_threshold() -> None:
    names = {each.name for each in balance_options.OPTIONS}
    assert names - {"mode", "ksm", "memory_mib"} == (
        {each.name for each in fields(Thresholds)} - NOVAS)


def test_each_has_a_range_and_says_what_it_does() -> None:
    for each in balance_options.OPTIONS:
        assert each.help
        if each.name not in ("mode", "ksm"):
            assert each.type.min is not None, each.name
            assert each.type.max is not None or each.name == "memory_mib", each.name


def test_nova_may_have_no_reports_at_all() -> None:
    assert balance_options.thresholds_of(options(), 0).calm_report_s == 1
