# SPDX-License-Identifier: Apache-2.0
"""Sphinx configuration of the release notes: ``tox -e releasenotes``."""

project = "nova-qos release notes"
copyright = "nova-qos contributors"
extensions = ["openstackdocstheme", "reno.sphinxext"]
root_doc = "index"
html_theme = "openstackdocs"
# the theme would have every reader counted by somebody else
html_theme_options = {"analytics_tracking_code": "", "display_badge": False, "sidebar_mode": "toc",
                      "root_title": "nova-qos"}
openstackdocs_auto_name = False
openstackdocs_auto_version = False
version = release = ""
