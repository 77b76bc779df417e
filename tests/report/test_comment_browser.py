"""The comment as a reader sees it first: rendered as CommonMark with GitHub's tables, in a real browser."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

from mlbutler.record import Record
from mlbutler.report import markdown
from mlbutler.report.build import build
from mlbutler.report.pictures import of_report
from mlbutler.settings import ReportSettings as Settings
from tests.report.conftest import Tab

pytestmark = pytest.mark.debian
Show = Callable[..., Any]
# What the forges' style sheets have in common: the width of a comment, tables that scroll, pictures that fit.
STYLE = """body { margin: 0; width: %dpx; font: 14px/1.5 sans-serif; background: %s; color: %s }
table { border-collapse: collapse; display: block; max-width: 100%%; overflow: auto } td, th { padding: 6px 13px }
img { max-width: 100%% } pre { overflow: auto }"""
COLOURS = {"light": ("#ffffff", "#1f2328"), "dark": ("#0d1117", "#e6edf3")}
FOLDING = markdown.Limits(65_536)
FLAT = {"gogs": markdown.Limits(65_535, "bytes", folds=False), "bitbucket": markdown.Limits(32_768, html=False)}


@pytest.fixture
def show(tab: Tab, tmp_path: Path, record: Record) -> Show:
    """Opens the sample's comment."""

    def show(limits: markdown.Limits, scheme: str = "light", width: int = 780) -> Any:
        report = build(record, Settings())
        placed = {}
        for file in of_report(report):
            (tmp_path / file.name).write_bytes(file.content)
            placed[file.name] = file.name
        text = markdown.fit(report, limits, placed, "" if limits.folds and limits.html else "mlbutler/report-17")
        html = MarkdownIt("commonmark", {"html": limits.html}).enable(["table", "strikethrough"]).render(text)
        path = tmp_path / "comment.html"
        style = STYLE % (width, *COLOURS[scheme])
        path.write_text(f"<!doctype html><meta charset=utf-8><style>{style}</style>{html}", encoding="utf-8")
        return tab.open(path, width=width, height=900)

    return show


def top(page: Any, selector: str) -> float:
    """Return how far down the first such element begins."""
    return float(page.locator(selector).first.bounding_box()["y"])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_first_screen_has_verdict_links_metrics_and_a_picture(show: Show, scheme: str) -> None:
    page = show(FOLDING, scheme)
    order = [top(page, selector) for selector in ("h3", "p strong", "p a", "table", "img", "details")]
    assert order == sorted(order)
    assert order[-2] < 900  # the picture begins on the first screen
    assert page.locator("details:not([open]) table").first.is_visible() is False
    assert page.locator("table").first.locator("tbody tr").count() == 8


def test_a_picture_can_be_read_on_a_dark_page(show: Show) -> None:
    page = show(FOLDING, "dark")
    shot = page.locator("img").first.screenshot()
    loaded = page.evaluate("document.querySelector('img').naturalWidth")
    assert loaded > 0
    white = page.evaluate(
        """async (data) => {
        const image = new Image(); image.src = 'data:image/png;base64,' + data; await image.decode();
        const canvas = new OffscreenCanvas(image.width, image.height); const area = canvas.getContext('2d');
        area.drawImage(image, 0, 0); return Array.from(area.getImageData(20, 60, 1, 1).data) }""",
        base64.b64encode(shot).decode("ascii"),
    )
    assert white == [255, 255, 255, 255]


@pytest.mark.parametrize("forge", list(FLAT))
def test_where_nothing_folds_the_picture_follows_the_metrics(show: Show, forge: str) -> None:
    page = show(FLAT[forge], width=700)
    assert page.locator("details").count() == 0
    order = [top(page, selector) for selector in ("h3", "table", "img")]
    assert order == sorted(order)
    assert order[-1] < 1100
    assert "<code>" not in page.locator("body").inner_text()


def test_on_a_phone_nothing_is_wider_than_the_screen(show: Show) -> None:
    page = show(FOLDING, width=360)
    page.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
