# SPDX-License-Identifier: Apache-2.0
"""What packagers get: everything is in the sdist, everything that runs is in the wheel."""

import configparser
import gettext
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

from tests.unit.required import requirements

ROOT = Path(__file__).parents[2]
_CACHES = shutil.ignore_patterns(
    ".git", "__pycache__", ".*_cache", ".hypothesis", "*.egg-info", ".tox", "build", "dist", "*.mo")
#: git asks for them where no user has told it.
_SOMEBODY = {f"GIT_{who}_{what}": "nobody" for who in ("AUTHOR", "COMMITTER")
             for what in ("NAME", "EMAIL")}


def _run(*words: str | Path, cwd: Path | None = None) -> None:
    done = subprocess.run(words, cwd=cwd, env={**os.environ, **_SOMEBODY}, capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of this tree in git: pbr asks git for the version, and what belongs to it."""
    tree = tmp_path_factory.mktemp("build") / "tree"
    shutil.copytree(ROOT, tree, ignore=_CACHES)
    _run("git", "init", "-q", cwd=tree)
    _run("git", "add", "-A", cwd=tree)
    _run("git", "commit", "-q", "-m", "everything", cwd=tree)
    return tree


@pytest.fixture(scope="module")
def built(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The two packages."""
    out = tmp_path_factory.mktemp("built")
    _run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, tree)
    return out


@pytest.fixture(scope="module")
def wheel(built: Path) -> zipfile.ZipFile:
    (path,) = built.glob("*.whl")
    return zipfile.ZipFile(path)


@pytest.fixture(scope="module")
def sdist(built: Path) -> set[str]:
    """The files in it, without the name of the directory that holds them all."""
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        return {name.partition("/")[2] for name in archive.getnames()}


def in_tree(*patterns: str) -> set[str]:
    """The files of this tree that match."""
    return {str(path.relative_to(ROOT)) for pattern in patterns for path in ROOT.glob(pattern)
            if path.is_file() and "__pycache__" not in path.parts and ".egg" not in str(path)
            and path.suffix != ".mo"}


def _of_dist_info(wheel: zipfile.ZipFile, name: str) -> bytes:
    # where it lies depends on the age of setuptools
    (path,) = [each for each in wheel.namelist()
               if ".dist-info/" in each and each.endswith(f"/{name}")]
    return wheel.read(path)


def test_the_wheel_has_all_modules_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    modules = {name for name in wheel.namelist() if name.endswith(".py")}
    assert modules == in_tree("nova_qos/**/*.py", "novaclient_qos/**/*.py")
    tops = {name.split("/")[0].partition("-")[0] for name in wheel.namelist()}
    assert tops == {"nova_qos", "novaclient_qos"}


def test_the_wheel_has_its_licence_and_the_readme(wheel: zipfile.ZipFile) -> None:
    assert _of_dist_info(wheel, "LICENSE") == (ROOT / "LICENSE").read_bytes()
    metadata = message_from_bytes(_of_dist_info(wheel, "METADATA"))
    assert metadata["License"] == "Apache-2.0"
    assert "Change what a running server gets" in metadata["Summary"]
    assert (ROOT / "README.rst").read_text().strip() in str(metadata.get_payload())


