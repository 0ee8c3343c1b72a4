# SPDX-License-Identifier: Apache-2.0
"""The tables of hosts and of the servers of a host."""

from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import urlencode

from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from horizon import exceptions, messages, tables

from nova_qos.client import Outcome
from nova_qos.resources import ASSIGN_RULE, TABLE
from nova_qos.words import details
from nova_qos_dashboard import words
from nova_qos_dashboard.cloud import FAILURES, Cloud, projects, sentence
from nova_qos_dashboard.hosts.rows import HostRow, ServerRow, servers

#: What a set dialog may offer: whoever may set none of these is not shown it.
SET_RULES = (("compute", TABLE["memory"].names.set_rule),)
_ASSIGN_RULES = (("compute", ASSIGN_RULE),)
#: Columns that are left out where no server of the host has something in the first of each.
_OPTIONAL = (("net_in_part", "net_in"), ("net_part", "net"), ("limits",), ("policies",),
             ("memory_guarantee",), ("memory_requested",))
_WITHOUT = "without"
_CONTINUE, _UNAVAILABLE = 100, 503


class Filter(tables.FilterAction):
    """Keeps the rows in which a word occurs; the browser does it while one types."""

    def filter(self, table: Any, rows: Iterable[Any], word: str) -> list[Any]:
        """The rows whose name has the word."""
        return [each for each in rows if word.lower() in each.name.lower()]


class _SettledRow(tables.Row):
    """A row that asks for itself again while it is not settled."""

    ajax = True

    @property
    def status(self) -> bool | None:
        return bool(self.datum.settled) if self.datum.settled is not None else None

    @property
    def status_class(self) -> str:
        return str(self.table.get_row_status_class(self.status))


class HostUpdate(_SettledRow):
    """Brings the counts of a host, for which its servers are asked."""

    def get_data(self, request: Any, host: str) -> HostRow:
        """The host with its servers."""
        cloud = Cloud(request)
        (state,) = cloud.qos.hosts(host)
        try:
            return HostRow(state, cloud.qos.host(host).servers)
        except FAILURES:
            # what is known of the host stays, and nobody asks again
            return HostRow(state, ())


def _number(transform: str, title: Any, **more: Any) -> tables.Column:
    return tables.Column(transform, verbose_name=title, classes=("text-right",),
                         empty_value=words.NOTHING, **more)


class _UpdatedRows:
    """Of a table whose rows the browser requests again."""

    def maybe_preempt(self) -> Any:
        """The row; 503 where nova did not answer, so that the old one stays."""
        answer = super().maybe_preempt()  # type: ignore[misc]
        # Horizon says 100 for what it recovers from, after which a browser waits for the rest
        if answer is not None and answer.status_code == _CONTINUE:
            answer.status_code = _UNAVAILABLE
        return answer


class HostsTable(_UpdatedRows, tables.DataTable):
    """The compute hosts of the cloud."""

    name = tables.WrappingColumn("name", verbose_name=_("Host"), link="horizon:admin:qos:host")
    agent = tables.Column("agent", verbose_name=_("Agent"))
    servers = _number("servers", _("Servers"))
    memory = _number("memory", _("Memory guaranteed / capacity (MiB)"))
    cpu = _number("cpu", _("CPU guaranteed / capacity (percent)"))
    network = _number("network", _("Network guaranteed / capacity (kbit/s)"))
    condition = tables.Column("condition", verbose_name=_("State"))
    drifted = _number("drifted", _("Drifted"))
    pending = _number("pending", _("Pending"))
    idle = _number("idle", _("Without effect"))

    class Meta:
        name = "hosts"
        verbose_name = _("Hosts")
        row_class = HostUpdate
        table_actions = (Filter,)


class ServerUpdate(_SettledRow):
    """Looks at a server again whose settings are still to come."""

    def get_data(self, request: Any, server_id: str) -> ServerRow:
        """The server as it is now.

        :raises NotFound: it has left the host
        """
        rows = servers_of(request, self.table.kwargs["host"])
        for each in rows:
            if each.id == server_id:
                return each
        raise exceptions.NotFound()

    def get_ajax_update_url(self) -> str:
        """With the columns that the page is without."""
        query = urlencode({_WITHOUT: ",".join(self.table.left_out)})
        return f"{super().get_ajax_update_url()}&{query}"


def servers_of(request: Any, host: str) -> list[ServerRow]:
    """The servers of a host with the names of their projects."""
    return servers(Cloud(request).qos.host(host), projects(request))


def dialog(name: str, host: str, ids: Sequence[str]) -> str:
    """The address of a dialog for servers of a host."""
    query = urlencode([("server", each) for each in ids])
    return f"{reverse(f'horizon:admin:qos:{name}', args=[host])}?{query}"


class _Dialog(tables.LinkAction):
    """A dialog for one server."""

    classes = ("ajax-modal",)
    policy_rules = SET_RULES

    def get_link_url(self, row: ServerRow) -> str:
        """The address of the dialog."""
        return dialog(self.name, row.host, [row.id])


class SetOne(_Dialog):
    """Settings of one server."""

    name, verbose_name = "set", _("Set")


