"""Where two pictures differ."""

from __future__ import annotations

import base64
import dataclasses
import io

import pytest

from mlbutler.record import Record
from mlbutler.report import html
from mlbutler.report.plots.image_difference import difference
from mlbutler.settings import ReportSettings as Settings
from tests.report.conftest import png_of

image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")


def picture(dots: set[tuple[int, int]], kind: str = "PNG", size: int = 10, colour: object = (200, 30, 30)) -> bytes:
    made = image.new("RGB", (size, size), (20, 20, 20))
    for dot in dots:
        made.putpixel(dot, colour)
    into = io.BytesIO()
    made.save(into, kind)
    return into.getvalue()


def test_the_pixels_that_differ_are_bright_and_counted() -> None:
    found = difference(picture({(1, 1)}), picture({(1, 1), (2, 3), (9, 9)}))
    assert found is not None
    assert found.share == 0.02
    shown = image.open(io.BytesIO(base64.b64decode(found.source.partition(",")[2])))
    bright = {(x, y) for x in range(10) for y in range(10) if shown.getpixel((x, y))}
    assert bright == {(2, 3), (9, 9)}


def test_the_same_picture_in_another_format_does_not_differ() -> None:
    found = difference(picture(set()), picture(set(), "GIF"))
    assert found is not None
    assert found.share == 0


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (picture(set()), picture(set(), size=12), "other sizes: 10 × 10 → 12 × 12 pixels"),
        (picture(set()), b"\x89PNG nothing", "they cannot be compared"),
        (picture(set()), picture(set())[:40], "they cannot be compared"),
    ],
)
def test_what_cannot_be_compared_is_said(old: bytes, new: bytes, said: str) -> None:
    found = difference(old, new)
    assert found is not None
    assert (found.problem, found.source) == (said, "")


def black(size: int) -> bytes:
    """Return a black PNG that was never a picture in memory."""
    return png_of(size, bytes((1 + (size + 7) // 8) * size), depth=1, colour=0)


@pytest.mark.parametrize(
    ("size", "said"),
    [(2_001, "more than 4,000,000 pixels: not compared"), (30_000, "they cannot be compared")],
    ids=["ours", "Pillow's"],
)
def test_a_bomb_is_not_unpacked(size: int, said: str) -> None:
    found = difference(black(size), black(size))
    assert found is not None
    assert (found.problem, found.source) == (said, "")


def test_a_picture_of_just_so_many_pixels_is_compared() -> None:
    found = difference(black(2_000), black(2_000))
    assert found is not None
    assert (found.problem, found.share) == ("", 0)


def test_the_page_shows_it_beside_both(record: Record) -> None:
    page = html.render(record, Settings())
    assert '<p class="side">Difference</p>' in page
    assert "100.0 % of the pixels differ" in page
    assert record.compare is not None
    gone = dataclasses.replace(record.compare.plots[2], new=())
    other = dataclasses.replace(record, compare=dataclasses.replace(record.compare, plots=(gone,)))
    assert "pixels differ" not in html.render(other, Settings())
