# SPDX-License-Identifier: Apache-2.0
"""The cloud as ``openstack`` hands it to a command."""

import argparse
from collections.abc import Iterator
from typing import Any

from keystoneauth1 import exceptions as connection
from openstack import exceptions as sdk

from nova_qos.client import Client
from nova_qos.client_moves import Moves
from nova_qos.client_policies import Policies
from nova_qos.core import errors
from nova_qos.core.policy import NONE_NAME
from nova_qos.core.server import FLAVOR_POLICY
from nova_qos.dry_run.cloud import Facts, Place

#: All that can go wrong between a command and the cloud.
FAILURES = (errors.QosError, sdk.SDKException, connection.ClientException)
#: The status of an answer about policies where no database is configured for them.
_NOT_CONFIGURED = 501


def add_server(parser: argparse.ArgumentParser, **several: Any) -> None:
    """The argument for one server, or with ``nargs`` for several."""
    parser.add_argument("server", metavar="<server>", help="Name or ID of server.", **several)
    parser.add_argument(
        "--all-projects", action="store_true",
        help="Find servers of other projects by name too (admin only).")


class Cloud:
    """Finds servers and projects, and talks to the API through openstacksdk."""

    def __init__(self, app: Any, all_projects: bool = False) -> None:
        self._connection = app.client_manager.sdk_connection
        self._compute = self._connection.compute
        self._all_projects = all_projects
        self.qos = Client(self._compute)
        self.policies = Policies(self._compute)
        self.moves = Moves(self._compute)

    def require_policies(self) -> None:
        """Ask whether the API has named policies; a set would only say that it knows no such field.

        :raises NotInstalled: it has none
        """
        try:
            # the shortest answer: no policy has this name
            self.policies.list(NONE_NAME)
        except errors.NotInstalled:
            raise
        except errors.ApiRefused:
            # whatever else there is to say, the set says of its server
            return

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

    def find(self, name: str) -> str:
        """The id of the server of that name or id, as ``openstack server show`` finds it.

        :raises SDKException: there is none, or more than one
        """
        try:
            server = self._compute.find_server(
                name, ignore_missing=False, details=False, all_projects=self._all_projects)
        except sdk.DuplicateResource as error:
            raise sdk.DuplicateResource(f"{error} Give the ID of one of them.") from error
        return str(server.id)

    def find_with_host(self, name: str) -> tuple[str, str | None]:
        """The id of the server of that name or id, and the compute host that it is on; None where
        it is on none, or the caller may not see it.

        :raises SDKException: there is none, or more than one
        """
        server_id = self.find(name)
        return server_id, self._compute.get_server(server_id).compute_host

    def places(self, **query: Any) -> Iterator[Place]:
        """Where the servers of all projects are, or those that a query of nova's list selects (for
        administrators)."""
        for server in self._compute.servers(all_projects=True, **query):
            yield _place(server)

    def facts(self, host: str) -> dict[str, Facts]:
        """Of the servers of a compute host by id, what nova knows of them (for administrators)."""
        return {str(each.id): Facts(str(each.project_id), _policy_of(each.flavor)) for each in
                self._compute.servers(all_projects=True, compute_host=host)}

    def place(self, server_id: str) -> Place | None:
        """Where a server is now; None: nowhere, since it was deleted."""
        try:
            return _place(self._compute.get_server(server_id))
        except sdk.NotFoundException:
            return None

    def find_project(self, name: str) -> str:
        """The id of the project of that name or id. Who may not look up projects gives the id.

        :raises SDKException: there is none, or more than one
        """
        try:
            project = self._connection.identity.find_project(name, ignore_missing=False)
        except sdk.ForbiddenException:
            return name
        except sdk.DuplicateResource as error:
            raise sdk.DuplicateResource(f"{error} Give the ID of one of them.") from error
        return str(project.id)


def _place(server: Any) -> Place:
    return Place(
        str(server.id), str(server.name), server.compute_host, server.status == "ACTIVE",
        _policy_of(server.flavor))


def _policy_of(flavor: Any) -> str | None:
    # nova before 2.47 tells no more of a flavor than its id
    named = flavor and flavor.extra_specs and flavor.extra_specs.get(FLAVOR_POLICY)
    return named or None


def sentence(error: Exception) -> str:
    """An error in one line."""
    return " ".join(str(error).split())
