# SPDX-License-Identifier: Apache-2.0
"""The first page: hosts, and named policies."""

from django.utils.translation import gettext_lazy as _
from horizon import tabs

from nova_qos_dashboard.hosts.tab import HostsTab
from nova_qos_dashboard.policies.tab import PoliciesTab


class QosTabs(tabs.TabGroup):
    """Hosts and policies."""

    slug = "qos"
    tabs = (HostsTab, PoliciesTab)
    sticky = True


class IndexView(tabs.TabbedTableView):
    """Both tabs."""

    tab_group_class = QosTabs
    template_name = "nova_qos/index.html"
    page_title = _("QoS")
