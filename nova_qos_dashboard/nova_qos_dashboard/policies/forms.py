# SPDX-License-Identifier: Apache-2.0
"""The dialogs that create and edit a policy, and assign it to projects."""

from collections.abc import Iterator, Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from horizon import forms, messages

from nova_qos.client_policies import Seen
from nova_qos.core import errors
from nova_qos.core.policy import LONGEST_NAME, Value
from nova_qos.core.resource import Resource
from nova_qos.dry_run import runs
from nova_qos.resources import TABLE
from nova_qos_dashboard import words
from nova_qos_dashboard.cloud import Cloud, projects
from nova_qos_dashboard.hosts.fields import FAMILIES
from nova_qos_dashboard.preview import Preview, PreviewForm, require
from nova_qos_dashboard.terms import term


class _SettingFields(forms.SelfHandlingForm):
    """A field for each resource, which takes relative values, too."""

    present: Mapping[str, Value] = {}

    def add_settings(self) -> None:
        """Add the fields, after all others."""
        for name, row in TABLE.items():
            self.fields[name] = forms.CharField(
                label=words.title(row), required=False, max_length=32,
                initial=str(self.present.get(name, "")), widget=forms.TextInput(attrs={
                    "class": "form-control", "placeholder": _("not set"),
                    "aria-describedby": f"hint_{name}", "autocomplete": "off"}))

    @property
    def families(self) -> Iterator[tuple[Any, list[tuple[Any, str]]]]:
        """The fields of each family with their hints."""
        for title, rows in FAMILIES.items():
            yield title, [(self[row.name], _hint(row)) for row in rows]

    def clean(self) -> dict[str, Any]:
        """Each field as a value, with an error of its own."""
        data: dict[str, Any] = super().clean()
        for name, row in TABLE.items():
            try:
                data[name] = _read(row, data.get(name) or "")
            except errors.InvalidSetting as error:
                self.add_error(name, ValidationError(error.message))
        return data

    def settings(self, data: Mapping[str, Any]) -> dict[str, Value]:
        """What the fields say."""
        return {name: data[name] for name in TABLE if data.get(name) is not None}


def _read(row: Resource, text: str) -> Value | None:
    if not text:
        return None
    relative = None if row.relative is None else row.relative.read(text.strip())
    return row.value.parse(text, row.unit) if relative is None else relative


def _hint(row: Resource) -> str:
    relative = "" if row.relative is None else _("Or %(relative)s.") % {
        "relative": term(row.relative.words)}
    return f"{term(row.unit.name)}: {term(range_of(row))} {relative}".rstrip()


def range_of(row: Resource) -> str:
    """What a policy can have of a resource, as the table says it."""
    return row.describe().partition(": ")[2].partition(", ")[2]


