# SPDX-License-Identifier: Apache-2.0
"""The metrics over HTTP and TLS, from loopback."""

import contextlib
import functools
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent import futures
from pathlib import Path

import pytest
from oslo_config import cfg

from nova_qos import conf
from nova_qos.agent.balance.account import Account
from nova_qos.agent.exporter import Exporter
from nova_qos.agent.readings import Readings
from nova_qos.core import errors
from nova_qos.core.reading import Reading
from nova_qos.host import Ability
from tests.pace import LONG_S, eventually
from tests.unit.agent.conftest import Site

Serve = Callable[..., Exporter]
ABILITIES = {"memory": Ability(), "io_priority": Ability(without_effect="no scheduler")}
OPTIONS = ("metrics_listen", "metrics_cert_file", "metrics_key_file", "metrics_client_ca_file")


def free_port(host: str = "127.0.0.1") -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as free:
        free.bind((host, 0))
        return int(free.getsockname()[1])


@pytest.fixture(scope="module")
def stop() -> Iterator[Callable[[Exporter], None]]:
    """Stops exporters side by side: each waits until its server has noticed."""
    stopping: list[futures.Future[None]] = []
    with futures.ThreadPoolExecutor(32) as stoppers:
        yield lambda exporter: stopping.append(stoppers.submit(exporter.stop))
    for each in stopping:
        each.result()


@pytest.fixture
def serve(site: Site, stop: Callable[[Exporter], None]) -> Iterator[Serve]:
    """Serve the site's metrics with these options."""
    made: list[Exporter] = []

    def start(survey: Callable[[], object] = lambda: ABILITIES, **options: str) -> Exporter:
        for name, value in options.items():
            site.options.set_override(name, value, "nova_qos")
        readings = Readings(site.machine, site.looker.history, lambda: Reading(None))
        made.append(Exporter(
            site.looker, readings, site.options, ("1", "34", "9"), survey,
            lambda: Account("off")))
        made[-1].start()
        return made[-1]

    yield start
    for each in made:
        stop(each)
    for name in OPTIONS:
        site.options.clear_override(name, "nova_qos")


def get(url: str, context: ssl.SSLContext | None = None) -> str:
    with urllib.request.urlopen(url, timeout=LONG_S, context=context) as answer:
        assert answer.status == 200
        return str(answer.read().decode())


def test_over_http(site: Site, serve: Serve) -> None:
    port = free_port()
    serve(metrics_listen=f"127.0.0.1:{port}")
    text = get(f"http://127.0.0.1:{port}/metrics")
    assert 'nova_qos_build_info{libvirt="9",nova="34",version="1"} 1.0' in text
    assert "process_cpu_seconds_total" in text
    eventually(lambda: "nova_qos_resource_usable" in get(f"http://127.0.0.1:{port}/metrics"))
    text = get(f"http://127.0.0.1:{port}/metrics")
    assert 'nova_qos_resource_usable{resource="memory"} 1.0' in text
    assert 'nova_qos_resource_usable{resource="io_priority"} 0.0' in text


def test_over_ipv6(serve: Serve) -> None:
    try:
        port = free_port("::1")
    except OSError:
        pytest.skip("this machine has no IPv6 on loopback")
    serve(metrics_listen=f"[::1]:{port}")
    assert "nova_qos_build_info" in get(f"http://[::1]:{port}/")


def test_it_stops(serve: Serve) -> None:
    port = free_port()
    exporter = serve(metrics_listen=f"127.0.0.1:{port}")
    exporter.stop()
    with pytest.raises(urllib.error.URLError):
        get(f"http://127.0.0.1:{port}/")
    # the next agent takes its place at once
    serve(metrics_listen=f"127.0.0.1:{port}")
    assert get(f"http://127.0.0.1:{port}/")


def test_a_host_that_cannot_be_surveyed(serve: Serve) -> None:
    def survey() -> object:
        raise errors.HostAway("libvirt does not answer")

    port = free_port()
    serve(survey, metrics_listen=f"127.0.0.1:{port}")
    assert "nova_qos_resource_usable" not in get(f"http://127.0.0.1:{port}/")


