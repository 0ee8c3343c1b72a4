# SPDX-License-Identifier: Apache-2.0
"""The table of named policies."""

from collections.abc import Sequence
from typing import Any

from django.shortcuts import redirect
from django.template.defaultfilters import yesno
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy
from horizon import messages, tables

from nova_qos.resources import ASSIGN_RULE
from nova_qos_dashboard.cloud import FAILURES, Cloud, sentence
from nova_qos_dashboard.hosts.tables import Filter

_CHANGE_RULES = (("compute", "os_compute_api:os-qos:policies:set"),)


class CreatePolicy(tables.LinkAction):
    """A new policy."""

    name, verbose_name, url = "create", _("Create Policy"), "horizon:admin:qos:create_policy"
    classes, icon, policy_rules = ("ajax-modal",), "plus", _CHANGE_RULES


class EditPolicy(tables.LinkAction):
    """What a policy says."""

    name, verbose_name, url = "edit", _("Edit Policy"), "horizon:admin:qos:edit_policy"
    classes, icon, policy_rules = ("ajax-modal",), "pencil", _CHANGE_RULES


class AssignProjects(tables.LinkAction):
    """The projects that get a policy."""

    name, verbose_name, url = "projects", _("Edit Projects"), "horizon:admin:qos:policy_projects"
    classes, policy_rules = ("ajax-modal",), (("compute", ASSIGN_RULE),)


class DeletePolicy(tables.DeleteAction):
    """Deletes policies that nobody uses."""

    policy_rules = _CHANGE_RULES
    help_text = _("A policy that somebody uses is not deleted.")

    @staticmethod
    def action_present(count: int) -> Any:
        """What is going to be done."""
        return ngettext_lazy("Delete Policy", "Delete Policies", count)

    @staticmethod
    def action_past(count: int) -> Any:
        """What was done."""
        return ngettext_lazy("Deleted policy", "Deleted policies", count)

    def handle(self, table: Any, request: Any, ids: Sequence[str]) -> Any:
        """Each on its own, with the API's reason where it refuses."""
        for policy_id in ids:
            name = table.get_object_by_id(policy_id).name
            try:
                Cloud(request).policies.delete(policy_id)
            except FAILURES as error:
                messages.error(request, f"{name}: {sentence(error)}")
            else:
                messages.success(request, _("Deleted policy: %s") % name)
        return redirect(self.get_success_url(request))


class PoliciesTable(tables.DataTable):
    """The policies of the cloud."""

    name = tables.WrappingColumn("name", verbose_name=_("Policy"), link="horizon:admin:qos:policy")
    description = tables.WrappingColumn("description", verbose_name=_("Description"))
    settings = tables.WrappingColumn("settings", verbose_name=_("Settings"))
    is_default = tables.Column("is_default", verbose_name=_("Default"), filters=(yesno,))
    projects = tables.WrappingColumn("projects", verbose_name=_("Projects"))
    revision = tables.Column("revision", verbose_name=_("Revision"), classes=("text-right",))

    class Meta:
        name = "policies"
        verbose_name = _("Policies")
        table_actions = (Filter, CreatePolicy, DeletePolicy)
        row_actions = (EditPolicy, AssignProjects, DeletePolicy)
