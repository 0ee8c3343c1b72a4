# SPDX-License-Identifier: Apache-2.0
"""The words of resources and hosts in the language of the person: nova-qos has them in English."""

from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _

#: For the message catalogue; a test holds that it has all words that pages show.
WORDS = frozenset((
    # resources
    _("memory"), _("memory soft limit"), _("memory guarantee"), _("memory priority"),
    _("CPU priority"), _("CPU limit"), _("CPU guarantee"),
    _("disk I/O priority"), _("disk I/O limit"), _("disk rate limit"),
    _("network priority"), _("network limit"), _("network guarantee"),
    _("inbound network priority"), _("inbound network limit"), _("inbound network guarantee"),
    # units
    _("MiB"), _("shares"), _("weight"), _("prio"), _("percent of one CPU"), _("IOPS"), _("KiB/s"),
    _("kbit/s"),
    # ranges
    _("0 (highest) to 98, or -1 to lift it."), _("1 to 1000."), _("2 to 262144."),
    _("1 to 1099511627776, or -1 to lift it."), _("1 to the flavor's memory."),
    _("1 to the flavor's memory, or -1 to lift it."),
    _("1 to 100 for each vCPU, or -1 to lift it."),
    _("10 to 100 for each vCPU, or -1 to lift it."), _("10 to 1000000, or -1 to lift it."),
    _("100 to 1000."), _("100 to 100000000, or -1 to lift it."),
    _("1024 to 1073741824, or -1 to lift it."),
    # relative values
    _('a part of the flavor\'s memory, "1%" to "100%"'),
    _('so much for each vCPU, "1%/vcpu" to "100%/vcpu"'),
    _('so much for each vCPU, such as "512/vcpu"'),
    # parts of a host
    _("CPU %"), _("Disk I/O %"), _("Network %"), _("Network In %"),
    # for no setting, and who decides one
    _("none"), _("unlimited"), _("server"), _("hook"), _("unknown"),
    # hosts and their agents
    _("calm"), _("tense"), _("short"), _("up"), _("down"), _("older"),
))


def term(word: str) -> str:
    """The word as the person reads it."""
    return gettext(word) if word else word
