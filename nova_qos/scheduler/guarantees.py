# SPDX-License-Identifier: Apache-2.0
"""A filter and a weigher of nova's scheduler: hosts that can keep a server's guarantees.

Both are off until nova.conf names them. What the server is to be guaranteed is known of its flavor,
its project and the default policy; settings of its own are not part of nova's request. A host whose
figures are not known, or old, passes and has no weight: no server is ever kept from starting by
figures that are missing.
"""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from nova import conf as nova_conf
from nova.scheduler import filters, weights
from oslo_log import log

from nova_qos import conf
from nova_qos.core.server import SavedServer
from nova_qos.instances import settings
from nova_qos.scheduler.figures import Known, figures, fits, guaranteed

LOG = log.getLogger(__name__)
#: The weights of hosts on which the guarantees fit, of which nobody knows, and on which not.
_FITS, _UNKNOWN, _FITS_NOT = 1.0, 0.0, -1.0


class GuaranteeFilter(filters.BaseHostFilter):
    """Leaves out hosts that cannot keep the server's guarantees beside those of their servers."""

    RUN_ON_REBUILD = False

    def host_passes(self, host_state: Any, spec_obj: Any) -> bool:
        """Whether a host can keep them, or nobody knows."""
        passes = _weight(host_state, spec_obj) != _FITS_NOT
        if not passes:
            LOG.debug("%s cannot keep the guarantees of the server beside those of others",
                      host_state.host)
        return passes


class GuaranteeWeigher(weights.BaseHostWeigher):
    """Prefers hosts that can keep the server's guarantees beside those of their servers."""

    minval, maxval = _FITS_NOT, _FITS

    def weight_multiplier(self, host_state: Any) -> float:
        """How much it counts beside other weighers."""
        conf.register(nova_conf.CONF)
        multiplier: float = nova_conf.CONF.nova_qos.guarantee_weight_multiplier
        return multiplier

    def _weigh_object(self, host_state: Any, weight_properties: Any) -> float:
        return _weight(host_state, weight_properties)


def _weight(host_state: Any, request: Any) -> float:
    try:
        known = figures().known()
        return _UNKNOWN if known is None else _known_weight(host_state, request, known)
    except Exception:
        # whatever is wrong here, servers are to start
        LOG.exception("nova-qos: whether %s can keep guarantees is not known", host_state.host)
        return _UNKNOWN


def _known_weight(host_state: Any, request: Any, known: Known) -> float:
    wanted, state = _wanted(request, known), known.hosts.get(host_state.host)
    if not wanted or state is None or state.memory.capacity is None:
        return _UNKNOWN
    return _FITS if fits(state, wanted) else _FITS_NOT


def _wanted(request: Any, known: Known) -> Mapping[str, int]:
    instance = SimpleNamespace(flavor=request.flavor)
    return guaranteed(SavedServer(
        "", None, None, settings.flavor_of(instance), project=request.project_id or ""),
        known.catalog)
