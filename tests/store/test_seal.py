from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlbutler.store.interface import Answer, ObjectId, Presence
from mlbutler.store.remembered import Remembered
from mlbutler.store.seal import LENGTH, UNSEALED, Seal, secret

OURS, OTHER, NONE = Seal("a password"), Seal("another"), Seal("")
values = st.none() | st.integers() | st.floats(allow_nan=False) | st.lists(st.text(max_size=3), max_size=2)
contents = st.dictionaries(st.sampled_from(["asked", "key", "é"]), values)
PLACE = "https://store.example/repo"


@settings(deadline=None)
@given(content=contents, changed=contents, kind=st.text(max_size=3))
def test_only_what_was_sealed_with_this_secret_for_this_purpose_holds(
    content: dict[str, object], changed: dict[str, object], kind: str
) -> None:
    kept = json.loads(json.dumps(OURS.sealed(kind, content)))
    assert OURS.is_sealed(kind, kept)
    assert not OTHER.is_sealed(kind, kept)
    assert not NONE.is_sealed(kind, kept)
    assert not OURS.is_sealed(kind + " of another", kept)
    assert not OURS.is_sealed(kind, content)
    same = json.dumps(changed, sort_keys=True) == json.dumps(content, sort_keys=True)
    assert OURS.is_sealed(kind, {**changed, "seal": kept["seal"]}) == same


@settings(deadline=None)
@given(parts=st.lists(st.binary(), min_size=2, max_size=3))
def test_parts_cannot_be_shifted(parts: list[bytes]) -> None:
    code = OURS.of(*parts)
    assert OURS.holds(code, *parts)
    assert not OURS.holds(code, b"".join(parts))
    assert not OURS.holds(code, *parts, b"")


def test_without_a_secret_nothing_holds_and_on_a_laptop_everything() -> None:
    assert not NONE.holds(NONE.of(b"text"), b"text")
    assert not NONE.holds(bytes(LENGTH), b"text")
    assert not NONE.is_sealed("kind", NONE.sealed("kind", {"a": 1}))
    assert UNSEALED.is_sealed("kind", {"a": 1})
    assert UNSEALED.sealed("kind", {"a": 1}) == {"a": 1}


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


@pytest.mark.parametrize(("reader", "believed"), [(OURS, 1), (OTHER, 0), (NONE, 0), (UNSEALED, 1)])
def test_answers_of_a_remote_are_believed_by_those_who_know_the_secret(
    tmp_path: Path, reader: Seal, believed: int
) -> None:
    answers = {ObjectId("a" * 32): Answer(Presence.PRESENT, 3)}
    Remembered(tmp_path, 60, OURS).add(PLACE, answers)
    assert len(Remembered(tmp_path, 60, reader).known(PLACE)) == believed
    assert len(Remembered(tmp_path, 60, OURS).known(PLACE)) == 1, "what one build does not believe stays for others"
    (file,) = tmp_path.rglob("*.answers")
    elsewhere = Remembered(tmp_path, 60, OURS)
    elsewhere.add("https://empty.example", {ObjectId("b" * 32): Answer(Presence.PRESENT, 3)})
    (folder,) = {found.parent for found in tmp_path.rglob("*.answers")} - {file.parent}
    file.rename(folder / file.name)
    assert set(elsewhere.known("https://empty.example")) == {ObjectId("b" * 32)}, "an answer of another remote"
