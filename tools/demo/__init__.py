# SPDX-License-Identifier: Apache-2.0
"""Reallocation between three running servers, each step seen from three sides."""
