from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlbutler.jenkins.groovy import NotGroovy
from mlbutler.jenkins.statements import Statement, parse_statements


def shape(statements: tuple[Statement, ...]) -> list[object]:
    """Return the statements as nested lists: the text of each, and what is in its block."""
    return [
        (" ".join(token.text for token in one.tokens), *([] if one.body is None else [shape(one.body)]))
        for one in statements
    ]


@pytest.mark.parametrize(("text", "expected"), [
    ("agent any\n", [("agent any",)]),
    ("a { b 'c'; d }", [("a", [("b c",), ("d",)])]),
    ("try { x } catch (e) { y }", [("try", [("x",)]), ("catch ( e )", [("y",)])]),
    ("call(\n  one,\n  { two }\n)\nthree", [("call ( one , { two } )",), ("three",)]),
    ("x = 'a' +\n    'b' // end\ny", [("x = a + b",), ("y",)]),
    ("/* a { */ b '''\n}'''", [("b \n}",)]),
    ("parallel a: { b }, c: { d }", [("parallel a :", [("b",)]), (", c :", [("d",)])]),
])  # fmt: skip
def test_statements_and_their_blocks(text: str, expected: list[object]) -> None:
    assert shape(parse_statements(text)) == expected


def test_a_statement_knows_its_line() -> None:
    found = parse_statements("\n\na {\n  b '''\n\n''' \n  c\n}\nd")
    assert [one.line for one in (*found, *(found[0].body or ()))] == [3, 9, 4, 7]


@pytest.mark.parametrize(("text", "line"), [
    ("a {\n b", 1), ("a\n}", 2), ("a 'b", 1), ("/*", 1), ("\n(a", 2), ("{" * 5000, 1),
    ("{" * 500 + "}" * 500, 1), ("a(" * 1000 + ")" * 1000, 1), ("\n" + "[" * 101 + "]" * 101, 2), ("a(])", 1),
])  # fmt: skip
def test_text_that_does_not_end(text: str, line: int) -> None:
    with pytest.raises(NotGroovy) as caught:
        parse_statements(text)
    assert caught.value.line == line


@settings(deadline=None)
@given(st.text(alphabet="{}()[]'\"/*\n;,:=+.$\\ab ", max_size=200))
def test_any_text_is_statements_or_not_groovy(text: str) -> None:
    with contextlib.suppress(NotGroovy):
        parse_statements(text)
