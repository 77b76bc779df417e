"""The page of experiments in a real browser, from a file, under its own strict policy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mlbutler.report.board import page as board_page
from mlbutler.report.board.model import Board
from tests.report.conftest import Tab, axe_finds

from .conftest import poison_board

pytestmark = pytest.mark.debian
Open = Callable[..., Any]
NAMES = "rows => rows.map(row => row.querySelector('.first').textContent)"


@pytest.fixture
def show(tab: Tab) -> Open:
    """Open a board's page; `page.said` gathers errors, `page.asked` what it wanted from elsewhere."""

    def show(board: Board, **options: Any) -> Any:
        page = tab.show(board_page.render(board), **options)
        page.wait_for_function("() => document.documentElement.dataset.ready === 'yes'")
        return page

    return show


def names(page: Any) -> list[str]:
    found: list[str] = page.eval_on_selector_all(".tabulator-row", NAMES)
    return found


def filter_names(page: Any, text: str) -> list[str]:
    page.fill("#filter", text)
    page.evaluate("new Promise(done => setTimeout(done, 120))")  # begun after the page's own, it ends after it
    return names(page)


ALL = ["sweep-3", "sweep-1", "Larger rate", "Try 2", "Try 1"]  # without what did not change


def test_filter_sort_choose_and_compare(board: Board, show: Open) -> None:
    page = show(board, changes=True)
    assert names(page) == ALL
    assert page.inner_text("#count") == "5 of 6 experiments"
    page.check("#unchanged")
    assert "Try 5" in names(page)
    page.uncheck("#unchanged")
    for text, expected in {
        "grace": ["Larger rate"],
        "accuracy > 0.92": ["sweep-1", "Larger rate"],
        "test.accuracy>=0.91 and not (train.optimizer = adam)": ["Try 2"],
        'kind = experiment or branch ~ "larg"': ["sweep-1", "Larger rate"],
        "`params.yaml:train.rate` * 10 < 0.2": ["Try 1"],
        "accuracy = none": ["sweep-3"],
        "pr = 7": ["Larger rate"],
    }.items():
        assert filter_names(page, text) == expected, text
    filter_names(page, "acuracy > 1")
    assert page.inner_text("#filter-said") == "There is no column 'acuracy'. Did you mean test.accuracy?"
    for odd in (
        "accuracy > constructor('return 1')()",
        "accuracy >",
        "((accuracy > 1",
        "$ = 1",
        "toString = 1",
        "=" * 3,
    ):
        filter_names(page, odd)
        assert page.inner_text("#filter-said") != ""
    assert filter_names(page, "") == ALL

    head = page.locator(".tabulator-col", has_text="test.accuracy").first
    head.get_by_role("button").press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    assert names(page) == ["sweep-1", "Larger rate", "Try 2", "Try 1", "sweep-3"]  # what has none is last
    head.get_by_role("button").click()
    assert names(page) == ["Try 1", "Try 2", "Larger rate", "sweep-1", "sweep-3"]

    page.click("#columns-button")
    page.locator("#columns-list label", has_text="train.depth").locator("input").check()
    page.click("#columns-close")
    assert page.locator(".tabulator-col", has_text="train.depth").count() == 1

    star = page.get_by_role("button", name="Star Larger rate")
    star.click()
    assert star.get_attribute("aria-pressed") == "true"
    page.check("#starred")
    assert names(page) == ["Larger rate"]
    page.uncheck("#starred")

    page.get_by_role("checkbox", name="Select sweep-1").check()
    page.get_by_role("checkbox", name="Select Larger rate").check()
    page.click("#side-by-side")
    table = page.locator("table.sides")
    assert [text.split("\n")[0] for text in table.locator("thead th").all_inner_texts()[1:]] == [
        "sweep-1",
        "Larger rate",
    ]
    accuracy = table.locator("tr", has_text="test.accuracy").locator("td").all_inner_texts()
    assert [text.split() for text in accuracy] == [["0.96", "best"], ["0.93", "−0.03", "(−3.12", "%)"]]
    assert table.locator("tr", has_text="train.depth").count() == 0  # it does not differ
    assert (page.said, [url for url in page.asked if not url.startswith("file:")]) == ([], [])


def test_every_chart_is_drawn_without_eval_and_without_network(board: Board, show: Open) -> None:
    page = show(board, changes=True)
    page.click("#tab-charts")
    for kind in ("time", "scatter", "parallel", "pareto", "curves"):
        page.select_option("#chart-kind", kind)
        page.wait_for_function(f"() => document.getElementById('chart').dataset.drawn === '{kind}'")
        assert page.locator("#chart canvas").is_visible()
    page.select_option("#chart-kind", "pareto")
    assert "1 of 4 experiments" in page.inner_text("#chart-said")  # of those that have both numbers
    assert (page.said, [url for url in page.asked if not url.startswith("file:")]) == ([], [])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(board: Board, show: Open, scheme: str) -> None:
    page = show(board, scheme=scheme)
    page.click("#tab-table")
    page.get_by_role("checkbox", name="Select sweep-1").check()
    for tab in ("table", "charts", "compare"):
        page.click(f"#tab-{tab}")
        assert axe_finds(page) == [], tab


def test_hostile_text_is_text(board: Board, show: Open) -> None:
    evil = '<img src=x onerror="window.hit = 1">{{ 7 * 7 }}</script><script>window.hit = 1</script>'
    page = show(poison_board(board, lambda: evil), changes=True)
    page.get_by_role("checkbox").nth(2).check()
    for tab in ("charts", "compare", "table"):
        page.click(f"#tab-{tab}")
    page.select_option("#group", "branch")
    assert page.evaluate("window.hit") is None
    assert page.locator("img").count() == 0
    assert page.said == []


@pytest.mark.parametrize(
    "policy", ["", "sandbox allow-same-origin; default-src 'none'; img-src 'self'; style-src 'self';"]
)
def test_where_scripts_are_off_there_is_a_table_and_no_dead_button(
    board: Board, tab: Tab, still_tab: Tab, policy: str
) -> None:
    """Jenkins serves artifacts sandboxed, without scripts and styles: facts of its default header."""
    page = (tab if policy else still_tab).serve(board_page.render(board), policy)
    assert page.locator("button:visible, input:visible, select:visible").count() == 0
    assert page.locator("#static svg.chart").is_visible()
    assert page.locator("#static tbody tr").count() == 5
    assert page.get_by_text("kept out of this page").is_visible() == bool(policy)


@pytest.mark.parametrize("width", [390, 768, 1280])
def test_nothing_is_cut_off(board: Board, show: Open, width: int) -> None:
    page = show(board, width=width, height=800, changes=True)
    for tab in ("table", "charts", "compare"):
        page.click(f"#tab-{tab}")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), tab
    page.click("#tab-table")
    cell = page.locator('.tabulator-cell[tabulator-field="c0"]').nth(1).bounding_box()
    assert cell["x"] + cell["width"] <= width  # the number that counts most is on the screen
