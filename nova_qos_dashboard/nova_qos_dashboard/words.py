# SPDX-License-Identifier: Apache-2.0
"""Values and states as pages show them."""

from collections.abc import Iterable, Mapping

from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from nova_qos.client import HeldReport, Report, Saved
from nova_qos.core.resource import Resource
from nova_qos.core.units import UNLIMITED
from nova_qos.resources import TABLE
from nova_qos.words import in_words
from nova_qos_dashboard.terms import term

STATES = {
    "applied": _("Applied"), "pending": _("Pending"), "drifted": _("Drifted"),
    "deflated": _("Deflated"), "refused": _("Refused"), "unsupported": _("Unsupported"),
    "unset": _("Unset"), "idle": _("Without effect"),
}
#: The worst first: one word stands for all resources of a server.
_WORST = ("refused", "unsupported", "deflated", "drifted", "pending", "idle", "applied", "unset")
NOTHING = "\N{EN DASH}"
#: By how the API begins to say it.
_POLICIES = {"default policy ": _("default policy %(name)s"), "policy ": _("policy %(name)s")}


def title(row: Resource) -> str:
    """The name of a resource, at the beginning of a line."""
    text = term(row.title)
    return f"{text[0].upper()}{text[1:]}"


def figure(name: str, value: object) -> str:
    """A value of a resource, without its unit."""
    if value is None:
        return NOTHING
    if value == UNLIMITED and name in TABLE:
        return term(TABLE[name].none_word)
    return str(in_words(value))


def percent(value: float | None) -> str:
    """A part of a host."""
    return NOTHING if value is None else f"{value:.1f}"


def state_of(report: Report) -> str:
    """The state of one resource; "idle" where what is applied has no effect."""
    if report["requested"] is None:
        # what a host cannot do, and nobody asks of it, is no trouble
        return "pending" if report["state"] == "pending" else "unset"
    if report["state"] == "applied" and not report["effective"]:
        return "idle"
    return report["state"]


def source(report: Report) -> str:
    """Who decides a resource; of a policy with its revision."""
    told, revision = report.get("source", ""), report.get("policy_revision")
    for begin, text in _POLICIES.items():
        if told.startswith(begin):
            name = told.removeprefix(begin)
            return str(text) % {"name": name if revision is None else f"{name} ({revision})"}
    return NOTHING if told == "none" else term(told)


def worst(qos: Mapping[str, HeldReport]) -> tuple[str, str]:
    """The state that stands for all resources of a server, and why, by resource."""
    states = {name: state_of(report) for name, report in qos.items()}
    state = min(states.values(), key=_WORST.index, default="unset")
    if state in ("applied", "unset"):
        return state, ""
    return state, "; ".join(_why(name, each, qos[name]) for name, each in states.items()
                            if each not in ("applied", "unset"))


def _why(name: str, state: str, report: Saved) -> str:
    return f"{name}: {report.get('reason') or STATES[state]}"


def with_reason(word: object, reason: str) -> SafeString:
    """A word with its reason as a tooltip, which the keyboard reaches, too."""
    if not reason:
        return format_html("{}", word)
    return format_html(
        '<span data-toggle="tooltip" tabindex="0" title="{}">{} '
        '<span class="fa fa-info-circle" aria-hidden="true"></span></span>', reason, word)


def of(parts: Iterable[object]) -> str:
    """Such as "512 / 2048"."""
    return " / ".join(NOTHING if each is None else str(each) for each in parts)
