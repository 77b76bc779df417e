from __future__ import annotations

import base64
import dataclasses
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlbutler import record as r
from mlbutler import record_file
from mlbutler.record import Record
from mlbutler.report import differences, html
from mlbutler.report.model import Table
from mlbutler.report.plots import vega
from mlbutler.settings import ReportSettings as Settings

from .conftest import Tab
from .hostile import hostile_text, poison_record

OWN = Path(html.__file__).with_name("templates").joinpath("report.js").read_text()
VOID = ("meta", "img", "input", "line", "circle", "polyline")


class Page(HTMLParser):
    """The elements, attributes and texts of a page as a browser would see them."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.scripts: list[str] = []
        self.programs: list[str] = []
        self._open: list[str] = []
        self.feed(document)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self._open or self._open[-1] != "script":
            self.texts.append(data)
        else:
            is_data = self.all("script")[-1].get("type") == "application/json"
            (self.scripts if is_data else self.programs).append(data)

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attrs for name, attrs in self.tags if name == tag]


def check_inert(document: str, record: Record) -> Page:
    page = Page(document)
    assert not page._open
    assert page.all("script") == [{"type": "application/json", "id": "record"}, *({} for _ in page.programs)]
    assert set(page.programs) <= {OWN, vega._library()}
    policy = next(meta["content"] for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    hashes = " ".join(f"'sha256-{base64.b64encode(sha256(t.encode()).digest()).decode()}'" for t in page.programs)
    assert policy.endswith(f"; script-src {hashes}")
    assert record_file.loads("".join(page.scripts)) == record_file.redacted_record(record, record_file._NO_SECRETS)
    for tag, attrs in page.tags:
        assert tag not in ("iframe", "object", "embed", "form", "link", "base", "b")
        assert not [name for name in attrs if name.startswith("on") or name == "style"]
        assert attrs.get("src", "data:image/").startswith("data:image/")
        assert attrs.get("href", "https://").startswith("https://")
    return page


@settings(max_examples=7, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), words=st.booleans())
def test_text_of_a_pull_request_is_inert_wherever_it_stands(record: Record, data: st.DataObject, words: bool) -> None:
    pool = data.draw(st.lists(hostile_text, min_size=21, max_size=21))
    turn = iter(range(10**6))
    evil = poison_record(record, lambda: pool[next(turn) % len(pool)], words=words)
    document = html.render(evil, Settings())
    check_inert(document, evil)
    assert "\x00" not in document
    assert document.encode("utf-8")


def test_it_is_one_file_that_asks_for_nothing(record: Record) -> None:
    document = html.render(record, Settings())
    page = check_inert(document, record)
    policy = next(meta["content"] for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")
    assert "url(" not in document
    assert "@import" not in document


def test_it_shows_what_the_record_holds(record: Record) -> None:
    page = Page(html.render(record, Settings()))
    text = " ".join(" ".join(page.texts).split())
    for expected in ("test.accuracy 0.92083 -> 0.89444", "▲ better", "failed: max drop 0.01", "train.learning_rate",
                     "91.7 % on the diagonal", "dvc push 'data/raw set.csv'", "agent-3"):  # fmt: skip
        assert expected in text


def test_tables_can_be_read_aloud(record: Record) -> None:
    page = Page(html.render(record, Settings()))
    assert len(page.all("caption")) == len(page.all("table"))
    assert {head.get("scope") for head in page.all("th")} == {"col", "row"}
    assert len(page.all("h1")) == 1
    assert all(image["alt"] for image in page.all("img"))


def test_a_picture_that_cannot_be_shown_is_an_error_in_words_not_a_broken_link(record: Record) -> None:
    assert record.compare is not None
    plots = (
        r.PlotChange(file="a.png", title="", kind=r.PlotKind.IMAGE, changed=True, old=(("https://evil.example/a.png",),),
                     new=(("data:text/html;base64,PHNjcmlwdD4=",),)),
        r.PlotChange(file="b.png", title="", kind=r.PlotKind.IMAGE, changed=True,
                     reason="it is 40 MB, 5 MB are allowed"),
    )  # fmt: skip
    page = Page(
        html.render(
            dataclasses.replace(record, compare=dataclasses.replace(record.compare, plots=plots, predictions=())),
            Settings(),
        )
    )
    text = "".join(page.texts)
    assert not page.all("img")
    assert text.count("This picture cannot be shown: it is not an embedded image.") == 2
    assert "it is 40 MB, 5 MB are allowed" in text


def test_both_sides_of_a_curve_are_drawn_and_an_unchanged_one_once(record: Record) -> None:
    assert record.compare is not None
    record = dataclasses.replace(record, compare=dataclasses.replace(record.compare, history=()))
    page = Page(html.render(record, Settings()))
    assert [line["class"] for line in page.all("polyline")] == ["old", "new"] * 2  # for a screen, and for a phone
    assert record.compare is not None
    same = dataclasses.replace(record.compare.plots[0], old=record.compare.plots[0].new, changed=False)
    again = dataclasses.replace(record, compare=dataclasses.replace(record.compare, plots=(same,)))
    page = Page(html.render(again, Settings()))
    assert [line["class"] for line in page.all("polyline")] == ["new"] * 2
    assert "target and this change alike" in page.texts


def test_a_table_without_end_is_cut_aloud(record: Record) -> None:
    assert record.compare is not None
    params = tuple(
        r.ParamChange(file="params.yaml", name=f"n{n}", kind="changed", old="1", new="2") for n in range(6000)
    )
    compare = dataclasses.replace(record.compare, params=params)
    page = Page(html.render(dataclasses.replace(record, compare=compare), Settings()))
    assert "1,000 rows not shown here: report.json has them all." in page.texts
    assert len(page.all("tr")) < 5200


def test_a_confusion_matrix_is_a_table_for_each_side(record: Record) -> None:
    page = Page(html.render(record, Settings()))
    assert len([table for table in page.all("table") if table.get("class") == "heat"]) == 2
    assert html.render(record, Settings()).count('align="center"><strong>') == 20  # the diagonals


def test_what_failed_is_unfolded(record: Record) -> None:
    details = {d["id"]: "open" in d for d in Page(html.render(record, Settings())).all("details")}
    assert details["checks"]
    assert not details["steps"]


@pytest.mark.debian
def test_a_browser_shows_it_and_runs_nothing(record: Record, tab: Tab) -> None:
    trap = "<script>document.title='pwned'</script><img src=x onerror=\"document.title='pwned'\">"
    shown = tab.show(html.render(poison_record(record, lambda: trap), Settings()))
    page = Page(shown.content())
    assert page.all("script")[0] == {"type": "application/json", "id": "record"}
    assert len([svg for svg in page.all("svg") if svg["height"] in ("320", "270")]) == 2
    assert shown.title().startswith("Failed: <script")
    assert trap in "".join(page.texts)


def test_a_plot_whose_target_could_not_be_read_is_not_called_new(record: Record) -> None:
    assert record.compare is not None
    points = ((0, 1.0), (1, 0.5))
    plot = r.PlotChange(
        file="a.csv",
        title="Curve",
        kind=r.PlotKind.LINEAR,
        changed=None,
        new=points,
        new_total=2,
        reason="in the target: torn",
    )
    picture = r.PlotChange(
        file="b.json", title="B", kind=r.PlotKind.UNSUPPORTED, changed=None, reason="the remote was not asked"
    )
    compare = dataclasses.replace(record.compare, plots=(plot, picture), predictions=())
    text = html.render(dataclasses.replace(record, compare=compare), Settings())
    assert text.count("(not known whether it changed)") == 2
    assert "same on both sides" not in text
    section = differences.plots(compare, Settings())
    assert section is not None and section.summary == "0 of 2 plots changed, 2 not known"
    table = section.blocks[-1]
    assert isinstance(table, Table)
    rows = [["".join(span.text for span in cell.line) for cell in row] for row in table.rows]
    assert rows[0][2:] == ["not known", "0.5", "not known"]
