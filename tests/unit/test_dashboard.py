# SPDX-License-Identifier: Apache-2.0
"""What the panel has from elsewhere, as far as that needs no Horizon."""

from pathlib import Path

import yaml

from nova_qos.api.rules import list_rules

DASHBOARD = Path(__file__).parents[2] / "nova_qos_dashboard"


def test_it_has_the_access_rules_as_nova_has_them() -> None:
    rules = yaml.safe_load((DASHBOARD / "nova_qos_dashboard/policy/nova-qos.yaml").read_text())
    assert rules == {rule.name: rule.check_str for rule in list_rules()}


def test_it_has_no_scripts_and_styles_of_its_own() -> None:
    """They would have to be compressed before any page of Horizon is shown."""
    templates = list((DASHBOARD / "nova_qos_dashboard/templates").rglob("*.html"))
    assert templates
    assert not [path for path in DASHBOARD.rglob("*") if path.suffix in (".js", ".scss", ".css")]
    assert not [path for path in templates if "<script" in path.read_text()]


def test_every_word_of_a_page_can_be_translated() -> None:
    """Templates that show words load what translates them."""
    for path in (DASHBOARD / "nova_qos_dashboard/templates").rglob("*.html"):
        text = path.read_text()
        assert ("{% trans" in text or "{% blocktrans" in text) == ("load i18n" in text), path
