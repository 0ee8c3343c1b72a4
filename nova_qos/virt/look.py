# SPDX-License-Identifier: Apache-2.0
"""A look at one domain, for reading: all that libvirt tells by itself, in one call, while its QEMU
is asked about the balloon."""

from collections.abc import Collection
from contextlib import suppress

import libvirt

from nova_qos.core import errors
from nova_qos.virt import failures, groups
from nova_qos.virt.groups import Group
from nova_qos.virt.session import PARAMETERS, Parameters, Seen, Session


def look(
    session: Session, knobs: Collection[str], is_unified: bool
) -> Seen:
    """What is there of a running domain that these knobs read. What cannot be had is left out: the
    knob that needs it asks anew, and says what is wrong.

    :raises ServerNotRunning: there is no running domain
    :raises HostAway, HostRefused: libvirt does not answer
    """
    asked = session.balloon_figures
    if "balloon" in knobs and session.is_described:
        asked = session.begin_balloon_figures()

    def ask(domain: libvirt.virDomain) -> tuple[Group | None, dict[str, Parameters]]:
        session.identify(domain)
        return (_group(domain) if is_unified and PARAMETERS.keys() & knobs else None,
                {} if is_unified else _parameters(domain, knobs))

    group, parameters = session.call(ask)
    return Seen((libvirt.VIR_DOMAIN_NOSTATE, 0), None, session.definition(), group, parameters,
                asked)


def _group(domain: libvirt.virDomain) -> Group | None:
    with suppress(errors.HostCannot, OSError):
        return groups.find(groups.machine(domain.ID(), domain.name()))
    return None


def _parameters(domain: libvirt.virDomain, knobs: Collection[str]) -> dict[str, Parameters]:
    found: dict[str, Parameters] = {}
    for knob, ask in PARAMETERS.items():
        if knob in knobs:
            try:
                found[knob] = ask(domain)
            except libvirt.libvirtError as error:
                if failures.is_connection_lost(error):
                    raise
    return found
