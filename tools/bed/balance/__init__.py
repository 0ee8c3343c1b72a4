# SPDX-License-Identifier: Apache-2.0
"""Balancing of real guests: on this machine, in a control group that may hold too little for all of
them, and in a virtual host. Tests of several tiers and the evaluation play the same with it."""
