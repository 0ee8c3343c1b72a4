# SPDX-License-Identifier: Apache-2.0
"""Which of a command's requests changes something, by what it says with ``--debug``."""

import pytest

from tools.evaluation.asking import follow

_REQUEST = "DEBUG (session:1) REQ: curl -g -i -X {} http://127.0.0.1:8774/v2.1/{} -H x"
_ANSWER = "DEBUG (session:2) RESP: [200] Content-Type: application/json"


@pytest.mark.parametrize(("verb", "path"), [
    ("POST", "servers/5f/action"), ("POST", "os-qos"), ("PUT", "os-qos-policies/17")])
def test_what_changes_something(verb: str, path: str) -> None:
    sent, answered, lines = follow([
        _REQUEST.format("GET", "servers/5f"), _ANSWER, _REQUEST.format(verb, path), _ANSWER])
    assert 0 < sent <= answered
    assert lines[-1] == _ANSWER


@pytest.mark.parametrize(("verb", "path"), [
    ("GET", "os-qos-policies/17"), ("POST", "auth/tokens"), ("GET", "servers/5f/action")])
def test_what_only_asks(verb: str, path: str) -> None:
    assert follow([_REQUEST.format(verb, path), _ANSWER])[0] == 0


def test_the_last_of_several_counts() -> None:
    change = _REQUEST.format("POST", "os-qos")
    assert follow([change, _ANSWER, change])[1] == 0
