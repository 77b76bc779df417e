"""The README's pictures show what mlbutler writes today."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parent.parent
PICTURES = ROOT / "website" / "pictures"


def test_the_comment_s_picture_is_of_the_text_that_its_record_gives_today() -> None:
    pytest.importorskip("playwright")
    specification = importlib.util.spec_from_file_location("pictures", ROOT / "website" / "pictures.py")
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    kept = (PICTURES / "comment.md").read_text(encoding="utf-8")
    assert module.comment(PICTURES / "record.json") == kept, "make pictures"


def test_the_readme_shows_every_picture_and_none_is_heavy() -> None:
    shown = set(re.findall(r"website/pictures/([\w.]+)", (ROOT / "README.md").read_text(encoding="utf-8")))
    there = {path.name for path in PICTURES.iterdir() if path.suffix in (".png", ".svg")}
    assert shown == there
    for name in there:
        assert (PICTURES / name).stat().st_size < 150_000
        if name.endswith(".png"):
            assert Image.open(PICTURES / name).width <= 1280
