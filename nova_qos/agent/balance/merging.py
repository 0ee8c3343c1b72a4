# SPDX-License-Identifier: Apache-2.0
"""Kernel samepage merging, as far as balancing drives it."""

from collections.abc import Mapping

from oslo_log import log

from nova_qos.agent.balance import ksm
from nova_qos.agent.balance.ksm import KsmNow
from nova_qos.agent.balance.thresholds import Thresholds
from nova_qos.core.errors import QosError
from nova_qos.host_memory import Ksm

LOG = log.getLogger(__name__)
_PAGE_MIB = 4 / 1024


class Merging:
    """Has the kernel merge equal pages while that helps. Once the kernel holds other numbers than
    were written last, another program drives it: hands off until the agent's next start."""

    def __init__(self, kernel: Ksm, thresholds: Thresholds, is_wanted: bool) -> None:
        self._kernel, self._is_wanted = kernel, is_wanted
        self._rule = ksm.Merging(thresholds)
        self._written: Mapping[str, str] = {}
        self._complaint: str | None = None

    def follow(self, now_s: float, is_tense: bool, memory_mib: float) -> None:
        """Do what is to be done now; raises nothing."""
        if not self._is_wanted:
            return
        try:
            self._follow(now_s, is_tense, memory_mib)
        except QosError as error:
            if error.message != self._complaint:
                LOG.warning("KSM is left as it is: %s", error.message)
            self._complaint = error.message

    def _follow(self, now_s: float, is_tense: bool, memory_mib: float) -> None:
        files = self._kernel.read()
        strange = {name: files[name] for name, value in self._written.items()
                   if files.get(name, value) != value}
        if strange:
            LOG.warning("Another program sets KSM (%s): it is left as it is", strange)
            self._is_wanted = False
            return
        gained_mib = int(files.get("pages_sharing", 0)) * _PAGE_MIB
        values = self._rule.decide(now_s, is_tense, memory_mib, KsmNow(files, gained_mib))
        if values:
            self._kernel.write(values)
            self._written = values
            LOG.info("KSM: wrote %s", values)
