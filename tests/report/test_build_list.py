"""The verdict where builds are listed: Jenkins shows it as text or as HTML, and cuts what is long."""

from __future__ import annotations

import dataclasses
from html.parser import HTMLParser
from typing import Any

import pytest
from defusedxml import ElementTree
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlbutler.record import Outcome, Record, TestResult
from mlbutler.report import build_list

from .hostile import hostile_text, poison_record

BUILD = "http://jenkins.example/job/x/view/change-requests/job/PR-7/12/"


class Read(HTMLParser):
    """What a browser makes of a text."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.shown, self.elements = "", list[tuple[str, dict[str, str | None]]]()
        self.feed(text)
        self.close()

    def handle_data(self, data: str) -> None:
        self.shown += data

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)

    def handle_decl(self, decl: str) -> None:
        raise AssertionError(decl)


def visible_length(text: str) -> int:
    """How many characters Jenkins takes for shown: all outside of elements, and the end of each."""
    inside, count = False, 0
    for char in text:
        inside = char == "<" or (inside and char != ">")
        count += not inside
    return count


def failing(record: Record, reason: str) -> Record:
    return dataclasses.replace(
        record, reproduce=None, compare=None, check=None, test=TestResult(outcome=Outcome.FAILED, reason=reason)
    )


def of_pull_request(record: Record, **more: str | None) -> Record:
    known: dict[str, Any] = {
        "ci": "jenkins",
        "number": "7",
        "url": "https://forge.example/a/b/pull/7?x=1&y=2",
        "build_url": BUILD,
    }
    return dataclasses.replace(record, change=dataclasses.replace(record.change, **(known | more)))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_whatever_the_record_holds_both_are_one_line_without_foreign_markup(
    record: Record, data: st.DataObject
) -> None:
    pool = data.draw(st.lists(hostile_text, min_size=5, max_size=5))
    turn = iter(range(10**6))
    found = poison_record(record, lambda: pool[next(turn) % len(pool)], words=True)
    text, html = build_list.text(found), build_list.html(found)
    assert (Read(text).shown, Read(text).elements) == (text, [])  # the same with the formatter for text and for HTML
    assert "\n" not in text + html
    assert max(len(text), visible_length(html)) < 100
    allowed = {"b": {"style"}, "a": {"href"}}
    for tag, attributes in Read(html).elements:
        assert set(attributes) <= allowed[tag]
        assert (attributes.get("href") or "https://").startswith(("https://", "http://"))
    root = ElementTree.fromstring(build_list.badge(found).encode("utf-8"))
    assert {element.tag.rpartition("}")[2] for element in root.iter()} == {"svg", "title", "rect", "g", "text"}


def test_the_html_leads_to_the_report_and_the_pull_request(record: Record) -> None:
    found = Read(build_list.html(of_pull_request(record)))
    assert [attributes.get("href") for _, attributes in found.elements] == [
        None, f"{BUILD}mlbutler/", "https://forge.example/a/b/pull/7?x=1&y=2",
    ]  # fmt: skip
    assert found.shown.startswith("Worse: ")
    assert found.shown.endswith(" (report, pull request 7)")
    elsewhere = Read(build_list.html(of_pull_request(record, ci="gitlab", number=None)))
    assert [attributes.get("href") for _, attributes in elsewhere.elements] == [None, BUILD]
    nowhere = Read(build_list.html(of_pull_request(record, url="javascript:alert(1)", build_url="")))
    assert [tag for tag, _ in nowhere.elements] == ["b"]


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("a < b & c > d", "a ‹ b & c > d"),
        ("R&D", "R＆D"),
        ("&lt;b&gt; &#60;b> &copy=1", "＆lt;b＆gt; ＆#60;b> ＆copy=1"),
        ("two\nlines\tand <!-- more", "two\\nlines\\tand ‹!-- more"),
    ],
)
def test_the_text_reads_the_same_with_either_formatter(record: Record, said: str, shown: str) -> None:
    assert build_list.text(failing(record, said)) == f"Failed: test: {shown}"


def test_a_long_verdict_is_cut_before_jenkins_cuts_it(record: Record) -> None:
    long = of_pull_request(failing(record, "<" * 300))
    assert len(build_list.text(long)) == 99
    assert build_list.text(long).endswith("…")
    assert visible_length(build_list.html(long)) in range(95, 100)
    assert Read(build_list.html(long)).shown.endswith("<… (report, pull request 7)")


def test_the_badge_says_which_report_and_how_it_went(record: Record) -> None:
    named = dataclasses.replace(record, report_name="gpu")
    root = ElementTree.fromstring(build_list.badge(named))
    label, verdict = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert label == "mlbutler/gpu"
    assert str(verdict).startswith("Worse: ")
    assert root.get("aria-label") == f"{label}: {verdict}"
