# SPDX-License-Identifier: Apache-2.0
"""Minutes of random sets, operations and kills on the demo's cloud; then all must be as asked.

``python -m tests.soak --minutes 5 --seed 1`` with the cloud up (``tools/demo.sh --up``). The same
seed gives every actor the same choices; how they meet in time differs from run to run.
"""
