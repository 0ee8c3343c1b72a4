# SPDX-License-Identifier: Apache-2.0
"""Notifications while the message bus is away, and where nobody asks for them."""

import logging
import threading

import oslo_messaging as messaging
import pytest
from nova import context, rpc
from oslo_config import cfg

from nova_qos.bus import notices

NOBODY = "rabbit://guest:guest@127.0.0.1:1/"


def notifier(driver: str) -> messaging.Notifier:
    conf = cfg.ConfigOpts()
    conf([])
    return messaging.Notifier(
        messaging.get_notification_transport(conf, url=NOBODY), driver=driver,
        serializer=rpc.RequestContextSerializer(messaging.NoOpSerializer()),
        topics=["versioned_notifications"])


def test_the_broker_is_away(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(rpc, "NOTIFIER", notifier("messagingv2"))
    emit = notices.notifier("compute", context.RequestContext(is_admin=True))
    assert emit is not None
    with caplog.at_level(logging.WARNING):
        emit("nova_qos.host.contention", {"any": 1}, True)
        for each in threading.enumerate():
            if each.name == "qos-send":
                each.join(60)
    # the library says it, and nothing of ours failed
    said = {each.name: each.getMessage() for each in caplog.records}
    assert "nova_qos.host.contention" in said["oslo_messaging.notify.messaging"]
    assert notices.__name__ not in said


def test_nobody_asks_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpc, "NOTIFIER", notifier("noop"))
    assert notices.notifier("compute", None) is None
    monkeypatch.setattr(rpc, "NOTIFIER", None)
    assert notices.notifier("compute", None) is None
