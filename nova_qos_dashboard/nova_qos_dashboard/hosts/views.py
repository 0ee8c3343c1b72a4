# SPDX-License-Identifier: Apache-2.0
"""The page of a host, and the dialogs for its servers."""

from collections.abc import Mapping
from typing import Any

from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _
from horizon import exceptions, forms, tables

from nova_qos.client import Host, HostState, Listed
from nova_qos_dashboard.cloud import FAILURES, Cloud, sentence
from nova_qos_dashboard.failing import Failing
from nova_qos_dashboard.grafana import link
from nova_qos_dashboard.hosts.assign import AssignForm
from nova_qos_dashboard.hosts.move import MoveForm
from nova_qos_dashboard.hosts.rows import ServerRow
from nova_qos_dashboard.hosts.set import SetForm
from nova_qos_dashboard.hosts.tables import ServersTable, dialog, servers_of
from nova_qos_dashboard.hosts.unset import UnsetForm
from nova_qos_dashboard.terms import term


class HostView(Failing, tables.DataTableView):
    """A host and its servers."""

    table_class = ServersTable
    template_name = "nova_qos/host.html"
    page_title = "{{ host_name }}"

    def get_data(self) -> list[ServerRow]:
        """The servers: one request to nova for every hundred."""
        return self.attempt(lambda: servers_of(self.request, self.kwargs["host"]), [])

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """With the host as a whole."""
        state = self.attempt(self._state, None)
        return super().get_context_data(**kwargs) | {
            "host_name": self.kwargs["host"], "state": state, "failures": self.failures,
            "agent": state and term(state.agent), "condition": state and term(state.state or ""),
            "grafana": link("host", host=self.kwargs["host"])}

    def _state(self) -> HostState:
        (state,) = Cloud(self.request).qos.hosts(self.kwargs["host"])
        return state


class _ServersDialog(forms.ModalFormView):
    """A dialog for some servers of a host, which the address names."""

    url_name = ""

    @cached_property
    def host(self) -> Host:
        """The host with all its servers."""
        return Cloud(self.request).qos.host(self.kwargs["host"])

    @cached_property
    def servers(self) -> list[Listed]:
        """The servers that the dialog is for.

        :raises NotFound: none of them is there any longer
        """
        wanted = set(self.request.GET.getlist("server"))
        found = [each for each in self.host.servers if each["id"] in wanted]
        if not found:
            raise exceptions.NotFound(_("The server is no longer on this host."))
        return found

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        """Go back to the host, with the reason, where there is nothing to show."""
        try:
            return super().dispatch(request, *args, **kwargs)
        except (*FAILURES, exceptions.NotFound) as error:
            exceptions.handle(request, sentence(error), redirect=self.get_success_url())
            raise exceptions.Http302(self.get_success_url(), sentence(error)) from error

    def get_form_kwargs(self) -> dict[str, Any]:
        """With the host and its servers."""
        return super().get_form_kwargs() | {"host": self.host, "servers": self.servers}

    def get_success_url(self) -> str:
        """The page of the host."""
        return reverse("horizon:admin:qos:host", args=[self.kwargs["host"]])

    get_cancel_url = get_success_url

    def get_context_data(self, **kwargs: Any) -> Mapping[str, Any]:
        """With where the form goes, and whether it only shows what would change."""
        context = super().get_context_data(**kwargs)
        context["submit_url"] = dialog(
            self.url_name, self.kwargs["host"], [each["id"] for each in self.servers])
        context["servers"] = self.servers
        return context


class SetView(_ServersDialog):
    """Settings of servers."""

    form_class = SetForm
    template_name = "nova_qos/set.html"
    url_name, modal_id, form_id = "set", "qos_set_modal", "qos_set_form"
    page_title = modal_header = _("Set QoS")


class AssignView(_ServersDialog):
    """The policy of servers."""

    form_class = AssignForm
    template_name = "nova_qos/assign.html"
    url_name, modal_id, form_id = "assign", "qos_assign_modal", "qos_assign_form"
    page_title = modal_header = _("Assign Policy")


class UnsetView(_ServersDialog):
    """All settings of servers, but not their policy."""

    form_class = UnsetForm
    template_name = "nova_qos/unset.html"
    url_name, modal_id, form_id = "unset", "qos_unset_modal", "qos_unset_form"
    page_title = modal_header = _("Unset All Settings")


class MoveView(_ServersDialog):
    """Memory of one server to another."""

    form_class = MoveForm
    template_name = "nova_qos/move.html"
    url_name, modal_id, form_id = "move", "qos_move_modal", "qos_move_form"
    page_title = modal_header = _("Move Memory")
