"""The page in a real browser: with scripts and without, light and dark, by keyboard, for a screen reader."""

from __future__ import annotations

from typing import Any

import pytest

from mlbutler.jenkins.server.model import ARTIFACT_POLICY
from mlbutler.record import Record
from mlbutler.report import html
from mlbutler.report.plots import vega
from mlbutler.settings import ReportSettings as Settings
from tests.report.conftest import Tab, axe_finds
from tests.report.plots.test_vega import GROUP, with_plots

pytestmark = pytest.mark.debian
UNFOLD = "document.querySelectorAll('details').forEach((part) => { part.open = true; })"


def with_charts(record: Record) -> Record:
    assert record.compare is not None
    plots = (*record.compare.plots, *GROUP)
    return with_plots(record, *plots)


@pytest.fixture
def page_text(record: Record) -> str:
    """The page of a record with charts."""
    return html.render(with_charts(record), Settings())


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(page_text: str, tab: Tab, scheme: str) -> None:
    page = tab.show(page_text, scheme=scheme)
    page.evaluate(UNFOLD)
    assert axe_finds(page) == []


def test_nothing_is_asked_for_and_no_error_is_said(page_text: str, tab: Tab) -> None:
    page = tab.show(page_text)
    assert page.said == []
    assert [url[:30] for url in page.asked if not url.startswith(("file:", "data:"))] == []


def rows(page: Any, section: str) -> list[str]:
    found: list[str] = page.eval_on_selector_all(
        f"#{section} tbody tr", "rows => rows.map(row => row.cells[0].textContent + '|' + row.cells[3].textContent)"
    )
    return [row.split("|")[0] for row in found]


def test_tables_are_sorted_by_a_click_and_by_keyboard(record: Record, tab: Tab) -> None:
    page = tab.show(html.render(record, Settings()), changes=True)
    before = rows(page, "metrics")
    head = page.locator("#metrics th", has_text="This change")
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    up = rows(page, "metrics")
    assert sorted(up) == sorted(before)
    assert up[:3] == ["calibration", "test.loss", "test.accuracy"]
    head.get_by_role("button").press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    down = rows(page, "metrics")
    assert down[0] == "epochs"
    assert {up[-1], up[-2]} == {down[-1], down[-2]} == {"status", "old_score"}  # no numbers: last either way
    page.locator("#metrics th", has_text="Metric").get_by_role("button").press("Space")
    assert rows(page, "metrics") == sorted(before, key=str.lower)
    assert head.get_attribute("aria-sort") is None


@pytest.mark.skipif(not vega.is_installed(), reason="the extra 'plots' is not installed")
def test_a_chart_is_explored_without_eval_and_without_network(page_text: str, tab: Tab) -> None:
    page = tab.show(page_text, changes=True)
    assert page.locator(".drawn svg.drawing").is_visible()
    page.get_by_role("button", name="Explore").click()
    page.wait_for_selector(".drawn svg.marks")
    assert page.locator(".drawn svg.drawing").count() == 0
    assert page.said == []
    assert [url for url in page.asked if not url.startswith(("file:", "data:"))] == []


def test_with_scripts_off_everything_is_there_and_no_dead_button(page_text: str, still_tab: Tab) -> None:
    page = still_tab.show(page_text, changes=True)
    assert page.locator("button:visible").count() == 0
    for text in ("Worse", "train.learning_rate", "7/scan 0012.png", "imported by src/train.py"):
        assert page.get_by_text(text).count() > 0
    assert page.locator("#plots img:visible, #plots svg:visible").count() >= 3
    page.locator("#data summary").press("Enter")
    assert page.locator("#data table").first.is_visible()


