"""Code and documentation use plain modern English and the field's own words."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BANNED = {
    r"mend|mends|mending": "fix",
    r"heed|heeds|heeded|heeding": "follow, obey",
    r"whoever|whomever": "the reader, the user, anybody who",
    r"wherein": "in which",
    r"(?<!\")lacked": "missing",
    r"vouch|vouches|vouched": "confirm, trust",
    r"(?:is|are|was|were) told(?! apart)": "is notified, is reported, is shown",
    r"nobody here": "no one known",
    r"left out on the command line": "skipped by --skip",
}
SEARCHED = ("src", "bench", "docs", "jenkins-library", "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")


def banned(text: str) -> list[str]:
    """Return what is to be replaced, each with the words to use; sentences may go over several lines."""
    text = re.sub(r"`[^`\n]*`", "", text)
    text = re.sub(r"\s*\n[\s#/*]*", " ", text)
    return [
        f"{found[0]} (rather: {better})"
        for words, better in BANNED.items()
        for found in re.finditer(rf"\b(?:{words})\b", text, re.IGNORECASE)
    ]


def files() -> list[str]:
    listed = subprocess.run(["git", "ls-files", "--", *SEARCHED], cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Mend it.", ["Mend"]),
        ("the user\n    # is\n    # told so", ["is told"]),
        ("amend, `lacked`, foretold", []),
    ],
)
def test_a_banned_word_is_found_across_lines_and_outside_of_names(text: str, found: list[str]) -> None:
    assert [item.partition(" (")[0] for item in banned(text)] == found


def test_no_banned_word_is_used() -> None:
    texts = {name: (ROOT / name).read_text(encoding="utf-8", errors="ignore") for name in files()}
    assert len(texts) > 100
    assert {name: words for name, text in texts.items() if (words := banned(text))} == {}
