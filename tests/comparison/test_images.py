"""Pictures that are plotted: a broken one is reported, and never shown."""

from __future__ import annotations

import io

import pytest

from mlbutler.comparison.images import image_kind, is_whole
from mlbutler.comparison.plots import compare_plots
from mlbutler.comparison.snapshot import PlotDefinition, Snapshot, Source
from mlbutler.record import PlotChange

image = pytest.importorskip("PIL.Image")
KINDS = ("PNG", "JPEG", "GIF", "WEBP")


def picture(kind: str, red: int = 200) -> bytes:
    """A small picture that Pillow wrote."""
    made = image.new("RGB", (40, 30), (red, 30, 30))
    for x in range(0, 40, 3):
        made.putpixel((x, x % 30), (0, x * 5, 255))
    into = io.BytesIO()
    made.save(into, kind)
    return into.getvalue()


def compare_pictures(old: bytes, new: bytes, name: str) -> PlotChange:
    sides = [
        Snapshot("a" * 40, plots=(PlotDefinition(name, (name,)),), plot_data={name: Source(content)})
        for content in (old, new)
    ]
    (change,) = compare_plots(*sides)
    return change


@pytest.mark.parametrize("kind", KINDS)
def test_whole_pictures_are_shown(kind: str) -> None:
    change = compare_pictures(picture(kind), picture(kind, 90), f"a.{kind.lower()}")
    assert (change.kind, change.changed, change.reason) == ("image", True, "")


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_that_was_cut_off_is_told_of_wherever_it_ends(kind: str) -> None:
    whole = picture(kind)
    for length in range(12, len(whole), 7):
        change = compare_pictures(whole, whole[:length], f"a.{kind.lower()}")
        assert change.kind == "unsupported", length
        assert "in this change: a broken picture" in change.reason
        assert (change.old, change.new) == ((), ())
    assert "in the target: a broken picture" in compare_pictures(whole[:-3], whole, f"a.{kind.lower()}").reason


def test_a_png_with_a_byte_turned_over_is_broken() -> None:
    whole = bytearray(picture("PNG"))
    for at in range(16, len(whole), 11):
        damaged = bytearray(whole)
        damaged[at] ^= 1
        assert not is_whole(bytes(damaged), "png"), at


@pytest.mark.parametrize("content", [b"", b"\x89PNG", b"\xff\xd8\xff", b"GIF89a", b"RIFF\0\0\0\0WEBP", b"<html>"])
def test_a_beginning_alone_is_no_picture(content: bytes) -> None:
    kind = image_kind(content)
    assert kind is None or not is_whole(content, kind)
