# SPDX-License-Identifier: Apache-2.0
"""Sphinx configuration: ``tox -e docs``."""

project = "nova-qos"
copyright = "nova-qos contributors"
extensions = [
    "openstackdocstheme",
    "oslo_config.sphinxext",
    "oslo_policy.sphinxext",
]
root_doc = "index"
html_theme = "openstackdocs"
# the theme would have every reader counted by somebody else
html_theme_options = {"analytics_tracking_code": "", "display_badge": False, "sidebar_mode": "toc",
                      "root_title": "nova-qos"}
pygments_style = "native"
openstackdocs_auto_name = False
openstackdocs_auto_version = False
openstackdocs_use_storyboard = False
version = release = ""
