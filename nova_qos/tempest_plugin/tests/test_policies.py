# SPDX-License-Identifier: Apache-2.0
"""Named policies, where the cloud has a database for them; elsewhere the tests are skipped."""

from typing import Any

from tempest import config
from tempest.lib import decorators, exceptions
from tempest.lib.common.utils import data_utils, test_utils

from nova_qos.tempest_plugin.case import QosTest

CONF = config.CONF
_RESOURCE = "cpu_priority"


class PolicyTest(QosTest):
    """A policy from its creation to its end."""

    def setUp(self) -> None:
        """Skip where the API has no database for policies."""
        super().setUp()
        try:
            self.admin.list_policies()
        except exceptions.NotImplemented as error:
            raise self.skipException(f"this cloud has no named policies: {error}") from error

    def _policy(self) -> dict[str, Any]:
        name = data_utils.rand_name(prefix=CONF.resource_name_prefix, name="policy")
        made: dict[str, Any] = self.admin.create_policy(
            name=name, settings={_RESOURCE: CONF.nova_qos.cpu_priority})["policy"]
        self.addCleanup(
            test_utils.call_and_ignore_notfound_exc, self.admin.delete_policy, made["id"])
        return made

    @decorators.idempotent_id("4e9f60b5-2db9-4ee4-bf86-e4c8b30bdfba")
    def test_create_show_change_delete(self) -> None:
        """It is as it was created, a change gives it a new revision, and it can be deleted."""
        made = self._policy()
        self.assertEqual(1, made["revision"])
        self.assertEqual(made, self.admin.show_policy(made["id"])["policy"])
        listed = self.admin.list_policies(name=made["name"])["policies"]
        self.assertEqual([made["id"]], [each["id"] for each in listed])
        changed = self.admin.update_policy(made["id"], settings={_RESOURCE: 512})["policy"]
        self.assertEqual((2, {_RESOURCE: 512}), (changed["revision"], changed["settings"]))
        self.admin.delete_policy(made["id"])
        self.refused(exceptions.NotFound, 404, self.admin.show_policy, made["id"])

    @decorators.idempotent_id("5fa071c6-3eca-4ff5-8097-f5d9c41ce0cb")
    def test_a_server_gets_what_its_policy_says(self) -> None:
        """The host holds the policy's value, get-qos names the policy, and it cannot be deleted
        while the server has it."""
        self.require(_RESOURCE)
        made = self._policy()
        self.addCleanup(self.admin.set_qos, self.server_id, policy=None)
        self.admin.set_qos(self.server_id, policy=made["name"])
        found = self.applied(_RESOURCE)
        self.assertEqual(
            (CONF.nova_qos.cpu_priority, "applied", f"policy {made['name']}"),
            (found["applied"], found["state"], found["source"]))
        self.refused(exceptions.Conflict, 409, self.admin.delete_policy, made["id"])
        self.admin.set_qos(self.server_id, policy=None)
        self.assertNotEqual(found["source"], self.applied(_RESOURCE)["source"])
        self.admin.delete_policy(made["id"])

    @decorators.idempotent_id("60b182d7-4fdb-4006-91a8-06ead52df1dc")
    def test_a_member_may_not_create_policies(self) -> None:
        """Policies are the administrators'."""
        self.refused(
            exceptions.Forbidden, 403, self.member.create_policy,
            name=data_utils.rand_name(prefix=CONF.resource_name_prefix, name="policy"),
            settings={_RESOURCE: CONF.nova_qos.cpu_priority})
