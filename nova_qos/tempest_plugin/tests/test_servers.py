# SPDX-License-Identifier: Apache-2.0
"""Settings of a server: get, set, unset and refusals."""

from tempest import config
from tempest.lib import decorators, exceptions
from tempest.lib.common.utils import data_utils

from nova_qos.resources import FIRST, SET_ALL, TABLE
from nova_qos.tempest_plugin.case import QosTest

CONF = config.CONF
_RESOURCE = "cpu_priority"
_NAMES = TABLE[_RESOURCE].names
_FIELDS = {"requested", "applied", "unit", "range", "default", "state", "effective", "reason"}


class ServerQosTest(QosTest):
    """What somebody asks for a server, and what its host says of it."""

    @decorators.idempotent_id("5c9a2f14-7f0e-4b61-9c0d-2a8f7f3f6b11")
    def test_a_member_gets_all_resources(self) -> None:
        """get-qos has every resource that every release knows, with its documented fields."""
        answer = self.member.show_qos(self.server_id)
        for name in FIRST:
            self.assertIn(name, answer)
            self.assertEqual(set(), _FIELDS - set(answer[name]), name)

    @decorators.idempotent_id("8e1d3b70-0a44-4a52-8e1c-9d2b60c5d7a2")
    def test_an_administrator_sets_and_unsets_cpu_priority(self) -> None:
        """A setting reaches the host, is read back from there, and is gone when unset."""
        before, wanted = self.require(_RESOURCE), CONF.nova_qos.cpu_priority
        self.addCleanup(self.admin.set_qos, self.server_id, **{_RESOURCE: None})
        answer = self.admin.act(self.server_id, _NAMES.set_action, {_NAMES.key: wanted})
        if answer.response.status == 200:
            self.assertEqual({_NAMES.key: wanted}, dict(answer))
        during = self.applied(_RESOURCE)
        self.assertEqual((wanted, wanted, "applied", "server"), tuple(
            during[each] for each in ("requested", "applied", "state", "source")))
        self.admin.set_qos(self.server_id, **{_RESOURCE: None})
        after = self.applied(_RESOURCE)
        for field in ("requested", "applied", "state", "source"):
            self.assertEqual(before[field], after[field], field)

    @decorators.idempotent_id("b2f6c7c4-53f5-4a0d-8a49-1f3a7e9b0c43")
    def test_a_bad_value_changes_nothing(self) -> None:
        """The answer to a value out of range is 400, and names the field and the range."""
        before = self.reading(_RESOURCE)
        message = self.refused(
            exceptions.BadRequest, 400, self.admin.act, self.server_id, _NAMES.set_action,
            {_NAMES.key: 1})
        self.assertIn(_NAMES.key, message)
        self.assertIn("262144", message)
        self.assertEqual(before["requested"], self.reading(_RESOURCE)["requested"])

    @decorators.idempotent_id("d07a9a35-4e3b-4c1e-b6a4-60d4d1f8e254")
    def test_one_bad_value_of_two_saves_neither(self) -> None:
        """A request that names an unknown resource is answered 400 as a whole."""
        before = self.reading(_RESOURCE)
        self.refused(
            exceptions.BadRequest, 400, self.admin.act, self.server_id, SET_ALL,
            {_RESOURCE: CONF.nova_qos.cpu_priority, "no_such_resource": 1})
        self.assertEqual(before["requested"], self.reading(_RESOURCE)["requested"])

    @decorators.idempotent_id("e93c5b0b-1c3d-4f8f-a2a6-7c8b0b4d9f65")
    def test_a_member_may_not_set(self) -> None:
        """Access rules let administrators set, unless the cloud has changed them."""
        before = self.reading(_RESOURCE)
        self.refused(
            exceptions.Forbidden, 403, self.member.act, self.server_id, _NAMES.set_action,
            {_NAMES.key: CONF.nova_qos.cpu_priority})
        self.assertEqual(before["requested"], self.reading(_RESOURCE)["requested"])

    @decorators.idempotent_id("f4b8e2d1-6d55-4c29-b7e3-8a1d9c2e0a76")
    def test_an_unknown_server_is_not_found(self) -> None:
        """The answer for a server that does not exist is 404."""
        self.refused(exceptions.NotFound, 404, self.admin.show_qos, data_utils.rand_uuid())
