# SPDX-License-Identifier: Apache-2.0
"""Post-create hooks: what an installed package wants a new server to have.

A hook is a class of the entry point group ``nova_qos.post_create``, made when the agent starts with
its configuration. What is made of it is called once for each new server, with what the server is,
and returns settings by resource name, in the API's units.
"""

import threading
from collections.abc import Callable, Mapping
from typing import Any

from oslo_config import cfg
from oslo_log import log
from stevedore import ExtensionManager

from nova_qos.agent import hold
from nova_qos.core import desired, errors
from nova_qos.core.server import NewServer
from nova_qos.host import Domain
from nova_qos.resources import TABLE

LOG = log.getLogger(__name__)
GROUP = "nova_qos.post_create"

Hook = Callable[[NewServer], Mapping[str, int]]


class Hooks:
    """All hooks by name. One that raises or hangs harms nobody."""

    def __init__(self, hooks: Mapping[str, Hook], options: cfg.ConfigOpts) -> None:
        self._hooks = hooks
        self._options = options

    @classmethod
    def installed(cls, options: cfg.ConfigOpts) -> "Hooks":
        """Those that installed packages bring; one that cannot be loaded is logged.

        :raises oslo_config.cfg.Error: a hook does not accept its options
        """
        def complain(_manager: object, entry_point: object, error: BaseException) -> None:
            LOG.error("Could not load post-create hook %s: %s", entry_point, error)

        manager: ExtensionManager[Any] = ExtensionManager(
            GROUP, on_load_failure_callback=complain)
        hooks: dict[str, Hook] = {}
        for each in manager:
            try:
                hooks[each.name] = each.plugin(options)
            except cfg.Error:
                raise
            except Exception:
                LOG.exception("Could not create post-create hook %s", each.name)
        return cls(hooks, options)

    def __bool__(self) -> bool:
        return bool(self._hooks)

    def settings(
        self, server: NewServer, domain: Domain, own: Mapping[str, int]
    ) -> dict[str, int | None]:
        """What all hooks together want, as far as the server can have it; the first one that
        names a resource decides.

        :param own: what the server has been set to already, which hooks must not contradict
        """
        wanted: dict[str, int | None] = {}
        for name, hook in self._hooks.items():
            for resource, value in self._call(name, hook, server).items():
                if resource not in wanted and _is_possible(
                        name, server, domain, {**wanted, **own}, resource, value):
                    wanted[resource] = TABLE[resource].check(value, server.flavor)
        return wanted

    def _call(self, name: str, hook: Hook, server: NewServer) -> Mapping[str, int]:
        answers: list[Mapping[str, int]] = []

        def call() -> None:
            try:
                answers.append(dict(hook(server)))
            except Exception:
                LOG.exception("Post-create hook %s failed for server %s", name, server.uuid)

        thread = threading.Thread(target=call, name=f"qos-hook-{name}", daemon=True)
        thread.start()
        thread.join(self._options.nova_qos.hook_timeout)
        if thread.is_alive():
            LOG.error("Post-create hook %s did not finish in time for server %s", name,
                      server.uuid)
        return answers[0] if answers else {}


def _is_possible(
    hook: str, server: NewServer, domain: Domain, beside: Mapping[str, int | None], resource: str,
    value: object,
) -> bool:
    try:
        if resource not in TABLE:
            raise errors.InvalidSetting(f"no such resource: {resource}")
        checked = TABLE[resource].check(value, server.flavor, resource)
        together = {**beside, resource: beside.get(resource) or checked}
        desired.require_order(
            TABLE, {name: each for name, each in together.items() if each is not None})
        reading = hold.read(domain, [resource])[resource]
        if reading.unmet == "unsupported":
            raise errors.HostCannot(str(reading.reason))
    except errors.QosError as error:
        LOG.warning("Ignored the value of post-create hook %s for %s of server %s: %s", hook,
                    resource, server.uuid, error.message)
        return False
    return True
