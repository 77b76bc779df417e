"""What is installed and released is what pyproject.toml says."""

from __future__ import annotations

import importlib.metadata
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import mlbutler

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
WANTED = [*PROJECT["dependencies"], *(text for extra in PROJECT["optional-dependencies"].values() for text in extra)]
ENTRY = r"^([a-z0-9.-]+)==([^ ;]+) [^\n]*\\\n +--hash=sha256:"
LOCKED = dict(re.findall(ENTRY, (ROOT / "requirements.lock").read_text(encoding="utf-8"), re.MULTILINE))


@pytest.mark.parametrize("text", [text for text in WANTED if not text.startswith("mlbutler[")])
def test_the_lock_holds_a_version_that_is_wanted_with_its_hashes(text: str) -> None:
    requirement = Requirement(text)
    assert requirement.specifier.contains(LOCKED[canonicalize_name(requirement.name)], prereleases=True)


def test_every_locked_version_has_a_hash() -> None:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    assert {line.partition("==")[0] for line in lines if line[:1].isalnum()} == LOCKED.keys()
    assert len(LOCKED) > 100


def test_the_constraints_for_users_are_the_locked_versions_of_every_extra() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    found = dict(line.partition(" ;")[0].split("==") for line in lines)
    assert found.items() <= LOCKED.items()
    extras = PROJECT["optional-dependencies"]
    wanted = [*PROJECT["dependencies"], *(text for name, extra in extras.items() if name != "dev" for text in extra)]
    needed = {canonicalize_name(Requirement(text).name) for text in wanted}
    assert needed <= found.keys()


def test_dvc_is_bounded_on_both_sides() -> None:
    [dvc] = [Requirement(text) for text in WANTED if Requirement(text).name == "dvc"]
    assert {one.operator for one in dvc.specifier} == {">=", "<"}


def test_the_version_has_a_heading_in_the_changelog() -> None:
    assert f"\n## {mlbutler.__version__}\n" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def audit(tmp_path: Path, uv: str) -> subprocess.CompletedProcess[str]:
    """Run the audit with a stand-in for uv, which knows the file for its answer as ``$answer``."""
    known = 'while [ $# -gt 0 ]; do [ "$1" = --output ] && answer=$2; shift; done'
    (tmp_path / "uv").write_text(f"#!/bin/sh\n{known}\n{uv}\n")
    (tmp_path / "uv").chmod(0o755)
    return subprocess.run(
        [sys.executable, ROOT / ".ci" / "audit", tmp_path], capture_output=True, text=True, check=False
    )  # fmt: skip


def test_a_known_vulnerability_fails_ci_and_a_missing_network_does_not(tmp_path: Path) -> None:
    hole = '{"id": "PYSEC-1", "fix_versions": ["2.0"]}'
    listed = f'{{"name": "a", "version": "1", "vulns": [{hole}]}}, {{"name": "b", "skip_reason": "x"}}'
    known = f'{{"dependencies": [{listed}]}}'
    found = audit(tmp_path, f"echo '{known}' > \"$answer\"; exit 1")
    assert (found.returncode, "a 1: PYSEC-1, fixed in 2.0" in found.stdout) == (1, True), found.stdout + found.stderr
    assert "1 packages asked for, 1 vulnerabilities known, 1 not known" in found.stdout
    offline = audit(tmp_path, "echo 'no route to host' >&2; exit 1")
    assert (offline.returncode, "nobody could be asked: no route to host" in offline.stdout) == (0, True)


def test_the_bill_of_materials_names_what_is_installed(tmp_path: Path) -> None:
    target = tmp_path / "mlbutler.cdx.json"
    subprocess.run([sys.executable, ROOT / ".ci" / "sbom", target], check=True, capture_output=True)
    document = json.loads(target.read_text())
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.5")
    assert document["metadata"]["component"]["name"] == "mlbutler"
    named = {part["purl"] for part in document["components"]}
    assert f"pkg:pypi/dvc@{importlib.metadata.version('dvc')}" in named
    assert set(document["dependencies"][0]["dependsOn"]) == named
