# SPDX-License-Identifier: Apache-2.0
"""Questions to a Prometheus: what it answers, and all that can go wrong."""

import json
import math
import socket
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nova_qos.errors import QosError
from novaclient_qos.report.prometheus import Curve, Prometheus, Sample, number, quoted
from tests.pace import Stopwatch
from tests.unit.clients.prometheus import (
    NOW_S,
    RecordedPrometheus,
    matrix,
    success,
    vector,
)

ONE = {"server_id": "one"}


@pytest.fixture
def recorded() -> Iterator[RecordedPrometheus]:
    with RecordedPrometheus() as recorded:
        yield recorded


@pytest.fixture
def prometheus(recorded: RecordedPrometheus) -> Prometheus:
    return Prometheus(recorded.url)


def test_a_question(recorded: RecordedPrometheus, prometheus: Prometheus) -> None:
    recorded.answer = lambda asked: vector((ONE, "0.25"), ({}, "NaN"))
    assert prometheus.now("up == 1") == [Sample(ONE, 0.25, NOW_S), Sample({}, None, NOW_S)]
    (asked,) = recorded.asked
    assert (asked.path, asked.parameters) == (
        "/api/v1/query", {"query": "up == 1", "timeout": "25s"})


def test_a_question_about_a_time(recorded: RecordedPrometheus, prometheus: Prometheus) -> None:
    recorded.answer = lambda asked: matrix((ONE, ["1", "+Inf"]))
    assert prometheus.over("up", 0, 60, 30) == [Curve(ONE, [(NOW_S, 1.0), (NOW_S + 60, None)])]
    (asked,) = recorded.asked
    assert (asked.path, asked.parameters["start"], asked.parameters["end"]) == (
        "/api/v1/query_range", "0.000", "60.000")
    assert asked.parameters["step"] == "30.000"


@pytest.mark.parametrize(("text", "found"), [
    ("1e3", 1000), ("-0.5", -0.5), ("NaN", None), ("+Inf", None), ("-Inf", None), ("1e308", None),
    ("-1e16", None), ("9" * 400, None)])
def test_numbers(text: str, found: float | None) -> None:
    assert number(text) == found


@given(st.floats(min_value=-1e15, max_value=1e15) | st.just(math.nan) | st.just(math.inf))
def test_every_number_is_one_or_none(value: float) -> None:
    assert number(repr(value)) == (value if math.isfinite(value) else None)


@given(st.text())
def test_texts_are_quoted(text: str) -> None:
    written = quoted(text)
    # no quotation mark of the text ends it, and nothing begins a new line
    assert json.loads(written) == text.encode("utf-8", "replace").decode()
    assert "\n" not in written


@pytest.mark.parametrize("answer", [
    b"", b"no JSON", b"[]", b"3", b'"text"', b"null", b"{}", b"[" * 100000, {"status": "success"},
    success("matrix", []), success("vector", None), success("vector", [{}]), success("vector", 5),
    success("vector", [{"metric": {}, "value": [NOW_S]}]),
    success("vector", [{"metric": [], "value": [NOW_S, "1"]}]),
    success("vector", [{"metric": {}, "value": [NOW_S, 1]}]),
    success("vector", [{"metric": {}, "value": [NOW_S, "one"]}]),
    success("vector", [{"metric": {}, "value": ["now", "1"]}]),
    success("vector", [{"metric": {}, "value": [10**400, "1"]}]),
    success("vector", [{"metric": {}, "value": [math.nan, "1"]}]),
    {"status": "error"}, {"status": None},
])
def test_what_is_no_answer(
    answer: object, recorded: RecordedPrometheus, prometheus: Prometheus
) -> None:
    recorded.answer = lambda asked: answer
    with pytest.raises(QosError) as failed:
        prometheus.now("up")
    assert failed.value.message == (
        f"What answers at {recorded.url} does not answer as Prometheus does. Check the URL, and "
        "that this Prometheus runs and can be reached from here.")


def test_a_refusal(recorded: RecordedPrometheus, prometheus: Prometheus) -> None:
    recorded.status = 422
    recorded.answer = lambda asked: {
        "status": "error", "errorType": "execution", "error": "too\nmany samples" + "x" * 500}
    with pytest.raises(QosError, match=r"question: too many samplesx+\.\.\.\. A shorter"):
        prometheus.now("up")


@pytest.mark.parametrize(("status", "words"), [
    (401, "give a user and a password in the URL"), (403, "this user may not ask"),
    (404, "the URL lacks a path, or has one too many"),
    (302, "redirects elsewhere: give the URL it redirects to"),
    (502, "look at its log, and at that of a proxy before it")])
def test_an_error_of_a_proxy(
    status: int, words: str, recorded: RecordedPrometheus, prometheus: Prometheus
) -> None:
    recorded.status, recorded.headers = status, {"Location": "http://127.0.0.1:9/"}
    recorded.answer = lambda asked: b"<html>"
    with pytest.raises(QosError) as failed:
        prometheus.now("up")
    assert failed.value.message == (
        f"Prometheus at {recorded.url} answers with HTTP {status}: {words}.")
    assert len(recorded.asked) == 1


def test_nobody_there(recorded: RecordedPrometheus) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(QosError, match=f"Prometheus at {url} cannot be asked: .*refused. C"):
            Prometheus(url).now("up")


@pytest.mark.parametrize("says", [b"", b"HTTP/1.1 200 OK\r\n\r\n{", b"SSH-2.0\r\n"])
def test_one_that_never_ends(says: bytes) -> None:
    """It hangs, or sends a little from time to time."""
    over = threading.Event()

    def serve(listening: socket.socket) -> None:
        caller, _ = listening.accept()
        with caller:
            caller.recv(2**16)
            while not over.wait(0.05):
                try:
                    caller.sendall(says or b"")
                except OSError:
                    return

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, args=(listening,))
        thread.start()
        asked = Prometheus(f"http://127.0.0.1:{listening.getsockname()[1]}", 0.3, 0.6)
        with Stopwatch() as watch, pytest.raises(
                QosError, match=r"cannot be asked|does not answer as"):
            asked.now("up")
        over.set()
        assert watch.seconds < 3
        thread.join()


def test_a_password_goes_to_prometheus_alone(recorded: RecordedPrometheus) -> None:
    asked = Prometheus(f"http://ann:s%40cret@{recorded.address}/sub/")
    asked.now("up")
    assert recorded.asked[0].authorization == "Basic YW5uOnNAY3JldA=="
    assert recorded.asked[0].path == "/sub/api/v1/query"
    recorded.status, recorded.answer = 500, lambda asked: b""
    with pytest.raises(QosError) as failed:
        asked.now("up")
    assert "cret" not in failed.value.message
    assert f"http://{recorded.address}/sub " in failed.value.message


@pytest.mark.parametrize("url", [
    "", "prometheus", "prometheus:9090", "file:///etc/passwd", "http://", "http://:9090",
    "ftp://h", "http://h/?query=up", "http://h/#a", "http://h:port", "http://h:99999",
    "http://[::1", "http://ann:secret@h/?x", "http://ann:secret/@h:9090", "http://ann:secret#@h",
    "http://ann:secret?@h", "http://ann:secret\u2100@h", "http://ann:secret]@h"])
def test_what_is_no_url(url: str) -> None:
    with pytest.raises(ValueError, match="is no URL of a Prometheus") as failed:
        Prometheus(url)
    assert "secret" not in str(failed.value)