def test_a_port_that_is_taken(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        serve(metrics_listen=f"127.0.0.1:{taken.getsockname()[1]}")
    assert "Address already in use" in caplog.text
    assert "[nova_qos] metrics_listen" in caplog.text


def test_an_address_of_another_host(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    serve(metrics_listen="192.0.2.1:9177")
    assert "192.0.2.1:9177" in caplog.text


@pytest.mark.parametrize("text", ["9177", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:65536", ":9177",
                                  "::1:9177", "127.0.0.1:9177 ", "host name:1"])
def test_what_is_no_address(site: Site, text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # each of several
        site.options.set_override("metrics_listen", text, "nova_qos")


def test_files_that_are_empty_are_none(serve: Serve) -> None:
    port = free_port()
    serve(metrics_listen=f"127.0.0.1:{port}", **dict.fromkeys(OPTIONS[1:], ""))
    assert get(f"http://127.0.0.1:{port}/")


def test_an_empty_address_is_none(tmp_path: Path) -> None:
    (tmp_path / "nova.conf").write_text("[nova_qos]\nmetrics_listen =\n")
    options = cfg.ConfigOpts()
    conf.register(options)
    options(["--config-file", str(tmp_path / "nova.conf")])
    assert not options.nova_qos.metrics_listen


class Authority:
    """Certificates by one authority."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self.file = self._make(
            "authority", "-addext", "basicConstraints=critical,CA:TRUE",
            # clients with Python 3.13 want an authority to say so
            "-addext", "keyUsage=critical,keyCertSign")[0]

    @functools.cache  # noqa: B019  # there are few of them
    def certificate(self, name: str) -> tuple[Path, Path]:
        """A certificate and its key."""
        return self._make(name, "-CA", self.file, "-CAkey", self._place / "authority.key",
                          "-addext", "basicConstraints=critical,CA:FALSE",
                          "-addext", "subjectAltName=IP:127.0.0.1")

    def _make(self, name: str, *more: object) -> tuple[Path, Path]:
        made = self._place / f"{name}.pem", self._place / f"{name}.key"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
             "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
             f"/CN={name}", *map(str, more), "-out", made[0], "-keyout", made[1]],
            check=True, capture_output=True)
        return made


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def test_over_tls(authority: Authority, serve: Serve) -> None:
    certificate, key = authority.certificate("server")
    port = free_port()
    serve(metrics_listen=f"127.0.0.1:{port}", metrics_cert_file=str(certificate),
          metrics_key_file=str(key))
    trusting = ssl.create_default_context(cafile=str(authority.file))
    assert "nova_qos_build_info" in get(f"https://127.0.0.1:{port}/", trusting)
    with pytest.raises((urllib.error.URLError, OSError)):
        get(f"http://127.0.0.1:{port}/")
    trusting.minimum_version = trusting.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(urllib.error.URLError):
        get(f"https://127.0.0.1:{port}/", trusting)


def test_tls_without_client_certificates(authority: Authority, serve: Serve) -> None:
    certificate, key = authority.certificate("server")
    port = free_port()
    serve(metrics_listen=f"127.0.0.1:{port}", metrics_cert_file=str(certificate),
          metrics_key_file=str(key), metrics_client_ca_file="")
    trusting = ssl.create_default_context(cafile=str(authority.file))
    assert get(f"https://127.0.0.1:{port}/", trusting)


def test_with_client_certificates(authority: Authority, serve: Serve, tmp_path: Path) -> None:
    certificate, key = authority.certificate("server")
    port = free_port()
    serve(metrics_listen=f"127.0.0.1:{port}", metrics_cert_file=str(certificate),
          metrics_key_file=str(key), metrics_client_ca_file=str(authority.file))
    url = f"https://127.0.0.1:{port}/"
    trusting = ssl.create_default_context(cafile=str(authority.file))
    with pytest.raises((urllib.error.URLError, ssl.SSLError, ConnectionError)):
        get(url, trusting)
    strangers = tmp_path / "strangers"
    strangers.mkdir()
    trusting.load_cert_chain(*Authority(strangers).certificate("client"))
    with pytest.raises((urllib.error.URLError, ssl.SSLError, ConnectionError)):
        get(url, trusting)
    known = ssl.create_default_context(cafile=str(authority.file))
    known.load_cert_chain(*authority.certificate("client"))
    assert "nova_qos_build_info" in get(url, known)


@pytest.mark.parametrize("given", [
    ("metrics_cert_file",), ("metrics_key_file",), ("metrics_client_ca_file",)],
    ids=lambda given: given[0])
def test_half_of_what_tls_needs_is_no_plain_http(
    authority: Authority, serve: Serve, given: tuple[str, ...],
    caplog: pytest.LogCaptureFixture,
) -> None:
    port = free_port()
    serve(metrics_listen=f"127.0.0.1:{port}", **dict.fromkeys(given, str(authority.file)))
    assert "metrics_cert_file and metrics_key_file" in caplog.text
    with pytest.raises(urllib.error.URLError):
        get(f"http://127.0.0.1:{port}/")


def test_a_certificate_that_cannot_be_read(
    serve: Serve, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    serve(metrics_listen=f"127.0.0.1:{port}", metrics_cert_file=str(tmp_path / "none.pem"),
          metrics_key_file=str(tmp_path / "none.key"))
    assert "none.pem" in caplog.text


@pytest.mark.parametrize("encrypted", [False, True], ids=["http", "tls"])
def test_a_client_that_says_nothing_keeps_nobody_waiting(
    authority: Authority, serve: Serve, encrypted: bool
) -> None:
    certificate, key = authority.certificate("server")
    options = {"metrics_cert_file": str(certificate), "metrics_key_file": str(key)}
    port = free_port()
    serve(metrics_listen=f"127.0.0.1:{port}", **(options if encrypted else {}))
    trusting = ssl.create_default_context(cafile=str(authority.file)) if encrypted else None
    with contextlib.ExitStack() as silent:
        for _ in range(20):
            silent.enter_context(socket.create_connection(("127.0.0.1", port)))
            # more at once than the kernel keeps for it would be tried again after a second
            time.sleep(0.01)
        scheme = "https" if encrypted else "http"
        assert "nova_qos_build_info" in get(f"{scheme}://127.0.0.1:{port}/", trusting)
