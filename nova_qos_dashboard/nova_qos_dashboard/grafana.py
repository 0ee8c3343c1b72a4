# SPDX-License-Identifier: Apache-2.0
"""Links to Grafana, where a setting names it."""

from urllib.parse import quote

from django.conf import settings


def link(page: str, **named: str) -> str | None:
    """The address of a dashboard.

    ``NOVA_QOS_GRAFANA`` in Horizon's settings has one for the page "host" and one for "server",
    with {host} and {server} in the place of names, such as
    "https://grafana.example/d/nova-qos-host?var-instance={host}:9177".
    """
    address = getattr(settings, "NOVA_QOS_GRAFANA", {}).get(page)
    if address is None:
        return None
    for name, value in named.items():
        address = address.replace(f"{{{name}}}", quote(value, safe=""))
    return str(address)
