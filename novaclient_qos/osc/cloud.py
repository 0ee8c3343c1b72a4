# SPDX-License-Identifier: Apache-2.0
"""The cloud as ``openstack`` hands it to a command."""

import argparse
from typing import Any

from keystoneauth1 import exceptions as connection
from openstack import exceptions as sdk

from nova_qos.client import Client
from nova_qos.core import errors

#: All that can go wrong between a command and the cloud.
FAILURES = (errors.QosError, sdk.SDKException, connection.ClientException)


def add_server(parser: argparse.ArgumentParser, **several: Any) -> None:
    """The argument for one server, or with ``nargs`` for several."""
    parser.add_argument("server", metavar="<server>", help="Name or ID of server.", **several)
    parser.add_argument(
        "--all-projects", action="store_true",
        help="Find servers of other projects by name too (admin only).")


class Cloud:
    """Finds servers, and talks to the API through openstacksdk."""

    def __init__(self, app: Any, all_projects: bool = False) -> None:
        self._compute = app.client_manager.sdk_connection.compute
        self._all_projects = all_projects
        self.qos = Client(self._compute)

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


def sentence(error: Exception) -> str:
    """An error in one line."""
    return " ".join(str(error).split())
