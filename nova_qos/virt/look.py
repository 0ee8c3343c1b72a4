# SPDX-License-Identifier: Apache-2.0
"""A look at one domain, for reading: all that libvirt tells by itself, in one call, while its QEMU
is asked about the balloon."""

from collections.abc import Collection
from contextlib import suppress

import libvirt

from nova_qos.core import errors
from nova_qos.virt import failures, groups
from nova_qos.virt.definition import Definition
from nova_qos.virt.groups import Group
from nova_qos.virt.session import NO_ID, PARAMETERS, KnownDefinition, Parameters, Seen, Session


def look(
    session: Session, known: KnownDefinition | None, knobs: Collection[str], is_unified: bool
) -> Seen:
    """What is there of a running domain that these knobs read. What cannot be had is left out: the
    knob that needs it asks anew, and says what is wrong.

    :raises ServerNotRunning: there is no running domain
    :raises HostAway, HostRefused: libvirt does not answer
    """
    asked = session.begin_balloon_figures() if "balloon" in knobs else session.balloon_figures

    def ask(domain: libvirt.virDomain) -> Seen:
        # found anew, libvirt's handle knows the id of a running domain
        domain_id = domain.ID()
        if domain_id == NO_ID:
            raise failures.not_running()
        definition = known(session.server_uuid, domain_id) if known else None
        return Seen(
            (libvirt.VIR_DOMAIN_NOSTATE, 0), None, definition or Definition.parse(domain.XMLDesc()),
            _group(domain) if is_unified and PARAMETERS.keys() & knobs else None,
            {} if is_unified else _parameters(domain, knobs), asked)

    return session.call(ask)


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