class AssignOne(_Dialog):
    """The policy of one server."""

    name, verbose_name, policy_rules = "assign", _("Assign Policy"), _ASSIGN_RULES


class UnsetOne(_Dialog):
    """All settings of one server."""

    name, verbose_name = "unset", _("Unset All Settings")


class MoveFrom(_Dialog):
    """Memory of one server to another one."""

    name, verbose_name = "move", _("Move Memory")

    def allowed(self, request: Any, row: ServerRow | None = None) -> bool:
        """Both servers must run."""
        return row is None or row.status == "ACTIVE"


class _Selected(tables.Action):
    """A page for the servers that are selected."""

    target = ""

    def handle(self, table: Any, request: Any, ids: Sequence[str]) -> Any:
        """Go to that page."""
        return redirect(dialog(self.target, table.kwargs["host"], ids))


class SetSelected(_Selected):
    """Settings of several servers."""

    name, verbose_name, target, policy_rules = "set_selected", _("Set"), "set", SET_RULES
    verbose_name_plural = verbose_name


class AssignSelected(_Selected):
    """The policy of several servers."""

    name, verbose_name, target, policy_rules = (
        "assign_selected", _("Assign Policy"), "assign", _ASSIGN_RULES)
    verbose_name_plural = verbose_name


class UnsetSelected(_Selected):
    """All settings of several servers."""

    name, verbose_name, target, policy_rules = (
        "unset_selected", _("Unset All Settings"), "unset", SET_RULES)
    # not of the type "danger": the dialog asks whether to do it, so Horizon need not
    verbose_name_plural = verbose_name


def tell(
    request: Any, names: dict[str, str], results: dict[str, Any]
) -> None:
    """Say what became of each server, in messages on the next page."""
    for server_id, result in results.items():
        name = names.get(server_id, server_id)
        if not isinstance(result, Outcome):
            messages.error(request, f"{name}: {sentence(result)}")
            continue
        level = {"applied": messages.success, "pending": messages.info}.get(
            result.result, messages.warning)
        level(request, f"{name}: {details(result)}")


class ServersTable(_UpdatedRows, tables.DataTable):
    """The servers of a host."""

    name = tables.WrappingColumn(
        "name", verbose_name=_("Server"), link="horizon:admin:instances:detail")
    project = tables.WrappingColumn("project", verbose_name=_("Project"))
    vcpus = _number("vcpus", _("vCPUs"), summation="sum")
    memory_requested = _number("memory_requested", _("Memory requested"))
    memory_applied = _number("memory_applied", _("Memory applied"), summation="sum")
    flavor_mib = _number("flavor_mib", _("Memory of flavor"), summation="sum")
    memory_guarantee = _number("memory_guarantee", _("Memory guaranteed"), summation="sum")
    cpu = _number("cpu", _("CPU shares"))
    cpu_part = _number("cpu_part", _("CPU %"), summation="sum", filters=(words.percent,))
    disk = _number("disk", _("Disk weight"))
    disk_part = _number("disk_part", _("Disk %"), summation="sum", filters=(words.percent,))
    net = _number("net", _("Network priority"))
    net_part = _number("net_part", _("Network %"), summation="sum", filters=(words.percent,))
    net_in = _number("net_in", _("Inbound priority"))
    net_in_part = _number("net_in_part", _("Inbound %"), summation="sum", filters=(words.percent,))
    limits = tables.Column("limits", verbose_name=_("Limits, guarantees"))
    policies = tables.WrappingColumn("policies", verbose_name=_("Policies"))
    state = tables.Column("state", verbose_name=_("State"))

    class Meta:
        name, template = "servers", "nova_qos/servers.html"
        # there are many columns
        css_classes = "table-condensed small"
        verbose_name = _("Servers")
        row_class = ServerUpdate
        multi_select = True
        table_actions = (Filter, SetSelected, AssignSelected, UnsetSelected)
        row_actions = (SetOne, AssignOne, MoveFrom, UnsetOne)

    def __init__(self, request: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(request, *args, **kwargs)
        # a row that is brought again has the columns that the page has
        self._leave_out(request.GET.get(_WITHOUT, "").split(","))

    def set_multiselect_column_visibility(self, visible: bool = True) -> None:
        """Show the boxes where something can be done with the servers that are ticked. Horizon asks
        for actions of a kind of its own, which do not lead to a page."""
        super().set_multiselect_column_visibility(
            any(isinstance(action, _Selected) for action in self.get_table_actions()))

    def get_columns(self) -> Any:
        """The columns, without those in which nothing would stand."""
        if self.data:
            self._leave_out([names[0] for names in _OPTIONAL if not any(
                getattr(row, names[0]) not in (None, "") for row in self.data)])
        return super().get_columns()

    @property
    def left_out(self) -> list[str]:
        """What the columns that are left out are known by."""
        return [names[0] for names in _OPTIONAL if names[0] not in self.columns]

    def _leave_out(self, known_by: Sequence[str]) -> None:
        for names in _OPTIONAL:
            if names[0] in known_by:
                for name in names:
                    self.columns.pop(name, None)
