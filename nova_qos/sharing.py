# SPDX-License-Identifier: Apache-2.0
"""Which part of a host each busy server gets, under its documented name; the rules are
``nova_qos.core.sharing``."""

from collections.abc import Mapping

from nova_qos.core.sharing import Claim, Rule, among_processors, in_proportion
from nova_qos.resources import TABLE

__all__ = ["RULES", "Claim", "Rule", "among_processors", "in_proportion"]

#: How each resource is divided that is divided at all.
RULES: Mapping[str, Rule] = {
    name: row.division.rule for name, row in TABLE.items() if row.division is not None}
