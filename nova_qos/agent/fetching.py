# SPDX-License-Identifier: Apache-2.0
"""Asks nova's API for the policies, with credentials that nova.conf has anyway."""

from collections.abc import Callable
from typing import Any

from oslo_config import cfg

from nova_qos.core import errors
from nova_qos.core.policy import Catalog
from nova_qos.nova_api import NovaApi
from nova_qos.resources import POLICIES_PATH
from nova_qos.response import message_of, parsed

PATH = f"{POLICIES_PATH}/for-agents"


class Fetcher:
    """Fetches the policies; made once a process, called by one thread at a time."""

    def __init__(self, options: cfg.ConfigOpts) -> None:
        """:raises oslo_config.cfg.Error: an option of [nova_qos] has no such value"""
        self._api = NovaApi(options)

    def __call__(self, known: Catalog, etag: str | None) -> Catalog | None:
        """The policies; None where those that are known are current.

        :raises NoDatabase: the API has none, or this host no credentials to ask it with
        :raises Unreachable: there was no answer, or none that could be used
        """
        response = self._api.get(PATH, {"If-None-Match": etag} if etag else {})
        return None if etag and response.status_code == 304 else _catalog_of(response)


def _catalog_of(response: Any) -> Catalog:
    status, body = response.status_code, parsed(response)
    if status != 200:
        kind, advice = _REFUSALS.get(status, (errors.Unreachable, None))
        said = advice or message_of(body)[0][:300] or response.reason
        raise kind(f"{response.url} answered {status}: {said}")
    try:
        return Catalog.from_json(body)
    except errors.InvalidSetting as error:
        raise errors.Unreachable(f"{response.url} answered with {error.message}") from error


#: By status: what it means, and what to say; None: what the API says.
_REFUSALS: dict[int, tuple[Callable[[str], errors.QosError], str | None]] = {
    401: (errors.Unreachable, "keystone and nova do not agree on the token"),
    403: (errors.Unreachable, "the user of these credentials has neither the role service nor "
                              "admin; see the access rule os_compute_api:os-qos:policies:agents"),
    404: (errors.NoDatabase, "this API knows no named policies: upgrade nova-qos there, or correct "
                             "[nova_qos] endpoint_override"),
    501: (errors.NoDatabase, None),
}
