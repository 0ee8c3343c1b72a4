# SPDX-License-Identifier: Apache-2.0
"""The tab with all hosts."""

from typing import Any

from django.utils.translation import gettext_lazy as _
from horizon import tabs

from nova_qos_dashboard.cloud import Cloud
from nova_qos_dashboard.failing import Failing
from nova_qos_dashboard.hosts.rows import HostRow
from nova_qos_dashboard.hosts.tables import HostsTable


class HostsTab(Failing, tabs.TableTab):
    """The compute hosts; their counts come when the page is there."""

    name, slug, preload = _("Hosts"), "hosts", False
    table_classes = (HostsTable,)
    template_name = "nova_qos/table.html"

    def get_hosts_data(self) -> list[HostRow]:
        """The hosts with one request to nova."""
        return self.attempt(
            lambda: [HostRow(each) for each in Cloud(self.request).qos.hosts()], [])

    def get_context_data(self, request: Any, **kwargs: Any) -> dict[str, Any]:
        """With what went wrong."""
        return {**super().get_context_data(request, **kwargs), "failures": self.failures}
