# SPDX-License-Identifier: Apache-2.0
"""What is said of a body that nova's validator refuses."""

import pytest
from nova.api.openstack import wsgi

from nova_qos.api.validated import require
from nova_qos.core import errors

SCHEMA = {"type": "object", "properties": {}, "additionalProperties": False}


def test_the_ranges_follow_as_sentences_of_their_own() -> None:
    with pytest.raises(errors.InvalidSetting) as refusal:
        require(SCHEMA, {"speed": 1}, wsgi.Request.blank("/"), ["share: CPU priority."])
    assert refusal.value.message.endswith("('speed' was unexpected). share: CPU priority.")


def test_a_long_one_is_cut() -> None:
    with pytest.raises(errors.InvalidSetting) as refusal:
        require(SCHEMA, {"x" * 1000: 1}, wsgi.Request.blank("/"), ["share: CPU priority."])
    assert refusal.value.message.endswith("xxx... share: CPU priority.")
