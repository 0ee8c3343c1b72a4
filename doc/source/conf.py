# SPDX-License-Identifier: Apache-2.0
"""Sphinx configuration."""

project = "nova-qos"
copyright = "nova-qos contributors"
extensions: list[str] = []
root_doc = "index"
html_theme = "alabaster"
