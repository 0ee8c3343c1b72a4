# SPDX-License-Identifier: Apache-2.0
"""What libvirt's errors mean for a domain that may have ended under the call."""

from collections.abc import Callable
from typing import Any, cast

import libvirt
import pytest

from nova_qos.core import errors
from nova_qos.virt import pool as pools
from nova_qos.virt.calls import Calls
from nova_qos.virt.daemon import Daemon
from nova_qos.virt.definitions import Definitions
from nova_qos.virt.pool import Overdue
from nova_qos.virt.session import Session

UUID = "6f2e1c3a-8d4b-4a57-9e10-2b7c5d9f0a61"


def error_of(code: int, text: str) -> libvirt.libvirtError:
    """As libvirt's library makes it of what its QEMU driver says."""
    error = libvirt.libvirtError(text)
    error.err = (code, libvirt.VIR_FROM_QEMU, text, libvirt.VIR_ERR_ERROR, text, None, None, -1, -1)
    return error


class Domain:
    """One that is defined; while ``refused`` is None, its QEMU answers."""

    def __init__(self) -> None:
        self.runs, self.is_defined = True, True
        self.refused: libvirt.libvirtError | None = None

    def UUIDString(self) -> str:
        return UUID

    def state(self) -> tuple[int, int]:
        return (libvirt.VIR_DOMAIN_RUNNING if self.runs else libvirt.VIR_DOMAIN_SHUTOFF), 0

    def isActive(self) -> int:
        return int(self.runs)

    def controlInfo(self) -> tuple[int, int, int]:
        if not self.runs:
            raise error_of(libvirt.VIR_ERR_OPERATION_INVALID,
                           "Requested operation is not valid: domain is not running")
        return libvirt.VIR_DOMAIN_CONTROL_OK, 0, 0

    def XMLDesc(self) -> str:
        if self.refused is not None:
            raise self.refused
        return "<domain type='kvm'><name>one</name><memory unit='KiB'>65536</memory></domain>"


class Connection:
    """To the libvirt of Debian 13 with that one domain."""

    def __init__(self, domain: Domain) -> None:
        self._domain = domain

    def getLibVersion(self) -> int:
        return 11_003_000

    def lookupByUUIDString(self, server_uuid: str) -> Domain:
        if not self._domain.is_defined:
            raise error_of(libvirt.VIR_ERR_NO_DOMAIN, "Domain not found")
        return self._domain

    def call(self, work: Callable[[Any], object]) -> object:
        return work(self)

    def close(self) -> None: ...


class Late:
    """Threads whose calls have waited for their QEMU for six seconds."""

    def begin(self, subject: str, work: object) -> None:
        raise Overdue(6.0)


@pytest.fixture
def domain(monkeypatch: pytest.MonkeyPatch) -> Domain:
    domain = Domain()

    def open_(daemon: Daemon) -> Connection:
        return Connection(domain)

    monkeypatch.setattr(pools, "Connection", open_)
    return domain


@pytest.fixture
def calls(domain: Domain) -> Calls:
    return Calls("test:///nowhere")


@pytest.fixture
def session(calls: Calls) -> Session:
    return Session(calls, UUID, Definitions(calls))


def test_a_definition_is_asked_for_when_the_domain_has_ended(
    session: Session, domain: Domain
) -> None:
    domain.runs = False
    with pytest.raises(errors.ServerNotRunning):
        session.definition()
    domain.is_defined = False
    with pytest.raises(errors.ServerNotRunning):
        session.definition()
    domain.runs = domain.is_defined = True
    assert session.definition()


@pytest.mark.parametrize("code", [
    libvirt.VIR_ERR_OPERATION_INVALID, libvirt.VIR_ERR_OPERATION_FAILED,
    libvirt.VIR_ERR_INTERNAL_ERROR])
def test_another_refusal_of_a_running_domain(session: Session, domain: Domain, code: int) -> None:
    domain.refused = error_of(code, "it is not so")
    with pytest.raises(errors.HostRefused, match="it is not so"):
        session.definition()


def test_a_domain_ends_while_its_qemu_is_waited_for(
    session: Session, calls: Calls, domain: Domain
) -> None:
    calls._qemu = cast(Any, Late())
    with pytest.raises(errors.HostRefused, match="has been at work on this server for 6 s"):
        session.call_at_rest(lambda domain: domain.info())
    domain.runs = False
    with pytest.raises(errors.ServerNotRunning):
        session.call_at_rest(lambda domain: domain.info())
