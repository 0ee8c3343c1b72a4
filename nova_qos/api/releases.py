# SPDX-License-Identifier: Apache-2.0
"""Which releases of nova we know, told before anything of nova is touched.

nova promises nothing about the names that we build on, so an untested release is refused at load,
with the reason, before a customer's request fails.
"""

import pkgutil
from collections.abc import Iterable
from importlib import metadata

from nova_qos.core import errors

#: Major versions: 2025.1, 2025.2, 2026.1 and 2026.2.
KNOWN = (31, 32, 33, 34)
#: What is neither in nova's documentation nor so general that nova itself could not do without.
NEEDED = (
    "nova.api.openstack.common.ViewBuilder._get_next_link",
    "nova.api.openstack.common.get_limit_and_marker",
    "nova.api.openstack.common.status_from_state",
    "nova.api.openstack.compute.APIRouterV21.factory",
    "nova.api.openstack.wsgi.Resource.register_subcontroller_actions",
    "nova.api.openstack.wsgi.action",
    "nova.api.openstack.wsgi.expected_errors",
    "nova.api.validation.parameter_types.single_param",
    "nova.api.validation.query_schema",
    "nova.api.validation.schema",
    "nova.compute.api.API.get",
    "nova.compute.api.API.get_all",
    "nova.context.get_admin_context",
    "nova.context.is_cell_failure_sentinel",
    "nova.context.scatter_gather_cells",
    "nova.context.scatter_gather_single_cell",
    "nova.context.set_target_cell",
    "nova.context.target_cell",
    "nova.db.main.models.InstanceExtra.flavor",
    "nova.objects.cell_mapping.CellMappingList.get_all",
    "nova.objects.compute_node.ComputeNode.get_first_node_by_host_for_old_compat",
    "nova.objects.compute_node.ComputeNodeList.get_all",
    "nova.objects.flavor.FlavorList.get_all",
    "nova.objects.host_mapping.HostMapping.get_by_host",
    "nova.objects.host_mapping.HostMappingList.get_all",
    "nova.objects.instance.Instance.get_by_uuid",
    "nova.objects.instance.InstanceList.get_by_filters",
    "nova.objects.instance_action.InstanceAction.action_start",
    "nova.objects.instance_action.InstanceActionEvent.event_finish_with_failure",
    "nova.objects.instance_mapping.InstanceMapping.get_by_instance_uuid",
    "nova.objects.instance_mapping.InstanceMappingList.get_by_instance_uuids",
    "nova.policy._ENFORCER",
    "nova.policy.init",
    "nova.rpc.ClientRouter",
    "nova.rpc.get_client",
)
_WAY_OUT = ("Install a nova-qos that knows it, or take nova-qos out of the API: "
            "nova-qos-paste disable /etc/nova/api-paste.ini")


def check(version: str | None = None, needed: Iterable[str] = NEEDED) -> None:
    """Make sure that we know the nova that is installed.

    :param version: instead of what its package says
    :raises UnknownNova: a release that was never tried, or one without what we build on
    """
    try:
        version = version or metadata.version("nova")
    except metadata.PackageNotFoundError as error:
        raise errors.UnknownNova(f"cannot determine the version of nova: {error}") from error
    if version.partition(".")[0] not in map(str, KNOWN):
        raise errors.UnknownNova(
            f"nova {version} is installed; this nova-qos knows nova {KNOWN[0]} to {KNOWN[-1]}. "
            f"{_WAY_OUT}")
    missing = [name for name in needed if not _exists(name)]
    if missing:
        raise errors.UnknownNova(
            f"nova {version} is installed, but has no {', '.join(missing)}. {_WAY_OUT}")


def _exists(name: str) -> bool:
    try:
        pkgutil.resolve_name(name)
    except (ImportError, AttributeError):
        return False
    return True
