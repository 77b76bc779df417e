from __future__ import annotations

import json
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlbutler.errors import CorruptObject
from mlbutler.store.interface import ObjectId
from mlbutler.store.manifest import parse_manifest, select

DIR = ObjectId("a" * 32 + ".dir")
MD5 = "0123456789abcdef" * 2


def manifest(*paths: object, md5: object = MD5) -> bytes:
    return json.dumps([{"md5": md5, "relpath": path} for path in paths]).encode()


@pytest.mark.parametrize(
    "path",
    ["../x", "a/../../x", "/etc/passwd", "", ".", "a//b", "a/./b", "a/", "..", "x" * 300, "a/" * 2500 + "a",
     "a\0b", ".git/hooks/pre-commit", "a/.GIT/config", None, 7, ["a"], "\ud800"],
)  # fmt: skip
def test_hostile_paths_are_refused(path: object) -> None:
    with pytest.raises(CorruptObject, match="refused"):
        parse_manifest(manifest(path), DIR)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[1]",
        b"[[]]",
        b"null",
        b'"x"',
        b"[{}]",
        b'[{"relpath":"a"}]',
        b"[" * 100_000,
        b"\xff\xfe",
        b'[{"a":1}',
        manifest("a", md5="short"),
        manifest("a", md5=MD5.upper()),
        manifest("a", md5=MD5 + ".dir"),
        manifest("a", md5=None),
        manifest("a", "a"),
        manifest("a", "a/b"),
        manifest("a/b/c", "a/b"),
    ],
)
def test_what_is_no_manifest_is_refused(content: bytes) -> None:
    with pytest.raises(CorruptObject, match="refused"):
        parse_manifest(content, DIR)


@pytest.mark.parametrize(
    "path", ["a b", "a'b\"c", "line\nbreak", "grüße/ß", "back\\slash", "..a", "a..", "\udcff", ".gitignore"]
)
def test_odd_but_honest_paths_are_kept(path: str) -> None:
    assert parse_manifest(manifest(path), DIR) == {path: MD5}


@given(st.lists(st.text(st.characters(exclude_categories=[]), max_size=20) | st.sampled_from(["..", "/", "a/..", "."])))
def test_whatever_is_accepted_stays_inside(paths: list[str]) -> None:
    try:
        files = parse_manifest(manifest(*paths), DIR)
    except CorruptObject:
        return
    assert list(files) == paths
    for path in files:
        assert not PurePosixPath(path).is_absolute()
        assert ".." not in PurePosixPath(path).parts


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(), lambda s: st.lists(s) | st.dictionaries(st.text(), s)
    )
)
def test_any_json_is_a_manifest_or_refused(value: object) -> None:
    try:
        files = parse_manifest(json.dumps(value).encode(), DIR)
    except CorruptObject:
        return
    assert files == {}


def test_select_takes_files_and_folders() -> None:
    files = {"a": MD5, "b/c": MD5, "b/d/e": MD5, "bb": MD5}
    assert list(select(files, ("b",))) == ["b/c", "b/d/e"]
    assert list(select(files, ("b/d/e", "a"))) == ["a", "b/d/e"]
    assert list(select(files, ())) == list(files)
