# SPDX-License-Identifier: Apache-2.0
"""Dry runs: what a change would come to, computed by the client from what is there now."""
