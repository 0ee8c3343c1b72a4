# SPDX-License-Identifier: Apache-2.0
"""The model of an overcommitted host that the rule of balancing is measured on."""
