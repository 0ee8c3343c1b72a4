# SPDX-License-Identifier: Apache-2.0
"""The message catalogues of the dashboard.

``python tools/messages.py``, in an environment with Horizon, writes ``django.pot`` and brings its
sentences into the catalogue of each language; a test compares them.
"""

import os
import sys
from pathlib import Path

from babel.messages.frontend import CommandLineInterface

DISTRIBUTION = Path(__file__).parents[1] / "nova_qos_dashboard"
LOCALE = DISTRIBUTION / "nova_qos_dashboard/locale"
TEMPLATE = LOCALE / "django.pot"
_KEYWORDS = ("gettext_lazy", "gettext_noop", "ngettext_lazy:1,2")
#: Lines move more often than sentences.
_FORM = ("--add-location=file", "--width=100")


def extract(target: Path) -> None:
    """Write all sentences of the dashboard."""
    _run("extract", "-F", "babel-django.cfg", *_FORM, "--sort-by-file",
         *(f"--keyword={each}" for each in _KEYWORDS),
         "--project=nova-qos-dashboard", "--version=1.0.0",
         "--copyright-holder=nova-qos maintainers", "--msgid-bugs-address=",
         "-o", str(target), "nova_qos_dashboard")


def update() -> None:
    """Bring the sentences into each language, without guesses at those that are new."""
    _run("update", "--no-fuzzy-matching", "--ignore-obsolete", "--width=100", "-D", "django",
         "-i", str(TEMPLATE), "-d", str(LOCALE))


def _run(*words: str) -> None:
    # the places of sentences are told from here
    os.chdir(DISTRIBUTION)
    if CommandLineInterface().run(["pybabel", "-q", *words]):
        sys.exit(1)


if __name__ == "__main__":
    extract(TEMPLATE)
    update()
