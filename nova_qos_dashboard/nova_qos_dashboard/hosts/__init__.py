# SPDX-License-Identifier: Apache-2.0
"""Compute hosts and what their servers get of them."""
