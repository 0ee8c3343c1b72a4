# SPDX-License-Identifier: Apache-2.0
"""Compiles the message catalogues where the distribution is built or installed."""

from pathlib import Path

import setuptools
from babel.messages import mofile, pofile
from setuptools.command.build_py import build_py


class BuildWithMessages(build_py):
    """Has a ``.mo`` beside each ``.po``: in what is built, or in an editable tree itself."""

    def run(self) -> None:
        """Copy what the package has, and compile."""
        super().run()
        place = Path() if self.editable_mode else Path(self.build_lib)
        for source in Path("nova_qos_dashboard/locale").rglob("*.po"):
            target = place / source.with_suffix(".mo")
            target.parent.mkdir(parents=True, exist_ok=True)
            with source.open("rb") as text, target.open("wb") as compiled:
                mofile.write_mo(compiled, pofile.read_po(text))


setuptools.setup(cmdclass={"build_py": BuildWithMessages})
