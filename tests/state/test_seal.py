from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlbutler.state.seal import UNSEALED, Seal, secret
from mlbutler.state.segments import Segment

OURS, OTHER, NONE = Seal("a password"), Seal("another"), Seal("")


@settings(deadline=None)
@given(parts=st.lists(st.binary(), min_size=2, max_size=3))
def test_a_code_counts_for_one_secret_and_one_content_and_parts_cannot_be_shifted(parts: list[bytes]) -> None:
    code = OURS.code(*parts).encode()
    assert OURS.is_code(code, *parts)
    assert not OTHER.is_code(code, *parts)
    assert not UNSEALED.is_code(code, *parts)
    assert not NONE.is_code(code, *parts)
    assert not OURS.is_code(code, b"".join(parts))
    assert not OURS.is_code(code, *parts, b"")


def test_without_a_secret_nothing_is_believed_and_on_a_laptop_what_is_whole() -> None:
    assert not NONE.is_code(NONE.code(b"text").encode(), b"text")
    assert UNSEALED.is_code(UNSEALED.code(b"text").encode(), b"text")


def test_the_remotes_credentials_are_the_secret_but_for_those_that_stages_are_given() -> None:
    environ = {
        "MLBUTLER_REMOTE_USER": "ada", "MLBUTLER_REMOTE_PASSWORD": "p", "MLBUTLER_REMOTE_STORE_SECRET_ACCESS_KEY": "s",
        "AWS_SECRET_ACCESS_KEY": "k", "MLBUTLER_FORGE_TOKEN": "t", "PATH": "/bin", "DAGSHUB_USER_TOKEN": "",
    }  # fmt: skip
    assert set(json.loads(secret(environ, ()))) == {
        "MLBUTLER_REMOTE_PASSWORD", "MLBUTLER_REMOTE_STORE_SECRET_ACCESS_KEY", "AWS_SECRET_ACCESS_KEY"
    }  # fmt: skip
    assert "AWS" not in secret(environ, ["AWS_SECRET_ACCESS_KEY"])
    assert secret({"MLBUTLER_FORGE_TOKEN": "t", "MLBUTLER_REMOTE_USER": "ada"}, ()) == ""


@pytest.mark.parametrize(("reader", "believed"), [(OURS, True), (OTHER, False), (NONE, False), (UNSEALED, False)])
def test_a_memory_is_believed_by_those_who_know_the_secret(tmp_path: Path, reader: Seal, believed: bool) -> None:
    rows = {"a": 1}
    Segment(tmp_path, "kind", "key", OURS).append(rows)
    assert Segment(tmp_path, "kind", "key", reader).read() == (rows if believed else {})
    planted = Segment(tmp_path, "kind", "key", reader)
    planted.append({"b": 1})
    ours = Segment(tmp_path, "kind", "key", OURS)
    assert ours.read() == rows | ({"b": 1} if believed else {}), "what one build does not believe stays for others"
    if reader is not NONE:
        ours.file.write_bytes(planted.file.read_bytes())
        assert bool(Segment(tmp_path, "kind", "key", OURS).read()) is believed


def test_without_a_secret_nothing_is_kept(tmp_path: Path) -> None:
    one = Segment(tmp_path, "kind", seal=NONE)
    one.append({"a": 1})
    assert not one.replace({"a": 1})
    assert list(tmp_path.iterdir()) == []
