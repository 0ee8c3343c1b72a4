# SPDX-License-Identifier: Apache-2.0
"""A small real OpenStack on one machine, from released packages, each service its own process."""
