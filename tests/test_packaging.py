"""What is installed and released is what pyproject.toml says."""

from __future__ import annotations

import re
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


def test_dvc_is_bounded_on_both_sides() -> None:
    [dvc] = [Requirement(text) for text in WANTED if Requirement(text).name == "dvc"]
    assert {one.operator for one in dvc.specifier} == {">=", "<"}


def test_the_version_has_a_heading_in_the_changelog() -> None:
    assert f"\n## {mlbutler.__version__}\n" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
