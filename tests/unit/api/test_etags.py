# SPDX-License-Identifier: Apache-2.0
"""Conditions of requests, as callers and the proxies between write them."""

import pytest
from webob import Request

from nova_qos.api import etags
from nova_qos.core import errors
from nova_qos.core.policy import Catalog, Policy

GOLD = Policy(5, "gold", {}, revision=3)
CATALOG = Catalog("base", 40, {5: GOLD})


def request(**headers: str) -> Request:
    return Request.blank("/", headers={
        name.replace("_", "-"): value for name, value in headers.items()})


def test_of_the_catalog_and_of_one() -> None:
    assert etags.of_catalog(CATALOG) == "base-40"
    assert etags.of_policy(CATALOG, GOLD) == "base-3"
    assert etags.headers("base-3") == {"ETag": '"base-3"'}


@pytest.mark.parametrize("text", [
    '"base-3"', 'W/"base-3"', '"base-3-gzip"', 'W/"base-3;gzip"', '"x", "base-3"', "*", " * ",
    "base-3"])
def test_what_names_it(text: str) -> None:
    assert etags.is_known(request(If_None_Match=text), "base-3")
    assert etags.seen_by(request(If_Match=text), CATALOG, GOLD) == (
        None if "*" in text else 3)


@pytest.mark.parametrize("text", [
    "", '""', '"base-2"', '"base-31"', '"base-30", "base-2"', '"other-3"', '"3"', "3", '"*"',
    '"base-3', "gold", "\xff"])
def test_what_names_another(text: str) -> None:
    assert not etags.is_known(request(If_None_Match=text), "base-3")
    with pytest.raises(errors.PolicyChanged, match="policy gold has revision 3 by now"):
        etags.seen_by(request(If_Match=text), CATALOG, GOLD)


def test_without_a_condition() -> None:
    assert not etags.is_known(request(), "base-3")
    assert etags.seen_by(request(), CATALOG, GOLD) is None
