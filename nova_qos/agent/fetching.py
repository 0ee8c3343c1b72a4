# SPDX-License-Identifier: Apache-2.0
"""Asks nova's API for the policies, with credentials that nova.conf has anyway."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from keystoneauth1 import adapter, loading
from keystoneauth1 import exceptions as keystone
from oslo_config import cfg

from nova_qos.core import errors
from nova_qos.core.policy import Catalog
from nova_qos.resources import POLICIES_PATH
from nova_qos.response import message_of, parsed

PATH = f"{POLICIES_PATH}/for-agents"
#: Where credentials are looked for, unless auth_section names a section.
_SECTIONS = ("service_user", "placement")
#: Where the region may stand, beside the section of the credentials.
_REGIONS = ("neutron", "placement")
_INTERFACES = ["internal", "public"]
#: keystoneauth waits for ever where the section names no timeout.
_TIMEOUT_S = 10.0


class Fetcher:
    """Fetches the policies; made once a process, called by one thread at a time."""

    def __init__(self, options: cfg.ConfigOpts) -> None:
        """:raises oslo_config.cfg.Error: an option of [nova_qos] has no such value"""
        self._options = options
        self._section = _section(options, options.nova_qos.auth_section)
        self._url: str | None = options.nova_qos.endpoint_override
        self._adapter: adapter.Adapter | None = None

    def __call__(self, known: Catalog, etag: str | None) -> Catalog | None:
        """The policies; None where those that are known are current.

        :raises NoDatabase: the API has none, or this host no credentials to ask it with
        :raises Unreachable: there was no answer, or none that could be used
        """
        try:
            if self._adapter is None:
                self._adapter = self._connect()
            response = self._adapter.get(
                PATH, headers={"If-None-Match": etag} if etag else {}, raise_exc=False)
        except (keystone.ClientException, cfg.Error) as error:
            raise errors.Unreachable(
                f"with the credentials of [{self._section}] of nova.conf: {error}") from error
        return None if etag and response.status_code == 304 else _catalog_of(response)

    def _connect(self) -> adapter.Adapter:
        options, section = self._options, self._section
        auth = loading.load_auth_from_conf_options(options, section)
        if auth is None:
            raise errors.NoDatabase(
                f"[{section}] of nova.conf has no auth_type, so this host cannot ask the API for "
                "them; see [nova_qos] auth_section")
        _register(options, section, loading.get_session_conf_options())
        session = loading.load_session_from_conf_options(
            options, section, auth=auth, timeout=options[section].timeout or _TIMEOUT_S)
        return adapter.Adapter(
            session, service_type="compute", interface=_INTERFACES,
            region_name=_region(options, section), endpoint_override=self._url)


def _section(options: cfg.ConfigOpts, wanted: str | None) -> str:
    """The section that credentials stand in, or should stand in."""
    for section in [wanted] if wanted else _SECTIONS:
        _register(options, section, loading.get_auth_common_conf_options())
        # nova lets a section name another one
        named = options[section].auth_section or section
        _register(options, named, loading.get_auth_common_conf_options())
        if options[named].auth_type:
            return str(named)
    return wanted or _SECTIONS[0]


def _region(options: cfg.ConfigOpts, section: str) -> str | None:
    option = [each for each in loading.get_adapter_conf_options(include_deprecated=False)
              if each.dest == "region_name"]
    for place in (section, *_REGIONS):
        _register(options, place, option)
        if options[place].region_name:
            return str(options[place].region_name)
    return None


def _register(options: cfg.ConfigOpts, section: str, wanted: Iterable[Any]) -> None:
    for option in wanted:
        # nova has it already, perhaps with another default
        with suppress(cfg.DuplicateOptError):
            options.register_opt(option, group=section)


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
