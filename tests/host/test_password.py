# SPDX-License-Identifier: Apache-2.0
"""A libvirtd that asks for a name and a password (SASL), as nova-compute logs in to it."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from nova_qos.core import errors
from nova_qos.virt.daemon import Daemon
from tests.host.test_check import check
from tools.bed.libvirtd import PrivateLibvirt

_SASL_CONF = """\
mech_list: scram-sha-256
pwcheck_method: auxprop
auxprop_plugin: sasldb
sasldb_path: {passwords}
"""
_AUTH_CONF = """\
[credentials-agent]
authname=qos
password={password}

[auth-libvirt-localhost]
credentials=agent
"""


class PasswordLibvirt(PrivateLibvirt):
    """Whoever uses its URI has the password."""

    def __init__(self, state: Path) -> None:
        super().__init__(state, auth="sasl")
        self.plain_uri = self.uri
        self.uri += f"&authfile={state}/auth.conf"
        self.tell("secret")

    def tell(self, password: str) -> None:
        """What clients are to believe that the password is."""
        (self.state / "auth.conf").write_text(_AUTH_CONF.format(password=password))


@pytest.fixture(scope="module")
def libvirtd(_network: None) -> Iterator[PasswordLibvirt]:
    state = Path(tempfile.mkdtemp(prefix="nova-qos-sasl-", dir="/var/tmp"))
    passwords = state / "passwords"
    subprocess.run(["saslpasswd2", "-p", "-a", "libvirt", "-f", passwords, "qos"],
                   input="secret", text=True, check=True)
    (state / "libvirt.conf").write_text(_SASL_CONF.format(passwords=passwords))
    libvirtd = PasswordLibvirt(state)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SASL_CONF_PATH", str(state))
        libvirtd.start()
    try:
        yield libvirtd
    finally:
        libvirtd.tell("secret")
        libvirtd.remove()
        shutil.rmtree(state)


def test_the_password_of_auth_conf(libvirtd: PasswordLibvirt) -> None:
    connection = Daemon(libvirtd.uri).open()
    assert connection.isAlive()
    connection.close()
    _status, lines = check(libvirtd)
    assert not any("libvirt does not answer" in line for line in lines)


@pytest.mark.parametrize("wrong", [True, False], ids=["wrong password", "no password"])
def test_without_the_password(libvirtd: PasswordLibvirt, wrong: bool) -> None:
    libvirtd.tell("guess")
    try:
        with pytest.raises(errors.HostAway, match=r"authentication failed.*auth\.conf"):
            Daemon(libvirtd.uri if wrong else libvirtd.plain_uri).open()
    finally:
        libvirtd.tell("secret")