def test_under_the_policy_of_jenkins_it_reads_the_same(page_text: str, tab: Tab) -> None:
    """Jenkins serves artifacts sandboxed, without scripts and styles: facts of its default header."""
    policy = "sandbox allow-same-origin; default-src 'none'; img-src 'self'; style-src 'self';"
    page = tab.serve(page_text, policy)
    assert "test.accuracy 0.92083 -> 0.89444" in page.inner_text("h1")
    assert page.locator("button:visible").count() == 0
    assert page.locator("#plots svg.chart").first.is_visible()
    if vega.is_installed():  # a chart of a template is an element too: an embedded picture would be kept out
        assert page.locator("#plots svg.drawing").is_visible()
    number = page.locator("#metrics tbody td").first
    assert number.evaluate("cell => getComputedStyle(cell).textAlign").endswith("right")
    assert page.get_by_text("kept out of this page").is_visible()


def test_under_the_policy_of_our_own_jenkins_it_has_its_styles_and_pictures(page_text: str, tab: Tab) -> None:
    page = tab.serve(page_text, ARTIFACT_POLICY)
    assert not page.get_by_text("kept out of this page").is_visible()
    assert page.locator("#plots img").first.evaluate("picture => picture.naturalWidth") > 0
    assert page.locator("button:visible").count() == 0


def test_without_styles_the_charts_have_the_colour_of_the_text(record: Record, tab: Tab) -> None:
    page = tab.serve(html.render(record, Settings()), "sandbox; default-src 'none'")
    label = page.locator("#plots svg.chart text").first
    colours = {}
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        fill, ink = label.evaluate("text => [getComputedStyle(text).fill, getComputedStyle(document.body).color]")
        assert fill == ink, scheme
        colours[scheme] = ink
    assert colours["light"] != colours["dark"]


def test_with_styles_no_note_says_that_there_are_none(page_text: str, tab: Tab) -> None:
    assert not tab.show(page_text).get_by_text("kept out of this page").is_visible()


def test_dark_and_light_differ_and_text_stays_readable(page_text: str, tab: Tab) -> None:
    colours = set()
    for scheme in ("light", "dark"):
        page = tab.show(page_text, scheme=scheme)
        colours.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert len(colours) == 2


@pytest.mark.parametrize("width", [390, 768, 1280])
def test_every_number_and_chart_is_on_the_screen(page_text: str, tab: Tab, width: int) -> None:
    page = tab.show(page_text, width=width, height=844)
    page.evaluate(UNFOLD)
    places = page.evaluate(
        """(chart) => [...document.querySelectorAll(`td, th[scope="row"], ${chart}, .word, pre`)].map((part) => {
            const box = part.getBoundingClientRect();
            return [part.textContent.slice(0, 40), Math.floor(box.left), Math.ceil(box.right), box.height];
        })""",
        f".{'narrow' if width == 390 else 'wide'} .chart",
    )
    assert len(places) > 50
    assert [place for place in places if place[1] < 0 or place[2] > width or not place[3]] == []
    assert page.evaluate("document.documentElement.scrollWidth") == width
    wide = "figure => { const chart = [...figure.querySelectorAll('.chart')].find(one => one.clientWidth); "
    wide += "return !chart || chart.clientWidth === figure.clientWidth; }"
    assert all(figure.evaluate(wide) for figure in page.locator("#plots figure").all())
    cut = "[...document.querySelectorAll('.scroll')].filter(part => part.scrollWidth > part.clientWidth).length"
    assert page.evaluate(cut) == 0  # a confusion matrix neither
    if width == 768:
        page.emulate_media(media="print")
        page.set_viewport_size({"width": 718, "height": 1000})  # A4 without its margins
        beyond = (
            "[...document.querySelectorAll('td, th, .chart')].filter(one => one.getBoundingClientRect().right > 718)"
        )
        assert page.evaluate(f"{beyond}.length") == 0
    if width == 390:
        row = page.get_by_role("table").first.get_by_role("row").nth(1)
        assert row.get_by_role("rowheader").count() == 1  # a table still for who hears it
        assert row.get_by_role("cell").count() > 2
        assert page.evaluate(
            "getComputedStyle(document.querySelector('td[data-column=\"This change\"]'), '::before').content"
        ) == '"This change"'  # fmt: skip
