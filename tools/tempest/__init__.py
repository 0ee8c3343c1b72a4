# SPDX-License-Identifier: Apache-2.0
"""Nova's own tests on the demo's cloud, with and without nova-qos, and those of our plug-in."""
