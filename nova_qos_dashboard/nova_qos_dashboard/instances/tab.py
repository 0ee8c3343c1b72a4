# SPDX-License-Identifier: Apache-2.0
"""The tab "QoS" on nova's own page of an instance."""

from typing import Any

from django.utils.translation import gettext_lazy as _
from horizon import tabs
from openstack_dashboard import policy

from nova_qos.client import Report
from nova_qos.resources import BY_FAMILY, TABLE
from nova_qos_dashboard import words
from nova_qos_dashboard.cloud import Cloud
from nova_qos_dashboard.failing import Failing
from nova_qos_dashboard.grafana import link
from nova_qos_dashboard.hosts.tables import SET_RULES, dialog
from nova_qos_dashboard.terms import term

_HOST = "OS-EXT-SRV-ATTR:host"


class QosTab(Failing, tabs.Tab):
    """What the server asks for and gets, to look at."""

    name, slug, preload = _("QoS"), "qos", False
    template_name = "nova_qos/instance.html"
    policy_rules = (("compute", TABLE["memory"].names.get_rule),)

    def allowed(self, request: Any) -> bool:
        """As nova decides it for the project of the server."""
        instance = self.tab_group.kwargs.get("instance")
        target = {"project_id": getattr(instance, "tenant_id", None)}
        return bool(policy.check(self.policy_rules, request, target))

    def get_context_data(self, request: Any, **kwargs: Any) -> dict[str, Any]:
        """All resources, or what went wrong."""
        instance = self.tab_group.kwargs["instance"]
        nothing: dict[str, Report] = {}
        report = self.attempt(lambda: Cloud(request).qos.get(instance.id), nothing)
        host = getattr(instance, _HOST, None) or None
        return {"rows": [_row(name, report[name]) for name in BY_FAMILY if name in report],
                "failures": self.failures, "instance": instance, "set_url": self.set_url(host),
                "grafana": link("server", server=instance.id, host=host or "")}

    def set_url(self, host: str | None) -> str | None:
        """The dialog; nobody but administrators has one."""
        return None


class AdminQosTab(QosTab):
    """With a way to the dialog that sets."""

    def set_url(self, host: str | None) -> str | None:
        """The dialog of the server on its host."""
        if host is None or not policy.check(SET_RULES, self.request):
            return None
        return dialog("set", host, [self.tab_group.kwargs["instance"].id])


def _row(name: str, report: Report) -> dict[str, Any]:
    row, state = TABLE[name], words.state_of(report)
    return {
        "title": words.title(row), "unit": term(row.unit.name), "source": words.source(report),
        "requested": words.figure(name, report["requested"]),
        "applied": words.figure(name, report["applied"]),
        "range": words.of(report["range"]).replace(" / ", " \N{EN DASH} "),
        "state": words.with_reason(words.STATES[state], report["reason"] or "")}
