# SPDX-License-Identifier: Apache-2.0
"""The tab with all policies."""

from typing import Any

from django.utils.translation import gettext_lazy as _
from horizon import tabs

from nova_qos_dashboard.cloud import Cloud, projects
from nova_qos_dashboard.failing import Failing
from nova_qos_dashboard.policies.rows import PolicyRow
from nova_qos_dashboard.policies.tables import PoliciesTable


class PoliciesTab(Failing, tabs.TableTab):
    """The policies, requested when somebody looks at them."""

    name, slug, preload = _("Policies"), "policies", False
    table_classes = (PoliciesTable,)
    template_name = "nova_qos/table.html"
    policy_rules = (("compute", "os_compute_api:os-qos:policies:get"),)

    def get_policies_data(self) -> list[PolicyRow]:
        """All of them."""
        return self.attempt(
            lambda: [PolicyRow(each, projects(self.request))
                     for each in Cloud(self.request).policies.list()], [])

    def get_context_data(self, request: Any, **kwargs: Any) -> dict[str, Any]:
        """With what went wrong."""
        return {**super().get_context_data(request, **kwargs), "failures": self.failures}
