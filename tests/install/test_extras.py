# SPDX-License-Identifier: Apache-2.0
"""nova-qos in fresh environments: what each extra brings, and that it runs."""

import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: What brings a compiler, a host or nova along.
HEAVY = {"nova", "libvirt-python", "eventlet", "sqlalchemy", "oslo-messaging", "pyroute2"}
MOST_DISTRIBUTIONS = 50

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package, made from a copy of this tree."""
    out = tmp_path_factory.mktemp("wheel")
    tree = tmp_path_factory.mktemp("tree")
    for name in subprocess.run(
            ["git", "-C", ROOT, "ls-files"], capture_output=True, text=True).stdout.splitlines():
        target = tree / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_file():
            target.write_bytes((ROOT / name).read_bytes())
    subprocess.run([sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", out, tree],
                   check=True, env={"PBR_VERSION": "0.0.1", "PATH": "/usr/bin:/bin"})
    (path,) = out.glob("nova_qos-*.whl")
    return path


@pytest.fixture
def installed(wheel: Path, tmp_path: Path) -> Callable[[str], Run]:
    """Installs it with extras into an environment of its own, where commands then run."""
    def install(extras: str) -> Run:
        venv.create(tmp_path / "venv", with_pip=True)
        programs = tmp_path / "venv/bin"

        def run(*words: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run([programs / words[0], *words[1:]], capture_output=True, text=True,
                                  cwd=tmp_path)

        # what is never imported need not be compiled
        done = run("pip", "install", "-q", "--no-compile", "--disable-pip-version-check",
                   f"{wheel}{extras}")
        assert done.returncode == 0, done.stderr
        return run

    return install


def distributions(run: Run) -> set[str]:
    listed = run("pip", "list", "--format=freeze", "--disable-pip-version-check").stdout
    names = {line.partition("==")[0].lower().replace("_", "-") for line in listed.splitlines()}
    return names - {"pip", "setuptools"}


def test_clients_are_light_and_run(installed: Callable[[str], Run]) -> None:
    run = installed("")
    found = distributions(run)
    assert len(found) <= MOST_DISTRIBUTIONS
    assert found.isdisjoint(HEAVY)
    assert "MiB" in run("nova", "help", "lv-set-mem").stdout
    from_python = run("python", "-c", "from nova_qos.client import Client; from nova_qos import "
                      "errors, sharing; from novaclient_qos.osc import change; print(Client)")
    assert from_python.stdout == "<class 'nova_qos.client.Client'>\n", from_python.stderr
    assert "enable" in run("nova-qos-paste", "--help").stdout
    for program, extra in (("nova-qos-agent", "agent"), ("nova-qos-manage", "policies")):
        without = run(program)
        assert without.returncode == 1
        assert f"pip install 'nova-qos[{extra}]'" in without.stderr
        assert "Traceback" not in without.stderr


def test_the_openstack_command_finds_it(installed: Callable[[str], Run]) -> None:
    run = installed("")
    assert run("pip", "install", "-q", "python-openstackclient").returncode == 0
    assert "--cpu-priority" in run("openstack", "server", "qos", "set", "--help").stdout


def test_the_extra_of_the_report_draws(installed: Callable[[str], Run]) -> None:
    run = installed("[report]")
    found = distributions(run)
    assert "matplotlib" in found
    assert found.isdisjoint(HEAVY)
    done = run("python", "-c", "from novaclient_qos.report import page, plots; "
               "print(plots.pairs([('web', 25.0, 12.5)], 'percent', 'about')[:4])")
    assert done.stdout == "<svg\n", done.stderr


def test_the_extra_of_tempest_brings_tests(installed: Callable[[str], Run]) -> None:
    run = installed("[tempest]")
    assert distributions(run).isdisjoint(HEAVY)
    done = run("python", "-c", "import unittest; from tempest.test_discover import plugins; "
               "found = plugins.TempestTestPluginManager().get_plugin_load_tests_tuple(); "
               "tests, top = found['nova_qos']; loader = unittest.TestLoader(); "
               "suite = loader.discover(tests, top_level_dir=top); "
               "print(loader.errors, suite.countTestCases() > 10)")
    assert done.stdout == "[] True\n", done.stdout + done.stderr
    sample = run("oslo-config-generator", "--namespace", "tempest.config").stdout
    assert "[nova_qos]" in sample
    assert "#apply_timeout = 60" in sample


def test_the_extra_of_the_api_mounts(installed: Callable[[str], Run]) -> None:
    run = installed("[api]")
    assert "libvirt-python" not in distributions(run)
    done = run("python", "-c", "import nova_qos.api.mount as mount; print(mount.Router.factory)")
    assert done.returncode == 0, done.stderr
    assert "Router" in done.stdout


def test_the_extra_of_the_policies_manages_them(
    installed: Callable[[str], Run], tmp_path: Path
) -> None:
    run = installed("[policies]")
    assert distributions(run).isdisjoint({"nova", "libvirt-python"})
    conf = tmp_path / "nova.conf"
    conf.write_text(f"[nova_qos_database]\nconnection = sqlite:///{tmp_path}/policies.db\n")
    for command in ("sync", "check"):
        done = run("nova-qos-manage", "--config-file", str(conf), "db", command)
        assert done.returncode == 0, done.stderr


def test_the_extra_of_the_agent_runs(installed: Callable[[str], Run], tmp_path: Path) -> None:
    run = installed("[agent]")
    conf = tmp_path / "nova.conf"
    conf.write_text("[libvirt]\nconnection_uri = qemu+unix:///system?socket=/nonexistent\n")
    done = run("nova-qos-agent", "--config-file", str(conf), "--check")
    assert (done.returncode, done.stderr) == (1, ""), done.stderr
    assert "Start libvirtd" in done.stdout
