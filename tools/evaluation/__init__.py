# SPDX-License-Identifier: Apache-2.0
"""The evaluation of the thesis that the project comes from, made again on real guests."""
