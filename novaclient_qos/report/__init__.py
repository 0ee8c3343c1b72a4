# SPDX-License-Identifier: Apache-2.0
"""The report of a compute host: its figures, its history in Prometheus, and its page."""
