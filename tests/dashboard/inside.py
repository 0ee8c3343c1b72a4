# SPDX-License-Identifier: Apache-2.0
"""Horizon in this process, and a person who uses it without a browser's scripts."""

import os
import re
import sys
from html import unescape
from pathlib import Path
from typing import Any

from tools.bed.dashboard import Horizon

#: The page of the host of a cloud in memory.
HOST = "/admin/qos/hosts/compute/"


def set_up(place: Path, keystone: str, **more: object) -> None:
    """Prepare Horizon in that place, once in a process."""
    Horizon(place, Path(sys.prefix), "", keystone, "", more).prepare()
    sys.path.insert(0, str(place))
    os.environ["DJANGO_SETTINGS_MODULE"] = "openstack_dashboard.settings"
    import django  # not before its settings are there
    django.setup()


class Browser:
    """A person who is logged in; the user's name is the role."""

    def __init__(self, user: str) -> None:
        from django.test import Client
        self._client = Client(HTTP_HOST="127.0.0.1")
        done = self._client.post("/auth/login/", {
            "username": user, "password": "x", "auth_type": "credentials", "region": "default"})
        assert done.status_code == 302, text(done.content.decode())

    def get(self, path: str, status: int = 200, language: str = "en") -> str:
        """The page."""
        return self._page(self._client.get(path, HTTP_ACCEPT_LANGUAGE=language), status)

    def row(self, path: str, row: str) -> tuple[int, str]:
        """A row of a table, as the browser asks for it again."""
        return self.ajax(self.update_url(path, row))

    def update_url(self, path: str, row: str) -> str:
        """Where the browser asks for a row again."""
        tag = re.search(rf'<tr[^>]*data-object-id="{re.escape(row)}"[^>]*>', self.get(path))
        assert tag is not None
        found = re.search(r'data-update-url="([^"]+)"', tag[0])
        assert found is not None
        return unescape(found[1])

    def ajax(self, url: str) -> tuple[int, str]:
        """What a script of the page gets."""
        answer = self._client.get(url, HTTP_X_REQUESTED_WITH="XMLHttpRequest")
        return answer.status_code, answer.content.decode()

    def post(self, path: str, status: int = 200, **fields: Any) -> str:
        """What comes of a form; its other fields stay as they are."""
        form = self._client.get(path).context["form"]
        present = {name: form[name].value() for name in form.fields}
        given = {name: value for name, value in (present | fields).items()
                 if value not in (None, False)}
        return self._page(self._client.post(path, given), status)

    def twice(self, path: str, then: str = HOST, **fields: Any) -> str:
        """Send a form, look at the preview, and send it again; where that leads to."""
        self.post(path, status=302, seen=seen(self.post(path, **fields)), **fields)
        return self.get(then)

    def act(self, path: str, table: str, action: str, *ids: str) -> str:
        """Press a button above a table with some rows ticked; where that leads to."""
        page = self.get(path)
        boxes = set(re.findall(r'<input[^>]*name="object_ids"[^>]*value="([^"]+)"', page))
        assert boxes >= set(ids)
        assert "multi_select_column hidden" not in page
        answer = self._client.post(
            path, {"action": f"{table}__{action}", "object_ids": ids}, follow=True)
        return self._page(answer, 200)

    def _page(self, answer: Any, status: int) -> str:
        page = answer.content.decode()
        assert answer.status_code == status, text(page)[-1500:]
        return page


def seen(page: str) -> str:
    """What a dialog with a preview sends along."""
    found = re.search(r'name="seen" value="(\w+)"', page)
    assert found is not None, re.sub(r"\s+", " ", page)
    return found[1]


def text(html: str) -> str:
    """What stands on a page, without marks."""
    body = re.sub(r"<(script|style)\b.*?</\1>", " ", html, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())
