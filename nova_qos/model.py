# SPDX-License-Identifier: Apache-2.0
"""The types that post-create hooks receive, under their documented import name."""

from nova_qos.core.server import Flavor, NewServer

__all__ = ["Flavor", "NewServer"]
