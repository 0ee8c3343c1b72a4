# SPDX-License-Identifier: Apache-2.0
"""Post-create hooks that come with nova-qos, importable as ``nova_qos_hooks``."""
