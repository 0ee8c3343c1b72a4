# SPDX-License-Identifier: Apache-2.0
"""The tests; each leaves the cloud as it was."""
