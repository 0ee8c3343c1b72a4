# SPDX-License-Identifier: Apache-2.0
"""Horizon with our panel: on a cloud in memory, and in a browser on the demo's cloud."""
