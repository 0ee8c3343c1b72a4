# SPDX-License-Identifier: Apache-2.0
"""What is judged of real guests that are balanced, in tests of several tiers; ``tools.bed.balance``
brings the guests and their host."""
