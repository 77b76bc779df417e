from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlbutler.project.artifact import Artifact
from mlbutler.project.pushed import Pushed, check_pushed
from mlbutler.store.http.store import HttpStore
from mlbutler.store.interface import Answer, ObjectId, Presence
from mlbutler.store.local import LocalStore
from mlbutler.store.manifest import parse_manifest
from mlbutler.store.remembered import Remembered
from tests.store.world import Remote, add_directory, add_object, manifest

HERE = "https://store.example/repo"
FILES = {f"{number}.txt": b"content %d" % number for number in range(20)}

oids = st.builds(
    lambda md5, folder, legacy: ObjectId(md5.hex() + (".dir" if folder else ""), legacy),
    st.binary(min_size=16, max_size=16), st.booleans(), st.booleans(),
)  # fmt: skip


@given(answers=st.dictionaries(oids, st.none() | st.integers(0, 2**62)))
def test_what_is_kept_comes_back(tmp_path_factory: pytest.TempPathFactory, answers: dict[ObjectId, int | None]) -> None:
    memory = Remembered(tmp_path_factory.mktemp("mirror"), 60)
    memory.add(HERE, {oid: Answer(Presence.PRESENT, size) for oid, size in answers.items()})
    known = memory.known(HERE)
    assert {oid: found.size for oid, found in known.items()} == answers
    assert all(0 <= found.age < 60 for found in known.values())
    assert memory.known("https://elsewhere.example") == {}


def test_only_what_is_certain_is_kept_and_only_for_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    present, missing, unknown = (ObjectId(c * 32) for c in "abc")
    memory = Remembered(tmp_path, 3600)
    memory.add(HERE, {
        present: Answer(Presence.PRESENT, 3), missing: Answer(Presence.MISSING), unknown: Answer(Presence.UNDETERMINED),
    })  # fmt: skip
    assert set(memory.known(HERE)) == {present}
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 1800)
    assert memory.known(HERE)[present].age == pytest.approx(1800, abs=5)
    monkeypatch.setattr(time, "time", lambda: now + 3700)
    assert memory.known(HERE) == {}
    assert not list(tmp_path.rglob("*.answers"))


def test_a_clock_that_went_back_makes_no_answer_immortal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = Remembered(tmp_path, 3600)
    memory.add(HERE, {ObjectId("a" * 32): Answer(Presence.PRESENT, 3)})
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now - 7200)
    assert memory.known(HERE) == {}


@pytest.mark.parametrize("cut", [1, 40, 33, 60])
def test_a_torn_or_altered_file_is_not_believed(tmp_path: Path, cut: int) -> None:
    memory = Remembered(tmp_path, 60)
    memory.add(HERE, {ObjectId("a" * 32): Answer(Presence.PRESENT, 3)})
    (file,) = tmp_path.rglob("*.answers")
    content = file.read_bytes()
    file.write_bytes(content[:-cut])
    assert memory.known(HERE) == {}
    file.write_bytes(content[:30] + bytes([content[30] ^ 1]) + content[31:])
    assert memory.known(HERE) == {}


def test_a_mirror_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "mlbutler").write_text("a file is in the way")
    memory = Remembered(tmp_path, 60)
    memory.add(HERE, {ObjectId("a" * 32): Answer(Presence.PRESENT, 3)})
    assert memory.known(HERE) == {}


def check(
    remote: Remote, connect: Callable[..., HttpStore], cache: LocalStore, memory: Remembered, oid: ObjectId
) -> Pushed:
    artifact = Artifact("data", "data.dvc", oid, None)
    store = connect(remote)
    return check_pushed(
        [artifact], lambda _: store, lambda name: parse_manifest(cache.path(name).read_bytes(), name),
        remembered=memory, address=lambda _: remote.url,
    )  # fmt: skip


def asked(remote: Remote) -> list[str]:
    """Objects that were asked for, but for the one that nobody can have made."""
    made = {path.relative_to(remote.root).as_posix() for path in remote.root.rglob("*")}
    return [path for _, path in remote.requests if path in made]


def test_the_second_build_asks_for_nothing_and_says_so(
    remote: Remote, connect: Callable[..., HttpStore], cache: LocalStore, tmp_path: Path
) -> None:
    memory = Remembered(tmp_path / "mirror", 60)
    oid = add_directory(remote.root, FILES)
    add_directory(cache.root, FILES)
    assert (check(remote, connect, cache, memory, oid).remembered, len(asked(remote))) == (0, 21)
    again = check(remote, connect, cache, memory, oid)
    assert (again.checked, again.remembered, again.findings) == (21, 21, ())
    assert len(asked(remote)) == 21
    more = FILES | {"new.txt": b"new"}
    add_object(remote.root, b"new")
    changed = add_object(remote.root, manifest(more), directory=True)
    add_object(cache.root, manifest(more), directory=True)
    artifact_size = check(remote, connect, cache, memory, changed)
    assert (artifact_size.checked, artifact_size.remembered) == (22, 20)
    assert len(asked(remote)) == 23  # the new file and the new manifest


def test_a_remote_that_lacks_something_is_asked_for_everything_again(
    remote: Remote, connect: Callable[..., HttpStore], cache: LocalStore, tmp_path: Path
) -> None:
    memory = Remembered(tmp_path / "mirror", 60)
    oid = add_directory(remote.root, FILES)
    add_directory(cache.root, FILES)
    check(remote, connect, cache, memory, oid)
    gone = add_object(remote.root, FILES["3.txt"])
    (remote.root / gone.key).unlink()
    more = FILES | {"new.txt": b"never pushed"}
    changed = add_object(remote.root, manifest(more), directory=True)
    add_object(cache.root, manifest(more), directory=True)
    found = check(remote, connect, cache, memory, changed)
    assert found.remembered == 0
    assert "3.txt" in found.findings[0].problem
    assert "new.txt" in found.findings[0].problem
