# SPDX-License-Identifier: Apache-2.0
"""nova as the person sees it who is logged in."""

from collections.abc import Iterator, Mapping
from typing import Any

from django.conf import settings
from horizon import exceptions as horizon
from horizon.utils.memoized import memoized
from keystoneauth1 import adapter, session, token_endpoint
from keystoneauth1 import exceptions as connection
from openstack_dashboard.api import base, keystone

from nova_qos.client import Client
from nova_qos.client_policies import Policies
from nova_qos.core import errors
from nova_qos.core.policy import NONE_NAME
from nova_qos.core.server import FLAVOR_POLICY
from nova_qos.dry_run.cloud import Facts, Place

#: All that can go wrong between a page and the cloud.
FAILURES = (errors.QosError, connection.ClientException, horizon.ServiceCatalogException)
#: A set of memory waits for the guest, and the API for the agent.
_TIMEOUT_S = 120
#: From here on, nova's lists have the flavor with its extra specs.
_MICROVERSION = "2.47"
_NOT_CONFIGURED, _LOGGED_OUT = 501, 401


class Cloud:
    """Asks nova with the token of a request; what dry runs ask of a cloud, too."""

    def __init__(self, request: Any) -> None:
        self._compute = _adapter(request)
        self.qos, self.policies = Client(self._compute), Policies(self._compute)

    @property
    def has_policies(self) -> bool:
        """Whether this cloud keeps policies, though their database may not answer now."""
        try:
            self.policies.list(NONE_NAME)
        except errors.NotInstalled:
            return False
        except errors.ApiRefused as error:
            return error.status != _NOT_CONFIGURED
        return True

    def places(self, **query: Any) -> Iterator[Place]:
        """Where the servers of all projects are, or those that a query of nova's list selects."""
        for each in self._servers(**query):
            yield Place(each["id"], each["name"], each.get("OS-EXT-SRV-ATTR:host"),
                        each["status"] == "ACTIVE", _flavor_policy(each))

    def facts(self, host: str) -> Mapping[str, Facts]:
        """Of the servers of a compute host by id, what nova knows of them."""
        return {each["id"]: Facts(each["tenant_id"], _flavor_policy(each))
                for each in self._servers(compute_host=host)}

    def _servers(self, **query: Any) -> Iterator[dict[str, Any]]:
        asked = {{"compute_host": "host"}.get(name, name): value for name, value in query.items()}
        asked["all_tenants"] = "1"
        while True:
            page = self._compute.get(
                "/servers/detail", params=asked, microversion=_MICROVERSION).json()
            yield from page["servers"]
            if not (page["servers"] and page.get("servers_links")):
                return
            asked["marker"] = page["servers"][-1]["id"]


def _flavor_policy(server: Mapping[str, Any]) -> str | None:
    return server["flavor"].get("extra_specs", {}).get(FLAVOR_POLICY) or None


def _adapter(request: Any) -> adapter.Adapter:
    url = base.url_for(request, "compute")
    verify = False if settings.OPENSTACK_SSL_NO_VERIFY else settings.OPENSTACK_SSL_CACERT or True
    auth = token_endpoint.Token(url, request.user.token.id)
    return adapter.Adapter(
        session.Session(auth=auth, verify=verify, timeout=_TIMEOUT_S), service_type="compute",
        endpoint_override=url, user_agent="nova-qos-dashboard")


@memoized
def projects(request: Any) -> dict[str, str]:
    """The names of projects by id, as far as keystone tells them."""
    try:
        found, _ = keystone.tenant_list(request)
    except Exception:  # noqa: BLE001  # whatever is wrong with keystone, ids are shown
        return {}
    return {each.id: each.name for each in found}


def sentence(error: Exception) -> str:
    """A failure in one line.

    :raises NotAuthenticated: the person is logged in no longer
    """
    if isinstance(error, errors.ApiRefused) and error.status == _LOGGED_OUT:
        raise horizon.NotAuthenticated() from error
    return " ".join(str(error).split())
