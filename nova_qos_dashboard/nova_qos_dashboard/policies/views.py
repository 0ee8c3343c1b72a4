# SPDX-License-Identifier: Apache-2.0
"""The page of a policy, and the dialogs for policies."""

from typing import Any

from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _
from horizon import exceptions, forms
from horizon.views import HorizonTemplateView

from nova_qos.client_policies import Seen
from nova_qos_dashboard.cloud import FAILURES, Cloud, projects, sentence
from nova_qos_dashboard.failing import Failing
from nova_qos_dashboard.policies.forms import CreateForm, EditForm, ProjectsForm
from nova_qos_dashboard.policies.rows import PolicyRow


def _list() -> str:
    return f"{reverse('horizon:admin:qos:index')}?tab=qos__policies"


class PolicyView(Failing, HorizonTemplateView):
    """A policy, and by whom it is used."""

    template_name = "nova_qos/policy.html"
    page_title = "{{ row.name|default:policy_id }}"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """The policy, or what went wrong."""
        seen = self.attempt(self._seen, None)
        row = None if seen is None else PolicyRow(seen.policy, projects(self.request))
        return super().get_context_data(**kwargs) | {
            "policy_id": self.kwargs["policy"], "seen": seen, "row": row,
            "failures": self.failures, "project_names": self._projects(seen)}

    def _seen(self) -> Seen:
        return Cloud(self.request).policies.get(self.kwargs["policy"], used_by=True)

    def _projects(self, seen: Seen | None) -> list[str]:
        if seen is None or seen.used_by is None:
            return []
        return [projects(self.request).get(each, each) for each in seen.used_by["projects"]]


class _PolicyDialog(forms.ModalFormView):
    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        """Go back to the list, with the reason, where there is nothing to show."""
        try:
            return super().dispatch(request, *args, **kwargs)
        except FAILURES as error:
            exceptions.handle(request, sentence(error), redirect=_list())
            raise exceptions.Http302(_list(), sentence(error)) from error

    def get_success_url(self) -> str:
        """The list of policies."""
        return _list()

    get_cancel_url = get_success_url

    def get_context_data(self, **kwargs: Any) -> Any:
        """With where the form goes."""
        context = super().get_context_data(**kwargs)
        context["submit_url"] = self.request.path
        return context


class CreateView(_PolicyDialog):
    """A new policy."""

    form_class, template_name = CreateForm, "nova_qos/create_policy.html"
    modal_id, form_id = "qos_create_modal", "qos_create_form"
    page_title = modal_header = _("Create Policy")


class _KnownPolicyDialog(_PolicyDialog):
    used_by = False

    @cached_property
    def before(self) -> Seen:
        """The policy."""
        return Cloud(self.request).policies.get(self.kwargs["policy"], used_by=self.used_by)

    def get_form_kwargs(self) -> dict[str, Any]:
        """With the policy as it is."""
        return super().get_form_kwargs() | {"before": self.before}

    def get_context_data(self, **kwargs: Any) -> Any:
        """With the policy as it is."""
        context = super().get_context_data(**kwargs)
        context["policy"] = self.before.policy
        return context


class EditView(_KnownPolicyDialog):
    """What a policy says."""

    form_class, template_name, used_by = EditForm, "nova_qos/edit_policy.html", True
    modal_id, form_id = "qos_edit_modal", "qos_edit_form"
    page_title = modal_header = _("Edit Policy")


class ProjectsView(_KnownPolicyDialog):
    """The projects of a policy."""

    form_class, template_name = ProjectsForm, "nova_qos/policy_projects.html"
    modal_id, form_id = "qos_projects_modal", "qos_projects_form"
    page_title = modal_header = _("Projects of a Policy")
