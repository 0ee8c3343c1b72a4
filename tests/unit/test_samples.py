# SPDX-License-Identifier: Apache-2.0
"""The samples under etc/ are what the generators make of the code."""

from pathlib import Path

import pytest
from oslo_config import cfg
from oslo_config import generator as config_generator
from oslo_policy import generator as policy_generator

SAMPLES = Path(__file__).parents[2] / "etc" / "nova-qos"


@pytest.fixture
def generated(tmp_path: Path) -> dict[str, str]:
    config, policy = tmp_path / "nova.conf.sample", tmp_path / "policy.yaml.sample"
    config_generator.main(
        ["--namespace", "nova_qos", "--namespace", "nova_qos_hooks", "--wrap-width", "80",
         "--output-file", str(config)])
    policy_generator.generate_sample(
        ["--namespace", "nova_qos", "--output-file", str(policy)], conf=cfg.ConfigOpts())
    return {path.name: path.read_text() for path in (config, policy)}


@pytest.mark.parametrize("name", ["nova.conf.sample", "policy.yaml.sample"])
def test_sample_is_up_to_date(name: str, generated: dict[str, str]) -> None:
    assert (SAMPLES / name).read_text() == generated[name]
