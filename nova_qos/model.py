# SPDX-License-Identifier: Apache-2.0
"""What post-create hooks are given, under the name that hooks import it by."""

from nova_qos.core.server import Flavor, NewServer

__all__ = ["Flavor", "NewServer"]
