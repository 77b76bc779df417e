"""What docs/security.md promises is shown by tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
NAMED = re.compile(r"`(tests/[\w/]+\.py)::((?:test_|Test)\w+)`")


def rows() -> list[list[str]]:
    """Return the cells of every threat."""
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    tables = re.findall(r"\| threat \|.*?\n\|[-| ]+\n(.*?)(?:\n\n|\Z)", text, re.DOTALL)
    return [line.strip("| ").split(" | ") for table in tables for line in table.splitlines()]


def test_every_threat_names_what_stops_it_and_a_test_that_exists() -> None:
    found = rows()
    assert len(found) > 25
    for threat, stops, shown in found:
        tests = NAMED.findall(shown)
        assert stops
        assert tests, threat
        assert NAMED.sub("", shown).replace(",", "").strip() == "", threat
        for file, name in tests:
            text = (ROOT / file).read_text(encoding="utf-8")
            assert f"def {name}(" in text or f"\n{name} = " in text, f"{file}::{name}"