class CreateForm(_SettingFields, PreviewForm):
    """A new policy."""

    name = forms.CharField(label=_("Name"), max_length=LONGEST_NAME)
    description = forms.CharField(label=_("Description"), required=False, max_length=255)
    is_default = forms.BooleanField(
        label=_("Default policy, for all servers without another one"), required=False)

    def __init__(self, request: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(request, *args, **kwargs)
        self.add_settings()

    def asked(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """The policy."""
        return {"name": data["name"], "description": data["description"],
                "is_default": data["is_default"], "settings": self.settings(data)}

    def foresee(self, cloud: Cloud, asked: Any) -> Preview:
        """The servers that have it at once: all of the default, and those whose flavor names it."""
        return of_policies(runs.of_creation(
            cloud, _silent, asked["name"], asked["settings"], asked["is_default"]))

    def send(self, request: Any, asked: Any) -> bool:
        """Create it."""
        made = Cloud(request).policies.create(
            asked["name"], asked["settings"], description=asked["description"],
            is_default=asked["is_default"])
        messages.success(request, _("Created policy: %s") % made["name"])
        return True


class EditForm(_SettingFields, PreviewForm):
    """A policy as it was seen; nobody may have changed it when the change is sent."""

    revision = forms.IntegerField(widget=forms.HiddenInput)
    description = forms.CharField(label=_("Description"), required=False, max_length=255)
    is_default = forms.BooleanField(
        label=_("Default policy, for all servers without another one"), required=False)

    def __init__(self, request: Any, *args: Any, before: Seen, **kwargs: Any) -> None:
        self.before, self.present = before, before.policy["settings"]
        super().__init__(request, *args, **kwargs)
        self.add_settings()
        for name in ("description", "is_default", "revision"):
            self.fields[name].initial = dict(before.policy)[name]

    def asked(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """What is different."""
        policy = dict(self.before.policy)
        if data["revision"] != policy["revision"]:
            raise errors.PolicyChanged(str(_(
                "The policy was changed meanwhile. Close the dialog and open it again.")))
        unknown = {name: value for name, value in self.present.items() if name not in TABLE}
        wanted = {"description": data["description"], "is_default": data["is_default"],
                  "settings": {**unknown, **self.settings(data)}}
        changed = {name: value for name, value in wanted.items()
                   if value != policy[name]}
        require(changed)
        return changed

    def foresee(self, cloud: Cloud, asked: Any) -> Preview:
        """All servers that the policy reaches, and their neighbours."""
        return of_policies(runs.of_policy(cloud, _silent, self.before, asked))

    def send(self, request: Any, asked: Any) -> bool:
        """Change the revision that was seen."""
        policy = Cloud(request).policies.change(self.before, **asked)
        messages.success(request, _("Policy %(name)s has revision %(revision)s; hosts apply it "
                                    "within seconds.") % policy)
        return True


class ProjectsForm(PreviewForm):
    """Which projects get a policy."""

    projects = forms.MultipleChoiceField(
        label=_("Projects"), required=False, widget=forms.SelectMultiple(attrs={"size": 10}),
        help_text=_("A project has one policy: it loses the one that it had."))

    def __init__(self, request: Any, *args: Any, before: Seen, **kwargs: Any) -> None:
        super().__init__(request, *args, **kwargs)
        self.before, self._now = before, set(before.policy.get("projects", ()))
        names = {**{each: each for each in self._now}, **projects(request)}
        self.fields["projects"].choices = sorted(names.items(), key=lambda each: each[1].lower())
        self.fields["projects"].initial = sorted(self._now)

    def asked(self, data: Mapping[str, Any]) -> dict[str, list[str]]:
        """The projects that get it, and those that lose it."""
        wanted = set(data["projects"])
        require(wanted != self._now)
        return {"added": sorted(wanted - self._now), "removed": sorted(self._now - wanted)}

    def foresee(self, cloud: Cloud, asked: Any) -> Preview:
        """The servers of these projects, and their neighbours."""
        return of_policies(runs.of_projects(
            cloud, _silent, self.before.policy["id"], asked["added"], asked["removed"]))

    def send(self, request: Any, asked: Any) -> bool:
        """One request for each project."""
        policies, policy = Cloud(request).policies, self.before.policy
        for project in asked["removed"]:
            policies.remove_project(policy["id"], project)
        for project in asked["added"]:
            policies.add_project(policy["id"], project)
        messages.success(request, _("Changed the projects of policy %s.") % policy["name"])
        return True


def of_policies(run: runs.PolicyRun) -> Preview:
    """The preview of a change of policies."""
    notes = [ngettext(
        "%(count)d server would be changed.", "%(count)d servers would be changed.", run.changed)
        % {"count": run.changed}, *run.forecast.promises]
    if run.elsewhere:
        notes.append(ngettext(
            "Not shown: %(count)d server on no host, which changes when it starts.",
            "Not shown: %(count)d servers on no host, which change when they start.",
            run.elsewhere) % {"count": run.elsewhere})
    return Preview(run.forecast, notes)


def _silent(_told: str) -> None:
    """A page has no line to say on how far a dry run has come."""
