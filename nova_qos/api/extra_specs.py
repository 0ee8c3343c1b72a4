# SPDX-License-Identifier: Apache-2.0
"""The extra spec by which a flavor names its policy, for nova's own validation of extra specs.

nova's API loads this module by its entry point, and checks from microversion 2.86 on.
"""

from nova.api.validation.extra_specs import base

from nova_qos.core.policy import LONGEST_NAME
from nova_qos.core.server import FLAVOR_POLICY


def register() -> list[base.ExtraSpecValidator]:
    """What nova calls for the validators of this module."""
    return [base.ExtraSpecValidator(
        name=FLAVOR_POLICY,
        description="The named policy of nova-qos that servers of this flavor get. Servers that "
                    "exist keep the policy of the flavor that they were created or resized with.",
        value={
            "type": str,
            "description": "The name of a policy",
            "pattern": rf"\S(.{{0,{LONGEST_NAME - 2}}}\S)?",
        },
    )]
