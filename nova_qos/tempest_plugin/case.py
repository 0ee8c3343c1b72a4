# SPDX-License-Identifier: Apache-2.0
"""What the tests have in common: a server of their own, and an administrator beside its owner."""

import time
from collections.abc import Callable
from typing import Any

from tempest import config
from tempest.api.compute import base

from nova_qos.tempest_plugin.fault import fault_of

CONF = config.CONF
_PAUSE_S = 1


class QosTest(base.BaseV2ComputeAdminTest):
    """A test with a server that Tempest deletes afterwards, and the clients of two people."""

    #: Of the server's owner, and of an administrator.
    member: Any
    admin: Any
    server_id: str
    create_default_network = True

    @classmethod
    def skip_checks(cls) -> None:
        """Skip all where tempest.conf says that the cloud has no nova-qos."""
        super().skip_checks()
        if not CONF.service_available.nova_qos:
            raise cls.skipException("[service_available] nova_qos is false")

    @classmethod
    def setup_clients(cls) -> None:
        """Keep the two people's clients at hand."""
        super().setup_clients()
        cls.member = cls.os_primary.nova_qos.QosClient()
        cls.admin = cls.os_admin.nova_qos.QosClient()

    @classmethod
    def resource_setup(cls) -> None:
        """Create the server."""
        super().resource_setup()
        cls.server_id = cls.create_test_server(wait_until="ACTIVE")["id"]

    def reading(self, resource: str) -> dict[str, Any]:
        """What get-qos says of one resource of the server."""
        found: dict[str, Any] = self.admin.show_qos(self.server_id)[resource]
        return found

    def applied(self, resource: str) -> dict[str, Any]:
        """What get-qos says of a resource when it is no longer pending; in vain after
        ``[nova_qos] apply_timeout``."""
        give_up = time.monotonic() + CONF.nova_qos.apply_timeout
        while (found := self.reading(resource))["state"] == "pending":
            if time.monotonic() > give_up:
                self.fail(f"{resource} is still pending after {CONF.nova_qos.apply_timeout} s: "
                          f"{found['reason']}")
            time.sleep(_PAUSE_S)
        return found

    def require(self, resource: str) -> dict[str, Any]:
        """What get-qos says of a resource that the server's host supports; elsewhere the test is
        skipped, with the host's reason."""
        found = self.applied(resource)
        if found["state"] == "unsupported":
            raise self.skipException(f"the server's host does not support {resource}: "
                                     f"{found['reason']}")
        return found

    def refused(
        self, kind: type[Exception], code: int, call: Callable[..., object], *arguments: object,
        **more: object,
    ) -> str:
        """The message of a refusal, which is of this kind and has nova's form."""
        error: Any = self.assertRaises(kind, call, *arguments, **more)
        fault = fault_of(error.resp_body)
        self.assertEqual(code, fault.get("code"), error.resp_body)
        self.assertNotEqual("", fault.get("message", ""), error.resp_body)
        return str(fault["message"])
