# SPDX-License-Identifier: Apache-2.0
"""What Horizon reads to find the panel."""
