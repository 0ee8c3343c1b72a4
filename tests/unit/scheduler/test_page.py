# SPDX-License-Identifier: Apache-2.0
"""What the page on relief has operators write for nova's scheduler, as nova reads it."""

import re
import textwrap
from pathlib import Path

from nova.conf import scheduler
from oslo_config import cfg

PAGE = (Path(__file__).parents[3] / "doc/source/admin/relief.rst").read_text()


def test_filter_and_weigher_come_beside_novas_own(tmp_path: Path) -> None:
    found = re.search(r"^    \[filter_scheduler\]\n(?:    .*\n)+", PAGE, re.MULTILINE)
    assert found is not None
    (tmp_path / "nova.conf").write_text(textwrap.dedent(found[0]))
    options = cfg.ConfigOpts()
    scheduler.register_opts(options)
    options([], default_config_files=[str(tmp_path / "nova.conf")], default_config_dirs=[])
    group = options.filter_scheduler
    ours = "nova_qos.scheduler.guarantees."
    assert group.available_filters == [
        "nova.scheduler.filters.all_filters", f"{ours}GuaranteeFilter"]
    assert group.weight_classes == [
        "nova.scheduler.weights.all_weighers", f"{ours}GuaranteeWeigher"]
    # those of nova by default, with ours
    names = next(option for option in scheduler.filter_scheduler_opts
                 if option.name == "enabled_filters").default
    assert group.enabled_filters == [*names, "GuaranteeFilter"]
