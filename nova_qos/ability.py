# SPDX-License-Identifier: Apache-2.0
"""What a host can do with a resource of its servers, and why not more."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Ability:
    """``cannot`` says why the host refuses every setting as it is configured; ``without_effect``
    why it takes them and nothing comes of it. With neither it works, and ``how`` may tell by what
    means.
    """

    cannot: str | None = None
    without_effect: str | None = None
    how: str | None = None

    @property
    def works(self) -> bool:
        """A setting is taken and does what it is for."""
        return self.cannot is None and self.without_effect is None

    def __str__(self) -> str:
        if self.cannot is not None:
            return f"cannot because {self.cannot}"
        if self.without_effect is not None:
            return f"works without effect because {self.without_effect}"
        return f"works ({self.how})" if self.how else "works"
