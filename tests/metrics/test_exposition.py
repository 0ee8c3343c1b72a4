# SPDX-License-Identifier: Apache-2.0
"""What stands for the agent has every metric of the agent's, with its labels."""

import re

from nova_qos.core.metric import PREFIX, metrics
from nova_qos.resources import TABLE
from tests.metrics import exposition


def test_every_metric_with_its_labels() -> None:
    found = {name: tuple(sorted(re.findall(r'(\w+)="', labels)))
             for name, labels, _value in exposition.samples(0, 0)}
    assert found == {each.name: tuple(sorted(each.all_labels)) for each in metrics(TABLE)}
    assert exposition.names() == {PREFIX + name for name in found}
