"""The README's pictures show what mlbutler writes today."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image

ROOT = Path(__file__).parent.parent
PICTURES = ROOT / "website" / "pictures"


@pytest.fixture(scope="module")
def pictures() -> ModuleType:
    """Draws them, from what is kept beside them."""
    pytest.importorskip("playwright")
    specification = importlib.util.spec_from_file_location("pictures", ROOT / "website" / "pictures.py")
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


AGAIN = "python website/pictures.py --kept draws them again"


def test_the_comment_s_text_is_what_its_record_gives_today(pictures: ModuleType) -> None:
    assert pictures.comment(pictures.RECORD) == (PICTURES / "comment.md").read_text(encoding="utf-8"), AGAIN


def test_the_terminal_s_picture_is_of_what_a_run_prints_today(pictures: ModuleType) -> None:
    assert "next: Improve the result" in pictures.terminal(pictures.WORSE)[-1]
    assert pictures.drawn_terminal(pictures.WORSE) == (PICTURES / "terminal.svg").read_text(encoding="utf-8"), AGAIN


def test_the_browser_s_pictures_are_of_the_pages_that_mlbutler_writes_today(pictures: ModuleType) -> None:
    assert pictures.digests() == json.loads((PICTURES / "drawn.json").read_text()), AGAIN


def test_the_readme_shows_every_picture_and_none_is_heavy() -> None:
    shown = set(re.findall(r"website/pictures/([\w.]+)", (ROOT / "README.md").read_text(encoding="utf-8")))
    there = {path.name for path in PICTURES.iterdir() if path.suffix in (".png", ".svg")}
    assert shown == there
    for name in there:
        assert (PICTURES / name).stat().st_size < 150_000
        if name.endswith(".png"):
            assert Image.open(PICTURES / name).width <= 1280
