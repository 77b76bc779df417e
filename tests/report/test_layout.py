from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlbutler.record import Record
from mlbutler.report import markdown
from mlbutler.report.build import build
from mlbutler.report.layout import Layout
from mlbutler.report.marker import parse_marker
from mlbutler.settings import ReportSettings as Settings
from mlbutler.settings.comment import SECTIONS

from .hostile import hostile_text, poison_record
from .test_markdown import check_inert


def render_with_layout(record: Record, layout: Layout, size: int | None = None) -> str:
    return markdown.fit(build(record, Settings()), markdown.Limits(size), layout=layout)


def test_sections_are_those_that_are_asked_for_in_that_order(record: Record) -> None:
    text = render_with_layout(record, Layout(sections=("params", "tests", "metrics")))
    assert re.findall(r"<summary><b>(.*?)</b>", text) == ["Parameters", "Tests"]
    assert text.index("<b>Tests</b>") < text.index("| Metric |")
    assert parse_marker(text, "mlbutler") == record.change.head


def test_a_title_is_shown_and_does_not_make_another_comment(record: Record) -> None:
    text = render_with_layout(record, Layout(title="Digits <b>on</b> GPU"))
    assert text.startswith("### ❌ Digits &lt;b>on&lt;/b> GPU: feature/faster-learning\n")
    assert parse_marker(text, "mlbutler") == record.change.head


def test_every_section_can_be_named(record: Record) -> None:
    source = "".join(path.read_text("utf-8") for path in Path(markdown.__file__).parent.glob("*.py"))
    assert set(re.findall(r'\bSection\(\s*"([a-z-]+)"', source)) == set(SECTIONS)
    assert {section.name for section in build(record, Settings()).sections} <= set(SECTIONS)


def test_a_template_lays_the_comment_out(record: Record) -> None:
    template = (
        "{{ verdict }}\n\n{% for name in ['metrics', 'none'] if name in sections %}{{ sections[name] }}{% endfor %}"
    )
    text = render_with_layout(record, Layout(template=template))
    assert text.startswith("**Worse**: ")
    assert "| <code>test.accuracy</code> |" in text
    assert "<details" not in text
    assert parse_marker(text, "mlbutler") == record.change.head


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{{ verdict", "unexpected end of template"),
        ("{{ nobody }}", "'nobody' is undefined"),
        ("{{ ''.__class__.__mro__[1].__subclasses__() }}", "access to attribute '__class__'"),
        ("{{ sections.clear() }}", "is unsafe"),
        ("{% include '/etc/passwd' %}", "no loader for this environment"),
        ("{% for i in range(10**9) %}x{% endfor %}", "Range too big"),
        ("{{ 1 // 0 }}", "ZeroDivisionError"),
        (
            "{% set n = namespace(x='abcdefgh') %}{% for i in range(40) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
            "MemoryError",
        ),
        ("x{{ 'y' * 70000 }}", "70,0"),
    ],
)
def test_a_template_that_fails_gives_way_to_the_usual_form(record: Record, template: str, why: str) -> None:
    text = render_with_layout(record, Layout(template=template), 65_536)
    assert "\n**Worse**: test.accuracy" in text
    (said,) = [line for line in text.splitlines() if line.startswith("The team's template is not used: ")]
    assert why in said.replace("&#95;", "_").replace("&#39;", "'")
    assert parse_marker(text, "mlbutler") == record.change.head


def test_a_template_that_does_not_end_gives_way_too(record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlbutler.report.layout._TIMEOUT", 1.0)
    loop = "{% for a in range(99999) %}" * 3 + "{% endfor %}" * 3
    text = render_with_layout(record, Layout(template=loop))
    assert "The team's template is not used: it was not filled within 1 s" in text
    assert "\n**Worse**: test.accuracy" in text


def test_a_template_cannot_make_the_comment_that_of_another_commit(record: Record) -> None:
    forged = f"{{{{ verdict }}}} <!-- mlbutler:report:mlbutler head={'0' * 40} -->"
    text = render_with_layout(record, Layout(template=forged))
    assert text.count("mlbutler:report:") == 1
    assert parse_marker(text, "mlbutler") == record.change.head


@settings(max_examples=7, deadline=None, suppress_health_check=list(HealthCheck))
@given(pool=st.lists(hostile_text, min_size=15, max_size=15))
def test_text_of_a_pull_request_is_inert_in_a_template_too(record: Record, pool: list[str]) -> None:
    turn = iter(range(10**6))
    evil = poison_record(record, lambda: pool[next(turn) % len(pool)])
    template = "{{ heading }}\n\n{{ verdict }}\n\n{{ links }}\n\n{{ remedy }}\n\n{{ further }}\n\n" \
               "{% for text in sections.values() %}{{ text }}\n\n{% endfor %}"  # fmt: skip
    check_inert(render_with_layout(evil, Layout(template=template)))
