# SPDX-License-Identifier: Apache-2.0
"""Dialogs that show what would change before they send anything."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _
from horizon import forms

from nova_qos.core import errors
from nova_qos.dry_run.forecast import DIVISIONS, Forecast, Line
from nova_qos_dashboard import words
from nova_qos_dashboard.cloud import FAILURES, Cloud, sentence
from nova_qos_dashboard.terms import term


@dataclass(frozen=True)
class Preview:
    """A dry run as a table: those who are changed first, then the neighbours whose part changes."""

    forecast: Forecast
    notes: Sequence[str] = ()

    @cached_property
    def titles(self) -> list[str]:
        """The columns of parts."""
        return [term(DIVISIONS[name].column) for name in self.forecast.moved]

    @cached_property
    def lines(self) -> list[tuple[Line, list[str]]]:
        """Each server with its parts, now and then."""
        shown = [each for each in self.forecast.lines if each.changes or any(
            each.parts[name][0] != each.parts[name][1] for name in DIVISIONS)]
        shown.sort(key=lambda each: not each.changes)
        return [(each, [_change(*each.parts[name]) for name in self.forecast.moved])
                for each in shown]


def _change(now: float | None, then: float | None) -> str:
    if now == then:
        return words.percent(now)
    return f"{words.percent(now)} \N{RIGHTWARDS ARROW} {words.percent(then)}"


class PreviewForm(forms.SelfHandlingForm):
    """A form that is sent twice: first to see what would come of it, then to have it done.

    Whoever changes a field after the first time sees again what would come of it.
    """

    data: Any
    seen = forms.CharField(required=False, widget=forms.HiddenInput)
    preview: Preview | None = None

    @property
    def submit_label(self) -> Any:
        """What the button does next."""
        return _("Apply") if self.preview else _("Preview")

    def handle(self, request: Any, data: Mapping[str, Any]) -> bool:
        """Whether it is done; else the dialog stays, with the preview or the reason."""
        try:
            asked = self.asked(data)
            if data.get("seen") == _mark(asked):
                return self.send(request, asked)
            mark = self.show(request, asked)
            self.data = self.data.copy()
            self.data["seen"] = mark
        except FAILURES as error:
            self.api_error(sentence(error))
        return False

    def show(self, request: Any, asked: Any) -> str:
        """Have the preview ready; the mark of who has seen it."""
        self.preview = self.foresee(Cloud(request), asked)
        return _mark(asked)

    def asked(self, data: Mapping[str, Any]) -> Any:
        """What the fields come to, in JSON's types.

        :raises InvalidSetting: nothing
        """
        raise NotImplementedError

    def foresee(self, cloud: Cloud, asked: Any) -> Preview:
        """What would come of it."""
        raise NotImplementedError

    def send(self, request: Any, asked: Any) -> bool:
        """Do it; whether the dialog can close."""
        raise NotImplementedError


def require(something: Any) -> None:
    """Refuse a dialog in which nothing was changed.

    :raises InvalidSetting: it is empty
    """
    if not something:
        raise errors.InvalidSetting(str(_("Nothing was changed.")))


def _mark(asked: Any) -> str:
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
