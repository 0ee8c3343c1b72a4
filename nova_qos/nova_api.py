# SPDX-License-Identifier: Apache-2.0
"""Asks nova's API something, with credentials that nova.conf has anyway."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from keystoneauth1 import adapter, loading
from keystoneauth1 import exceptions as keystone
from oslo_config import cfg

from nova_qos.core import errors

#: Where credentials are looked for, unless auth_section names a section.
_SECTIONS = ("service_user", "placement")
#: Where the region may stand, beside the section of the credentials.
_REGIONS = ("neutron", "placement")
_INTERFACES = ["internal", "public"]
#: keystoneauth waits for ever where the section names no timeout.
_TIMEOUT_S = 10.0


class NovaApi:
    """Nova's API for a service; made once a process, called by one thread at a time."""

    def __init__(self, options: cfg.ConfigOpts) -> None:
        """:raises oslo_config.cfg.Error: an option of [nova_qos] has no such value"""
        self._options = options
        self._section = _section(options, options.nova_qos.auth_section)
        self._url: str | None = options.nova_qos.endpoint_override
        self._adapter: adapter.Adapter | None = None

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Any:
        """The response, whatever its status.

        :raises NoDatabase: this host has no credentials to ask with
        :raises Unreachable: there was no answer
        """
        try:
            if self._adapter is None:
                self._adapter = self._connect()
            return self._adapter.get(path, headers=dict(headers or {}), raise_exc=False)
        except (keystone.ClientException, cfg.Error) as error:
            raise errors.Unreachable(
                f"with the credentials of [{self._section}] of nova.conf: {error}") from error

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
