# SPDX-License-Identifier: Apache-2.0
"""Mounting what is ours into nova's router: the only file that knows nova's internals.

nova has no API extensions any more; ``[app:osapi_compute_app_v21] paste.app_factory`` in
api-paste.ini is the seam left, and takes ``nova_qos.api.mount:Router.factory``.
"""

from nova_qos.api import releases

releases.check()  # before an import fails with a message that does not help an operator

from typing import Any  # noqa: E402

from nova import conf as nova_conf  # noqa: E402
from nova import policy  # noqa: E402
from nova.api.openstack import wsgi  # noqa: E402
from nova.api.openstack.compute import APIRouterV21  # noqa: E402
from nova.objects import fields  # noqa: E402

from nova_qos import conf  # noqa: E402
from nova_qos.api import rules  # noqa: E402
from nova_qos.api.actions import controllers  # noqa: E402
from nova_qos.api.catalog import store  # noqa: E402
from nova_qos.api.hosts import HostList  # noqa: E402
from nova_qos.api.listing import ServerList  # noqa: E402
from nova_qos.api.many import ManyServers  # noqa: E402
from nova_qos.api.policies import ROUTES, Policies  # noqa: E402
from nova_qos.bus import wire  # noqa: E402
from nova_qos.core import errors  # noqa: E402
from nova_qos.resources import HOSTS_PATH, LIST_PATH  # noqa: E402

_ACTION_PATH = "/servers/{id}/action"
_novas_source_of = fields.NotificationSource.get_source_by_binary


class Router(APIRouterV21):
    """nova's compute API with our server actions, lists and policies."""

    def __init__(self) -> None:
        conf.register(nova_conf.CONF)
        super().__init__()
        _register_rules()
        fields.NotificationSource.get_source_by_binary = staticmethod(_source_of)
        resource = _servers_resource(self.map.matchlist)
        for controller in controllers():
            resource.register_subcontroller_actions(controller)
        self.map.create_route(LIST_PATH, "GET", wsgi.Resource(ServerList()), "index")
        self.map.create_route(LIST_PATH, "POST", wsgi.Resource(ManyServers()), "create")
        self.map.create_route(HOSTS_PATH, "GET", wsgi.Resource(HostList()), "index")
        # made before requests come, so that there is one
        store()
        policies = wsgi.Resource(Policies())
        for path, verb, method in ROUTES:
            self.map.create_route(path, verb, policies, method)


def _register_rules() -> None:
    policy.init()
    # not policy.get_enforcer(): made for the generators, it parses the configuration anew and
    # so forgets the files that the service was started with
    enforcer = policy._ENFORCER
    # paste makes a router for /v2 and one for /v2.1 in each process
    known = enforcer.registered_rules
    enforcer.register_defaults([r for r in rules.list_rules() if r.name not in known])


def _source_of(binary: str) -> str:
    """Nova's notifications know nova's own services only: it would take an agent out of its list
    and then answer 500. An agent is announced as the nova-compute that it runs beside."""
    source: str = _novas_source_of("nova-compute" if binary == wire.TOPIC else binary)
    return source


def _servers_resource(routes: list[Any]) -> wsgi.Resource:
    for route in routes:
        path = route.routepath
        if path.endswith(_ACTION_PATH) and "/os-volumes_boot/" not in path:
            return route.defaults["controller"]
    raise errors.UnknownNova(f"nova's router has no route {_ACTION_PATH} for us to mount on")
