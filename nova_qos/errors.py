# SPDX-License-Identifier: Apache-2.0
"""The documented errors under their documented names; the tree is ``nova_qos.core.errors``."""

from nova_qos.core.errors import ApiRefused, NotInstalled, QosError, UnknownNova

__all__ = ["ApiRefused", "NotInstalled", "QosError", "UnknownNova"]
