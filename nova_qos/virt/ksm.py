# SPDX-License-Identifier: Apache-2.0
"""Kernel samepage merging (KSM), as the kernel shows it."""

import errno
import re
from collections.abc import Mapping
from pathlib import Path

from nova_qos.core import errors

#: "[scan-time] none" is the choice of scan-time.
_CHOSEN = re.compile(r"\[(.+)\]")
_NO_RIGHT = (errno.EACCES, errno.EPERM, errno.EROFS)


class KernelKsm:
    """KSM of the host that the agent runs on."""

    def __init__(self, place: Path = Path("/sys/kernel/mm/ksm")) -> None:
        self._place = place

    def read(self) -> Mapping[str, str]:
        """See ``host_memory.Ksm``."""
        try:
            texts = {file.name: file.read_text().strip() for file in self._place.iterdir()}
        except FileNotFoundError as error:
            raise errors.HostCannot("this kernel has no KSM (CONFIG_KSM)") from error
        return {name: chosen.group(1) if (chosen := _CHOSEN.search(text)) else text
                for name, text in texts.items()}

    def write(self, values: Mapping[str, str]) -> None:
        """See ``host_memory.Ksm``."""
        for name, value in values.items():
            try:
                (self._place / name).write_text(value)
            except OSError as error:
                if error.errno in _NO_RIGHT:
                    raise errors.HostCannot(
                        f"the agent may not write {self._place / name}; give it the right "
                        "(nova-qos-agent-ksm.conf), or set [nova_qos_balance] ksm = leave"
                    ) from error
                raise errors.HostRefused(
                    f"{self._place / name} does not take {value}: {error.strerror}") from error
