# SPDX-License-Identifier: Apache-2.0
"""The compute hosts as administrators see them."""

from tempest.lib import decorators, exceptions

from nova_qos.tempest_plugin.case import QosTest

_FIELDS = {"name", "agent", "reason", "age_s", "state", "memory", "cpu", "net"}
_OF_MEMORY = {"unit", "capacity", "guaranteed", "requested", "applied"}


class HostQosTest(QosTest):
    """Lists of hosts, all or one."""

    @decorators.idempotent_id("1b0f3a52-9a86-4bb1-8c53-b1f5e0d8ac87")
    def test_an_administrator_lists_hosts(self) -> None:
        """The list has the host of the server, and that host's agent answers."""
        name = self.get_host_for_server(self.server_id)
        found = {each["name"]: each for each in self.admin.list_hosts()["hosts"]}
        self.assertIn(name, found)
        self.assertEqual(set(), _FIELDS - set(found[name]))
        self.assertEqual("up", found[name]["agent"], found[name]["reason"])
        self.assertEqual(set(), _OF_MEMORY - set(found[name]["memory"]))

    @decorators.idempotent_id("2c7d4e93-0b97-4cc2-9d64-c2a6f1e9bd98")
    def test_one_host_by_its_name(self) -> None:
        """A name selects one host; an unknown one is answered 404."""
        name = self.get_host_for_server(self.server_id)
        found = self.admin.list_hosts(host=name)["hosts"]
        self.assertEqual([name], [each["name"] for each in found])
        self.refused(exceptions.NotFound, 404, self.admin.list_hosts, host="no-such-host")

    @decorators.idempotent_id("3d8e5fa4-1ca8-4dd3-ae75-d3b7a2facea9")
    def test_a_member_may_not_list_hosts(self) -> None:
        """Hosts are for administrators."""
        self.refused(exceptions.Forbidden, 403, self.member.list_hosts)
