# SPDX-License-Identifier: Apache-2.0
"""Tests of nova-qos for Tempest, which run against any cloud; Tempest finds them by itself."""
