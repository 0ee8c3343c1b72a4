# SPDX-License-Identifier: Apache-2.0
"""The panel as a Django application."""

from pathlib import Path

from django.apps import AppConfig
from django.conf import settings

_RULES = str(Path(__file__).with_name("policy"))


class QosConfig(AppConfig):
    """Tells Horizon the access rules of nova-qos, which it would else take to allow everything."""

    name = "nova_qos_dashboard"

    def ready(self) -> None:
        """Put our rules before those of the operator, which overrule them."""
        known = settings.POLICY_DIRS.get("compute", [])
        if _RULES not in known:
            settings.POLICY_DIRS = {**settings.POLICY_DIRS, "compute": [_RULES, *known]}
