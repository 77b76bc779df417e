"""That all was brought when this clone last synced: whatever might make it wrong makes it forgotten."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlbutler.state.fingerprint import Fingerprints, fingerprint
from mlbutler.state.hashes import HashCache
from mlbutler.state.read_recorder import ReadRecorder
from mlbutler.state.results import InPlace, InputFingerprints, PlanCache, SyncCache
from mlbutler.state.segments import Segment
from mlbutler.store.interface import ObjectId
from mlbutler.store.local import LocalStore
from tests.store.world import add_object

CONTENTS = [b"one", b"two", b"three"]
ARTIFACTS = tuple(f"{number:032x}.dir" for number in range(2))
BROUGHT = InPlace(("data", "café \udce9"), ARTIFACTS, 3, 11)


class Clone:
    """A clone whose artifacts are in place, and what it remembers of that."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "data").mkdir(parents=True)
        for name in ("data/file", "café \udce9"):
            (root / name).write_text("content")
            os.utime(root / name, ns=(10**18, 10**18))
        time.sleep(0.06)  # what has just been written is not sure to be what it was
        self.cache = LocalStore("cache", root / "cache")
        self.objects = [add_object(self.cache.root, content) for content in CONTENTS]
        for oid in self.objects:
            self.cache.verified.add(oid, self.cache.path(oid).stat())
        self.plan().put([], [], [], ReadRecorder(root), outputs={}, artifacts="a")

    def now(self) -> InputFingerprints:
        return InputFingerprints(self.root, Fingerprints(), HashCache(self.root))

    def plan(self) -> PlanCache:
        return PlanCache(self.now(), ["1"])

    def memory(self) -> SyncCache:
        return SyncCache(self.now(), self.plan())

    def keep(self, **other: object) -> None:
        found = {path: one.text for path in BROUGHT.paths if (one := fingerprint(self.root, path)) is not None}
        words = {"objects": self.objects, "fingerprints": found} | other
        self.memory().put(
            BROUGHT.paths,
            ARTIFACTS,
            cache=self.cache.root,
            verified=self.cache.verified,
            **words,  # type: ignore[arg-type]
        )

    def read(self) -> InPlace | None:
        """As the next process would."""
        return self.memory().get()

    @property
    def segment(self) -> Segment:
        return Segment(self.root / ".mlbutler", "sync")

    @property
    def file(self) -> Path:
        return self.segment.file

    def object(self) -> Path:
        return self.cache.path(self.objects[1])


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    made = Clone(tmp_path / "clone")
    made.keep()
    assert made.read() == BROUGHT
    return made


def _overwritten(clone: Clone) -> None:
    path = clone.object()
    path.chmod(0o644)
    path.write_bytes(b"TWO")
    path.chmod(0o444)


def _replace_object(clone: Clone) -> None:
    other = clone.root / "other"
    other.write_bytes(b"TWO")
    other.chmod(0o444)
    found = clone.object().stat()
    os.utime(other, ns=(found.st_atime_ns, found.st_mtime_ns))
    other.replace(clone.object())


def _folder(clone: Clone) -> None:
    clone.object().unlink()
    clone.object().mkdir()


CHANGES: dict[str, Callable[[Clone], object]] = {
    "another plan": lambda clone: clone.plan().put([], ["x"], [], ReadRecorder(clone.root), outputs={}, artifacts="a"),
    "no plan": lambda clone: clone.plan().invalidate(),
    "a file of an artifact": lambda clone: (clone.root / "data" / "file").write_text("CONTENT!"),
    "one more file": lambda clone: (clone.root / "data" / "more").touch(),
    "an artifact is gone": lambda clone: (clone.root / "café \udce9").unlink(),
    "an artifact became a symlink": lambda clone: (clone.root / "data" / "link").symlink_to("file"),
    "an object is gone": lambda clone: clone.object().unlink(),
    "an object was overwritten in place": _overwritten,
    "an object was replaced": _replace_object,
    "somebody may write into an object": lambda clone: clone.object().chmod(0o646),
    "an object became a folder": _folder,
    "the memory is gone": lambda clone: clone.file.unlink(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_changed_is_looked_at_again(clone: Clone, change: str) -> None:
    CHANGES[change](clone)
    assert clone.read() is None


def test_what_was_seen_before_the_machine_started_is_not_believed(
    clone: Clone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "boot").write_text("another\n")
    monkeypatch.setattr("mlbutler.state.verified._BOOT", tmp_path / "boot")
    assert clone.read() is None


def test_further_names_of_objects_change_nothing(clone: Clone, tmp_path: Path) -> None:
    (tmp_path / "a link").hardlink_to(clone.object())
    assert clone.read() == BROUGHT


@pytest.mark.parametrize(
    "lack", ["an object that was not seen whole", "one of DVC 2", "an artifact without fingerprint"]
)
def test_what_is_not_certain_is_not_kept(tmp_path: Path, lack: str) -> None:
    clone = Clone(tmp_path / "clone")
    if lack == "an artifact without fingerprint":
        clone.keep(fingerprints={"data": "known"})
    else:
        more = ObjectId("9" * 32, legacy=lack == "one of DVC 2")
        if more.legacy:
            clone.cache.verified.add(more, clone.object().stat())
        clone.keep(objects=[*clone.objects, more])
    assert not clone.file.exists()


def test_a_clone_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    clone = Clone(tmp_path / "clone")
    clone.file.mkdir(parents=True)
    clone.keep()
    assert clone.read() is None


def test_a_clone_without_a_plan_keeps_nothing(tmp_path: Path) -> None:
    clone = Clone(tmp_path / "clone")
    clone.plan().invalidate()
    clone.keep()
    assert not clone.file.exists()


PARTS = ["key", "cache", "digest", "inputs", "artifacts", "names", "objects", "bytes"]
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=5), inside, max_size=3),
    max_leaves=5,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(PARTS), json_values)
def test_a_memory_of_another_shape_is_no_memory(clone: Clone, name: str, value: object) -> None:
    """Nothing is believed but what the keys and the digest bear out, and nothing fails."""
    clone.keep()
    clone.segment.append({name: value})
    found = clone.read()
    assert found is None or name in ("objects", "bytes", "artifacts", "inputs")
    if found is not None and name == "inputs":
        assert found.paths == ()


def test_every_object_whose_file_is_another_counts(clone: Clone) -> None:
    for oid in clone.objects:
        path = clone.cache.path(oid)
        before = path.stat()
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
        assert clone.read() is None
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert clone.read() == BROUGHT
