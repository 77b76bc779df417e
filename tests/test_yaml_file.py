"""YAML is read as DVC reads it."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import yaml
from dvc.utils.serialize import parse_yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from mlbutler import parsing
from mlbutler.comparison.documents import read_document
from mlbutler.comparison.snapshot import Source
from mlbutler.yaml_file import parse, parse_in_c

WORDS = (
    "1e-3", "1e5", "1.5e3", ".5", "1.", "+1", "-2", "1_000", "010", "0o10", "0x1F", "0b11", "1:30",
    "12:30:45.5", "2020-01-01", ".inf", "-.inf", ".nan", "NaN", "yes", "no", "on", "Off", "y", "true", "True",
    "TRUE", "null", "~", "1e", "e5", "'1e-3'", "2.0e-05", "-.5e-3", "08", "1__0", ".5e3", ".5e+3", "._1", ".1_0",
)  # fmt: skip


@pytest.mark.parametrize("word", WORDS)
def test_a_word_is_what_dvc_takes_it_for(word: str) -> None:
    text = f"a: {word}\n{word}: b\n"
    assert repr(parse(text)) == repr(parse_yaml(text, "params.yaml"))


def test_a_metric_in_exponent_form_is_a_number() -> None:
    assert read_document("metrics.yaml", Source(b"loss: 1e-3\n")).values == {"loss": 0.001}


def test_nothing_but_plain_data_is_made() -> None:
    document = read_document("m.yaml", Source(b"a: !!python/object/apply:os.getcwd []\n"))
    assert "not valid YAML" in document.problem


DOCUMENTS = (
    "vars: [./my.yaml:]", "{a: b:}", "a: [x:, y:]", "{a:}", "- ./my.yaml:train", "%YAML 1.1\n---\na: yes\nb: 010",
    "a: &x {q: 1}\nb: {<<: *x, r: 2}", "&k a: &k b", "[]: c", "a: 2001-01-01T00:00:00Z", "? a\n: b", "", "# only", "[]",
    "a: |\n  x\n", "a: 'it''s'", "a: b #c", "a: !!float 1", "x: !!set {a}", "a: 'x'\n...\n", "\ufeffa: 1",
    'a: "\\ud800"',
)  # fmt: skip


def as_dvc_reads_it(text: str) -> tuple[bool, Any]:
    """Does DVC take it for YAML, and what it makes of it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return True, parse_yaml(text, "dvc.yaml")
        except Exception:  # it raises whatever its parser does
            return False, None


@pytest.mark.parametrize("text", DOCUMENTS)
def test_a_document_is_what_dvc_takes_it_for(text: str) -> None:
    readable, content = as_dvc_reads_it(text)
    assert readable
    assert (parse(text) or {}) == content


PIECES = (
    "a", "b:", "- ", "\n", "\n  ", "[", "]", "{", "}", ",", ",", ": ", "./x.yaml:", "'q'", '"r"', "1", "1.5", "~",
    "&k ",
    "*k", "# c", "|\n   t\n", "? ", " ", "yes", "%", "0o7", "1e3", "2001-01-01", "x:y", "---\n", "<<: ", "\t",
    ">-\n  u\n", "é", "=", " && ", "x&&y", "@", "!!str ", "!!float ", "1_0", ":", "%YAML 1.1\n---\n",
)  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=9).map("".join))
@settings(deadline=None, max_examples=300)
def test_whatever_dvc_can_read_is_read_as_the_same(text: str) -> None:
    readable, content = as_dvc_reads_it(text)
    if readable:
        assert (parse(text) or {}) == content


@pytest.mark.parametrize(("text", "said"), [
    ("a: 1\nb: 2\na: 3\n", "'a' is there twice at line 3"),
    ("b: {k: 1, 'k': 2}", "'k' is there twice at line 1"),
    ("n: 1\nb:\n- k: 1\n  k: 2\n", "'k' is there twice at line 4"),
])  # fmt: skip
def test_a_key_that_is_written_twice_is_refused_as_dvc_refuses_it(text: str, said: str) -> None:
    assert as_dvc_reads_it(text) == (False, None)
    with pytest.raises(parsing.Unreadable, match=said):
        parsing.parse_yaml(text, "params.yaml")
    assert parse("a: &x {q: 1}\nb: {<<: *x, q: 2}")["b"] == {"q": 2}, "what is merged may be replaced"


@given(st.lists(st.sampled_from((*PIECES, *WORDS)), max_size=9).map("".join))
@settings(deadline=None, max_examples=300)
def test_what_is_read_in_place_of_dvc_is_what_dvc_reads(text: str) -> None:
    readable, content = as_dvc_reads_it(text)
    try:
        found = parse_in_c(text)
    except yaml.YAMLError:
        return  # DVC reads it itself
    assert readable
    assert repr(found or {}) == repr(content)


def test_commands_that_follow_one_another_are_read_in_place_of_dvc() -> None:
    commands = ">-\n      a\n      && b", "'c &&'", "d\n      && e", "mkdir -p b && cp c b&&ls"
    text = "stages:\n  a:\n    cmd:\n" + "".join(f"    - {command}\n" for command in commands)
    assert parse_in_c(text) == parse_yaml(text, "dvc.yaml")


@pytest.mark.parametrize("text", ["a: 1\na: 2", "{a: 1, b: {c: 1, c: 1}}", "- {1: a, true: b}", "[{a: , a: }]"])
def test_a_key_that_stands_twice_is_left_to_dvc_which_refuses_it(text: str) -> None:
    assert not as_dvc_reads_it(text)[0]
    with pytest.raises(yaml.YAMLError, match="twice"):
        parse_in_c(text)


@pytest.mark.parametrize("word", WORDS)
def test_words_are_read_in_place_of_dvc(word: str) -> None:
    text = f"a: {word}\nb: [{word}, x]\n"
    try:
        found = parse_in_c(text)
    except yaml.YAMLError:
        assert word in ("12:30:45.5", "._1")  # DVC reads these itself
    else:
        assert repr(found) == repr(parse_yaml(text, "params.yaml"))


def test_what_is_nested_too_deeply_is_not_read_a_second_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlbutler.yaml_file._read_as_dvc", lambda _: pytest.fail("ruamel.yaml works on it for minutes"))
    with pytest.raises(yaml.YAMLError, match="nesting depth"):
        parse("n: " + "[" * 3000 + "]" * 3000)


def test_what_names_its_version_is_refused_at_the_same_depth() -> None:
    with pytest.raises(yaml.YAMLError, match="nesting depth"):
        parse("%YAML 1.2\n---\n" + "[" * 1001)
