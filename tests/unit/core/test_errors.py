# SPDX-License-Identifier: Apache-2.0
import pytest

from nova_qos.core import errors
from nova_qos.core.reading import Reading


def test_every_error_of_the_tree_is_found_by_its_name() -> None:
    found = errors.by_name()
    declared = {name: kind for name, kind in vars(errors).items()
                if isinstance(kind, type) and issubclass(kind, errors.QosError)}
    assert declared.items() <= found.items()


def test_a_message_survives_as_the_only_argument() -> None:
    for kind in (errors.HostRefused, errors.TooEarly, errors.AgentAway):
        error = kind("why")
        assert (error.message, str(error)) == ("why", "why")


@pytest.mark.parametrize(("error", "unmet"), [
    (errors.HostCannot("never"), "unsupported"),
    (errors.HostRefused("not now"), "pending"),
    (errors.ServerNotRunning("stopped"), "pending"),
    (errors.AgentAway("away"), "pending"),
])
def test_what_cannot_be_read_says_why(error: errors.QosError, unmet: str) -> None:
    reading = Reading.unread(error)
    assert (reading.applied, reading.effective) == (None, False)
    assert (reading.reason, reading.unmet) == (error.message, unmet)
