"""The comment looks as it did when somebody last looked at it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops

from mlbutler.record import Record
from tests.report.conftest import Tab
from tests.report.golden import KEPT, LOOKS, fonts, screenshot

pytestmark = pytest.mark.debian
_FAR = 60
_SHARE = 0.005
"""Of the pixels of a picture a quarter as wide: a line that moved, or another word in a table, is more."""


def difference(one: Image.Image, other: Image.Image) -> float:
    """Return the share of the picture that differs visibly, 1 where even the size does."""
    if one.size != other.size:
        return 1.0
    size = one.width // 4, one.height // 4
    left, right = (picture.convert("L").resize(size, Image.Resampling.BOX) for picture in (one, other))
    far = ImageChops.difference(left, right).histogram()[_FAR:]
    return sum(far) / (size[0] * size[1])


@pytest.fixture(scope="module")
def fonts_here(browser: Any) -> str:
    return fonts(browser)


@pytest.mark.parametrize("name", list(LOOKS))
def test_the_first_screen_looks_as_it_did(name: str, tab: Tab, fonts_here: str, record: Record, tmp_path: Path) -> None:
    if fonts_here != (KEPT / "fonts.txt").read_text(encoding="ascii").strip():
        pytest.skip("this machine has other fonts than the kept pictures")
    now = screenshot(tab, LOOKS[name], record, tmp_path)
    now.save(tmp_path / f"{name}.png")
    with Image.open(KEPT / f"{name}.png") as kept:
        found = difference(kept.convert("RGB"), now)
    assert found <= _SHARE, f"{tmp_path}/{name}.png: if it is right, python -m tests.report.golden"


def test_a_word_in_a_table_and_a_line_more_are_seen() -> None:
    with Image.open(KEPT / "github.png") as kept:
        before = kept.convert("RGB")
    moved = Image.new("RGB", before.size, "white")
    moved.paste(before, (0, 21))
    assert difference(before, moved) > 4 * _SHARE
    assert difference(before, before.resize((before.width, before.height - 1))) == 1.0


def test_the_kept_pictures_are_small_and_all_are_drawn() -> None:
    assert {path.stem for path in KEPT.glob("*.png")} == set(LOOKS)
    assert all(path.stat().st_size < 80_000 for path in KEPT.glob("*.png"))