def test_the_hooks_have_their_licence_too(tmp_path: Path) -> None:
    tree = tmp_path / "hooks"
    shutil.copytree(ROOT / "hooks", tree, ignore=_CACHES)
    _run(sys.executable, "-m", "build", "--no-isolation", "--outdir", tmp_path, tree)
    (path,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(path) as packed:
        assert _of_dist_info(packed, "LICENSE") == (ROOT / "LICENSE").read_bytes()
        assert "nova_qos_hooks/ballooning.py" in packed.namelist()


def test_the_dashboard_has_all_that_runs(tmp_path: Path) -> None:
    tree = tmp_path / "nova_qos_dashboard"
    shutil.copytree(ROOT / "nova_qos_dashboard", tree, ignore=_CACHES)
    _run(sys.executable, "-m", "build", "--no-isolation", "--outdir", tmp_path, tree)
    (path,) = tmp_path.glob("*.whl")
    expected = {name.removeprefix("nova_qos_dashboard/") for name in in_tree(
        "nova_qos_dashboard/nova_qos_dashboard/**/*")}
    languages = {str(Path(name).with_suffix(".mo")) for name in expected if name.endswith(".po")}
    assert languages
    with zipfile.ZipFile(path) as packed:
        assert _of_dist_info(packed, "LICENSE") == (ROOT / "LICENSE").read_bytes()
        names = {name for name in packed.namelist() if ".dist-info/" not in name}
        assert names == expected | languages
        for name in languages:
            compiled = gettext.GNUTranslations(io.BytesIO(packed.read(name)))
            assert compiled.gettext("Assign Policy") != "Assign Policy"
        metadata = message_from_bytes(_of_dist_info(packed, "METADATA"))
    assert set(metadata.get_all("Requires-Dist", [])) == {
        "nova-qos", "horizon>=25", "keystoneauth1>=5.9.0"}


def test_the_wheel_asks_for_what_is_required(wheel: zipfile.ZipFile) -> None:
    metadata = message_from_bytes(_of_dist_info(wheel, "METADATA"))
    asked = {str(each).replace(" ", "").lower() for each in metadata.get_all("Requires-Dist", [])}
    # pbr makes an extra of test-requirements.txt, too
    ours = {each for each in asked if not each.endswith(("extra=='test'", 'extra=="test"'))}
    assert {_plain(each) for each in ours} == set(requirements())
    of_clients = {each for each in asked if "extra==" not in each}
    assert not [each for each in of_clients if each.startswith(("nova>", "libvirt", "oslo"))]


def _plain(requirement: str) -> str:
    return requirement.partition(";")[0]


def test_installed_it_brings_programs_and_samples(built: Path, tmp_path: Path) -> None:
    (path,) = built.glob("*.whl")
    _run(sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index",
         "--ignore-installed", "--disable-pip-version-check", "--prefix", tmp_path, path)
    assert {each.name for each in (tmp_path / "bin").iterdir()} == {
        "nova-qos-agent", "nova-qos-manage", "nova-qos-paste"}
    brought = {str(each.relative_to(tmp_path)): each.read_bytes()
               for each in (tmp_path / "etc").rglob("*") if each.is_file()}
    assert brought == {name: (ROOT / name).read_bytes() for name in in_tree("etc/nova-qos/**/*")}


def test_entry_points_are_those_of_setup_cfg(wheel: zipfile.ZipFile) -> None:
    packed, written = configparser.ConfigParser(), configparser.ConfigParser()
    packed.read_string(_of_dist_info(wheel, "entry_points.txt").decode())
    written.read(ROOT / "setup.cfg")
    for group, points in written["entry_points"].items():
        assert dict(packed[group]) == dict(
            line.replace(" ", "").split("=") for line in points.strip().splitlines())


def test_the_sdist_has_everything(sdist: set[str]) -> None:
    expected = in_tree(
        "*.rst", "*.txt", "*.toml", "*.cfg", "*.py", "*.ini", "LICENSE", "nova_qos/**/*.py",
        "novaclient_qos/**/*.py", "hooks/**/*", "nova_qos_dashboard/**/*", "etc/**/*",
        "devstack/**/*", "doc/source/**/*",
        "releasenotes/notes/*", "tests/**/*.py", "tests/**/*.yml",
        "tools/**/*.py", "tools/*.sh")
    assert expected - sdist == set()


def test_the_sdist_has_no_leftovers(sdist: set[str]) -> None:
    leftovers = [name for name in sdist if name.endswith((".pyc", ".log", "~", ".orig"))
                 or "_cache" in name]
    assert leftovers == []


@pytest.mark.parametrize("whose", ["nobody's", "another user's"])
def test_the_page_says_what_to_do_without_a_version(
    whose: str, tree: Path, tmp_path: Path
) -> None:
    page = " ".join((ROOT / "doc/source/admin/install.rst").read_text().split())
    quoted = re.findall(r"\*(Versioning[^*]+)\*", page)
    name, given = re.findall(r"``(PBR_VERSION)=(\S+) pip install", page)[0]
    copy = tmp_path / "copy"
    # git believes this variable instead of comparing owners
    shutil.copytree(tree, copy, ignore=shutil.ignore_patterns(
        "*.egg-info", "build", *([".git"] if whose == "nobody's" else [])))
    others = {**os.environ, "GIT_TEST_ASSUME_DIFFERENT_OWNER": "1"}
    others.pop(name, None)
    command = (sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path)
    without = subprocess.run([*command, copy], env=others, capture_output=True, text=True)
    assert without.returncode != 0
    assert all(sentence in without.stdout + without.stderr for sentence in quoted)
    with_it = subprocess.run([*command, copy], env={**others, name: given}, capture_output=True,
                             text=True)
    assert with_it.returncode == 0, with_it.stdout + with_it.stderr
    assert [path.name for path in tmp_path.glob("*.whl")] == [f"nova_qos-{given}-py3-none-any.whl"]
    assert len(quoted) == 1
