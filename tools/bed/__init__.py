# SPDX-License-Identifier: Apache-2.0
"""A private libvirt, small real guests and the daemons around them, for the demo and the tests."""
