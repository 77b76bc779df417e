from __future__ import annotations

import contextlib
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlbutler.jenkins.expressions import string
from mlbutler.jenkins.groovy import NotGroovy, tokens


def texts(text: str) -> list[str]:
    return [token.text for token in tokens(text) if token.kind == "text"]


# What Groovy 2.4, which Jenkins has, takes for strings, and newer ones behind `return`: most hold a quote.
@pytest.mark.parametrize(("text", "expected"), [
    ("if (s =~ /^it's/) { }", ["^it's"]),
    ("s ==~ /it's/", ["it's"]),
    ("s.replaceAll(/\"/, '')", ['"', ""]),
    ("s.find(~/'/)", ["'"]),
    ("[1, /'/, /\"/]", ["'", '"']),
    ("a[/'/]", ["'"]),
    ("[a: /'/]", ["'"]),
    ("return /it's/", ["it's"]),
    ("x = 1;/it's/", ["it's"]),
    ("def x = a\n  /it's/", ["it's"]),
    ("f({ -> 1\n /it's/ })", ["it's"]),
    ("{ -> /it's/ }", ["it's"]),
    ("a ? /'/ : /'/", ["'", "'"]),
    ("'a' + /'/ + \"b\"", ["a", "'", "b"]),
    ("x = /* c ' */ /it's/", ["it's"]),
    ("x = /= '/", ["= '"]),
    ("x = /a\n'\nb/", ["a\n'\nb"]),
    ("x = /a$/", ["a$"]),
    ("x = /a*/", ["a*"]),
    ("x = $/it's \"a\" /x/$", ["it's \"a\" /x"]),
    ("x = $/a\n'/$", ["a\n'"]),
    ("\"${env[\"X\"] ?: \"it's\"}\"", ["${env[\"X\"] ?: \"it's\"}"]),
    ("\"${[1].collect { \"}'\" }}\"", ["${[1].collect { \"}'\" }}"]),
    ("\"${a /* \" */}'\"", ["${a /* \" */}'"]),
    ('"""${a ? """it\'s""" : \'\'}"""', ['${a ? """it\'s""" : \'\'}']),
    ("\"${'''a\nb'''}'\"", ["${'''a\nb'''}'"]),
        ("x = /${a / b}'/", ["${a / b}'"]),
    ("\"a/b ${a / b}/'\"", ["a/b ${a / b}/'"]),
])  # fmt: skip
def test_strings_of_each_kind(text: str, expected: list[str]) -> None:
    assert texts(text) == expected


@pytest.mark.parametrize("text", [
    "a / b / c", "(a\n / b / c)", "[a\n / b, 3/2]", "[1].size() / b / c", "a[0] / b / c", "a++ / b / c", "5 / 2 / 1",
    "5.0/2/1", "x = a \\\n / b / c", "x = a /* c ' */ / b / c", "x = a // c '\nb", "x = /*/ + 1 */ 2", "a /= 2; b / 2",
    "$a = 8; $a /2/ 1", "null / 1 / 1", "{ -> 3 } / 2 / 1",
])  # fmt: skip
def test_a_slash_behind_a_value_divides(text: str) -> None:
    assert texts(text) == []


def test_a_string_behind_a_division_is_one() -> None:
    assert texts("x = a / b + 'c/d' / e") == ["c/d"]


@pytest.mark.parametrize(("text", "expected"), [
    (r"/a\/b\.c/", r"a/b\.c"),
    (r"$/a$/b\d/$", r"a/b\d"),
    ("/x ${a}/", "x ${a}"),
    (r"$/a$/$ b/$", None),  # a dollar that names no variable
    ("$/a$$/$", None),
    ("$/$${a}/$", None),
])  # fmt: skip
def test_the_value_of_a_string_between_slashes(text: str, expected: str | None) -> None:
    (token,) = tokens(text)
    assert string([token]) == expected


@pytest.mark.parametrize(("text", "line"), [
    ("\nx = /it's", 2), ("x = /\\/", 1), ("x = /a\\\\/", 1), ("\n\nx = $/a/", 3), ("\nx = $/a$/$", 2),
    ('\n"${a', 2), ('"a\n', 1), ('\n"${[1,\n2]}"', 2), ("\n" + '"${' * 5000, 2), ('x = "${a)}"', 1), ("/* /", 1),
])  # fmt: skip
def test_what_does_not_end_is_found_at_its_line(text: str, line: int) -> None:
    with pytest.raises(NotGroovy) as caught:
        tokens(text)
    assert caught.value.line == line


def test_a_string_knows_its_line() -> None:
    found = [
        (token.text, token.line)
        for token in tokens('x = /a\nb/\n+ """${\n c}""" + $/\n/$\n\'d\'')
        if token.kind == "text"
    ]
    assert found == [("a\nb", 1), ("${\n c}", 3), ("\n", 4), ("d", 6)]


@pytest.mark.parametrize(("begin", "piece"), [
    ("", "/a' + "), ("", "a / b / "), ("", '"${a}" '), ("", '"${"${a}"}" '), ("", "$/a/$ + "), ("", "(\n/"), ("", "${"),
    ("", "/*"), ("", '"${'), ("x = /", "\\/"), ("x = /", "$"), ("x = $/", "$/$/"), ("x = $/", "/ "), ('x = "', "${a}"),
    ('x = """', '"${a}"'),
])  # fmt: skip
def test_reading_takes_time_in_proportion_to_the_length(begin: str, piece: str) -> None:
    def measure(times: int) -> float:
        text = begin + piece * times
        return min(once(text) for _ in range(3))

    def once(text: str) -> float:
        before = time.process_time()
        with contextlib.suppress(NotGroovy):
            tokens(text)
        return time.process_time() - before

    # Eight times as much; 64 times where each piece reads all others. The least of three: others use the processor too.
    assert measure(4_000) < 40 * measure(500) + 0.5


@settings(deadline=None)
@given(st.text(alphabet="{}()[]'\"/*\n;,:=+.$\\ab ", max_size=200))
def test_each_token_is_of_its_line(text: str) -> None:
    try:
        found = tokens(text)
    except NotGroovy as broken:
        assert 1 <= broken.line <= text.count("\n") + 1
    else:
        lines = text.split("\n")
        assert all(token.text in lines[token.line - 1] for token in found if token.kind not in ("text", "newline"))
