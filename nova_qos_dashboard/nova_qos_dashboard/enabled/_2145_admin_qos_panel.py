# SPDX-License-Identifier: Apache-2.0
"""Admin > Compute > QoS, below Instances; and a tab on the page of an instance. Copy this file into
openstack_dashboard/local/enabled."""

from keystoneauth1.exceptions import ClientException

from nova_qos.errors import QosError

PANEL = "qos"
PANEL_DASHBOARD = "admin"
PANEL_GROUP = "compute"
ADD_PANEL = "nova_qos_dashboard.panel.Qos"
ADD_INSTALLED_APPS = ["nova_qos_dashboard"]
ADD_EXCEPTIONS = {"recoverable": (QosError, ClientException)}
_INSTANCES = "openstack_dashboard.dashboards.{}.instances.tabs.{}"
EXTRA_TABS = {
    _INSTANCES.format("admin", "AdminInstanceDetailTabs"): (
        "nova_qos_dashboard.instances.tab.AdminQosTab",),
    _INSTANCES.format("project", "InstanceDetailTabs"): (
        "nova_qos_dashboard.instances.tab.QosTab",),
}
