# SPDX-License-Identifier: Apache-2.0
"""The panel in Horizon's menu."""

import horizon
from django.utils.translation import gettext_lazy as _

from nova_qos.resources import HOSTS_RULE


class Qos(horizon.Panel):
    """Admin > Compute > QoS."""

    name = _("QoS")
    slug = "qos"
    urls = "nova_qos_dashboard.urls"
    permissions = ("openstack.services.compute",)
    policy_rules = (("compute", HOSTS_RULE),)
