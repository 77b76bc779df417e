"""Text that others wrote ends in data or in `Unreadable`, whatever it is."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlbutler import yaml_file
from mlbutler.comparison.documents import read_document
from mlbutler.comparison.plots import read_rows
from mlbutler.comparison.snapshot import Source
from mlbutler.errors import MlbutlerError, SettingsError
from mlbutler.gate import waivers
from mlbutler.junit_file import count
from mlbutler.parsing import Unreadable, decoded, parse_json, parse_toml, parse_yaml
from mlbutler.record_file import loads
from mlbutler.remotes.trust import sections
from mlbutler.settings import parse_settings as settings_of
from mlbutler.store.interface import ObjectId
from mlbutler.store.manifest import parse_manifest
from mlbutler.yaml_file import MOST_NODES

BOMB = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9))
DIGITS = "1" * 6000


def nodes(value: Any) -> int:
    """Values that something which goes through `value` meets, up to more than there may be."""
    left, found = [value], 0
    while left and found <= 2 * MOST_NODES:
        one = left.pop()
        found += 1
        if isinstance(one, dict):
            left += [*one, *one.values()]
        elif isinstance(one, list | tuple | set):
            left += one
    return found


@pytest.mark.parametrize(("text", "said"), [
    ("a: 1\nb: !!timestamp x\n", "'x' is not a valid timestamp at line 2"),
    ("b: !!bool maybe\n", "'maybe' is not a valid bool at line 1"),
    ("b: !!float x\n", "is not a valid float at line 1"),
    ("b: 2001-99-99\n", "is not a valid timestamp at line 1"),
    (f"b: {DIGITS}\n", "is not a valid int at line 1"),
    (BOMB, "more than 1,000,000 values"),
    ("".join(BOMB.splitlines(keepends=True)[:5]), "its aliases make"),
    ("a: &a [*a]\n", "inside of what it stands for"),
    ("a: &a {<<: *a}\n", "inside of what it stands for"),
    ("[" * 5000, "maximum nesting depth"),
    ("- " * 5000, "maximum nesting depth"),
    ("a: \0", "control characters"),
])  # fmt: skip
def test_what_is_wrong_with_a_yaml_text_is_said_with_its_line(text: str, said: str) -> None:
    with pytest.raises(Unreadable) as error:
        parse_yaml(text, "params.yaml")
    assert said in error.value.message
    assert error.value.message.startswith("params.yaml is not valid YAML: ")
    assert error.value.remedy == "Fix params.yaml."


def test_a_text_of_more_values_than_memory_should_hold_is_refused_before_they_are_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(yaml_file, "MOST_NODES", 1000)
    assert len(parse_yaml("[x" + ", []" * 900 + "]")) == 901
    with pytest.raises(Unreadable, match="more than 1,000 values"):
        parse_yaml("[x" + ", []" * 1000 + "]")


def test_anchors_as_people_use_them_are_read() -> None:
    stages = "".join(f"  s{n}: {{<<: *d, deps: *deps, cmd: run {n}}}\n" for n in range(300))
    text = "x: &d {frozen: false, meta: {a: 1}}\ndeps: &deps [a, b, c, d, e, f]\nstages:\n" + stages
    assert parse_yaml(text)["stages"]["s299"]["deps"] == ["a", "b", "c", "d", "e", "f"]


@pytest.mark.parametrize(("text", "said"), [
    ("a" + ".a" * 100_000 + " = 1", "line 1: a name of more than 100 parts"),
    ("x = 1\n['a'" + ' . "a"' * 100_000 + "]", "line 2: a name of more than 100 parts"),
    ("a = " + "[" * 100_000, "nested too deeply"), ("a = " + DIGITS, "too many digits"), ("a = 1\nb = ?\n", "line 2"),
])  # fmt: skip
def test_what_is_wrong_with_a_toml_text_is_said(text: str, said: str) -> None:
    with pytest.raises(Unreadable, match="not valid TOML") as error:
        parse_toml(text)
    assert said in error.value.problem


@pytest.mark.parametrize(("text", "said"), [("[" * 100_000, "nested too deeply"), (DIGITS, "too many digits")])
def test_what_is_wrong_with_a_json_text_is_said(text: str, said: str) -> None:
    with pytest.raises(Unreadable, match=said):
        parse_json(text)


def test_a_byte_order_mark_is_no_part_of_a_file_and_other_encodings_are_said() -> None:
    assert parse_toml(b"\xef\xbb\xbfa = 1") == {"a": 1}
    assert decoded(b"\xef\xbb\xbfx") == "x"
    with pytest.raises(Unreadable, match="not UTF-8 text: line 2"):
        decoded(b"a\n\xff", "f.yaml")


_WORDS = [
    "&a", "&b ", " *a", "*b", "<<: ", "!!timestamp ", "!!bool ", "!!set ", "!!binary ", "!!omap ", "? ", "{", "}", "[",
    "]", ": ", ", ", "\n", "  ", "- ", "'", '"', "\\ud800", "\\0", "\0", "\ufeff", "1", "-", ".", "e9", "2020-01-01",
    "NaN", ".nan", "Infinity", "0x", DIGITS, "null", "true", "=", "[[", "a", "b", "<a>", "</a>", "é", "\r", "\t", "#",
    "Name,Value,Step\n", "%YAML 1.2\n", "---\n", "...\n", "|\n ", ">-\n", "[remote \"x\"]\n", "\ud800", "x" * 5000,
]  # fmt: skip
TEXTS = st.lists(st.sampled_from(_WORDS), max_size=40).map("".join).map(lambda t: t.encode("utf-8", "surrogatepass"))
CONTENTS = TEXTS | st.binary(max_size=60)
_MD5 = ObjectId("0" * 32 + ".dir")


def _document(extension: str) -> Callable[[bytes], object]:
    return lambda content: dict(read_document(f"m.{extension}", Source(content)).values)


def _rows(extension: str) -> Callable[[bytes], object]:
    return lambda content: read_rows(f"p.{extension}", content, True)


_READERS: dict[str, Callable[[bytes], object]] = {
    "yaml": lambda content: parse_yaml(decoded(content)),
    "toml": parse_toml,
    "json": parse_json,
    **{f"metrics.{kind}": _document(kind) for kind in ("yaml", "json", "toml", "py", "csv", "txt")},
    **{f"plot.{kind}": _rows(kind) for kind in ("yaml", "json", "csv", "tsv")},
    "settings": lambda content: settings_of(decoded(content)),
    "pyproject": lambda content: settings_of(decoded(content), "pyproject.toml"),
    "waivers": lambda content: waivers.parse_waivers(decoded(content)),
    "record": loads,
    "manifest": lambda content: parse_manifest(content, _MD5),
    ".dvc/config": sections,
}


@pytest.mark.parametrize("reader", _READERS)
@given(content=CONTENTS)
@settings(deadline=None)
def test_no_text_raises_anything_but_an_error_of_ours_or_becomes_far_more_than_it_is(
    reader: str, content: bytes
) -> None:
    try:
        found = _READERS[reader](content)
    except MlbutlerError as error:
        assert error.message
        assert len(error.message) < 2000
    else:
        assert not isinstance(found, dict | list) or nodes(found) <= 20_000 + 20 * len(content)


@given(content=CONTENTS)
@settings(deadline=None, max_examples=50)
def test_no_junit_file_raises(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("junit")
    (folder / "j.xml").write_bytes(b"<testsuite>" + content)
    counts = count(folder, ["*.xml"], 0)
    assert counts.problems or counts.files


@pytest.mark.parametrize("name", ["m.csv", "p.csv"])
def test_a_table_of_many_columns_and_many_short_rows_does_not_grow(name: str) -> None:
    text = ",".join(["Name", "Value", *map(str, range(20_000))]) + "\n" + "a,1\n" * 20_000
    rows = read_rows(name, text.encode(), True)
    assert sum(map(len, rows)) <= 20_002 + 2 * 20_000
    assert dict(read_document(name, Source(text.encode())).values) == {"a": 1.0}


def test_a_nested_cell_of_a_plot_is_a_text() -> None:
    from mlbutler.comparison.plots import cell_value

    deep: Any = 1
    for _ in range(100_000):
        deep = [deep]
    assert cell_value(deep) == "(nested too deeply)"


def test_settings_say_which_number_is_too_large() -> None:
    with pytest.raises(SettingsError):
        settings_of(f"[data]\njobs = 0x{'f' * 20_000}\n")


def test_a_torn_record_and_one_of_deep_nesting_are_refused() -> None:
    for text in ("[" * 100_000, json.dumps({"schema": 1, "change": DIGITS})[:-1], DIGITS):
        with pytest.raises(MlbutlerError, match="Not a record"):
            loads(text)
