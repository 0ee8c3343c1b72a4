# SPDX-License-Identifier: Apache-2.0
"""The tab on nova's own page of an instance."""
