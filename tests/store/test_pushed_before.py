"""That all of a plan was on the remote: what is kept where, for whom, and for how long."""

from __future__ import annotations

import json
import math
import os
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlbutler.project.artifact import Artifact
from mlbutler.project.planned import Planned
from mlbutler.project.signature import Look
from mlbutler.store import lacked
from mlbutler.store.interface import ObjectId
from mlbutler.store.pushed_before import SHARED, Before, PushedBefore, forget_shared, key_of
from mlbutler.store.remembered import Remembered

ANSWER = Before(7, 3, (("metrics.json", "cache: false"), ("café \udce9", "import")), 0.0)
DAY = 86400.0


class Clone:
    """A clone with a plan; `artifacts` tells those that belong to it from others."""

    def __init__(self, root: Path, artifacts: str = "a1", plan: str = "a plan") -> None:
        self.root = root
        (root / ".mlbutler").mkdir(parents=True)
        self.planned = Planned(root, ["1"], Look())
        self.planned.file.write_text(json.dumps({"artifacts": artifacts, "key": plan}))

    def memory(self, shared: Path | None, *, remote: str = "", lifetime: float = DAY) -> PushedBefore:
        believed = min(lifetime, lacked.age((self.planned.file.parent, shared)))
        return PushedBefore(self.planned, remote, believed, shared)


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path / "clone")


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    return tmp_path / "mirror"


def same(found: Before | None) -> bool:
    return found is not None and (found.objects, found.artifacts, found.left_out) == (7, 3, ANSWER.left_out)


def test_another_clone_on_the_agent_knows_it(clone: Clone, mirror: Path, tmp_path: Path) -> None:
    clone.memory(mirror).keep(ANSWER)
    assert same(clone.memory(mirror).read())
    assert same(Clone(tmp_path / "same", plan="another plan").memory(mirror).read())
    assert Clone(tmp_path / "other", "a2").memory(mirror).read() is None
    assert Clone(tmp_path / "unknown", "").memory(mirror).read() is None
    assert Clone(tmp_path / "alone").memory(None).read() is None


def test_without_a_mirror_the_clone_knows_it_for_its_plan_and_remote(clone: Clone, tmp_path: Path) -> None:
    clone.memory(None).keep(ANSWER)
    assert same(clone.memory(None).read())
    assert clone.memory(None, remote="other").read() is None
    assert Clone(tmp_path / "other").memory(None).read() is None
    clone.planned.file.write_text("another plan")
    assert clone.memory(None).read() is None
    clone.planned.file.unlink()
    assert clone.memory(None).read() is None


@pytest.mark.parametrize("shared", [True, False])
def test_it_grows_old(clone: Clone, mirror: Path, shared: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = clone.memory(mirror if shared else None)
    memory.keep(Before(7, 3, (), 3600))
    found = memory.read()
    assert found is not None
    assert found.age == pytest.approx(3600, abs=5)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + DAY - 3700)
    assert memory.read() is not None
    monkeypatch.setattr(time, "time", lambda: now + DAY - 3500)
    assert memory.read() is None
    monkeypatch.setattr(time, "time", lambda: now - 7200)  # a clock that went back
    assert memory.read() is None


@pytest.mark.parametrize(("age", "lifetime"), [(math.inf, DAY), (math.nan, DAY), (0, 0)])
def test_what_may_not_be_believed_is_not_kept(clone: Clone, mirror: Path, age: float, lifetime: float) -> None:
    clone.memory(mirror, lifetime=lifetime).keep(Before(7, 3, (), age))
    assert not mirror.exists()


@pytest.mark.parametrize("who", ["this memory", "a build of another project", "whoever asked the remote"])
def test_when_something_is_missing_all_builds_forget(clone: Clone, mirror: Path, who: str, tmp_path: Path) -> None:
    clone.memory(mirror).keep(ANSWER)
    other = Clone(tmp_path / "other", "a2")
    other.memory(mirror).keep(ANSWER)
    if who == "this memory":
        clone.memory(mirror).forget()
    elif who == "whoever asked the remote":
        Remembered(mirror, DAY).forget("https://store.example/repo")
    else:
        forget_shared(mirror)
    assert clone.memory(mirror).read() is None
    assert other.memory(mirror).read() is None


def test_the_clone_s_own_answer_is_forgotten_too(clone: Clone) -> None:
    clone.memory(None).keep(ANSWER)
    clone.memory(None).forget()
    clone.memory(None).forget()
    assert clone.memory(None).read() is None


def test_old_answers_do_not_pile_up(clone: Clone, mirror: Path) -> None:
    clone.memory(mirror).keep(ANSWER)
    old = mirror / SHARED / "old.json"
    old.write_text("{}")
    os.utime(old, (time.time() - 40 * DAY,) * 2)
    clone.memory(mirror).keep(ANSWER)
    assert [file.name for file in (mirror / SHARED).iterdir()] == ["a1.json"]


def test_a_mirror_that_cannot_be_written_is_done_without(clone: Clone, mirror: Path) -> None:
    mirror.write_text("a file is in the way")
    memory = clone.memory(mirror)
    memory.keep(ANSWER)
    assert same(memory.read())  # the clone's own
    memory.forget()
    assert clone.memory(mirror).read() is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=5), inside, max_size=3),
    max_leaves=5,
)


def test_a_number_that_is_none_is_no_answer(clone: Clone, mirror: Path, tmp_path: Path) -> None:
    clone.memory(mirror).keep(ANSWER)
    reader = Clone(tmp_path / "reader")
    [file] = (mirror / SHARED).iterdir()
    for name in ("asked", "objects", "artifacts"):
        file.write_text(json.dumps(json.loads(file.read_text()) | {name: math.inf}))
        assert reader.memory(mirror).read() is None
        clone.memory(mirror).keep(ANSWER)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(["", "key", "asked", "objects", "artifacts", "left_out"]), json_values)
def test_an_answer_of_another_shape_fails_nobody(clone: Clone, mirror: Path, name: str, value: object) -> None:
    clone.memory(mirror).keep(ANSWER)
    [file] = (mirror / SHARED).iterdir()
    content = json.loads(file.read_text())
    file.write_text(json.dumps(content | {name: value} if name else value))
    (clone.root / ".mlbutler" / "pushed.json").unlink()
    found = clone.memory(mirror).read()
    assert found is None or name in ("asked", "objects", "artifacts", "left_out")
    if found is not None:
        assert 0 <= found.age <= DAY


# ------------------------------------------------------------------------------------ which artifacts

OID = ObjectId("a" * 32)
MODEL = Artifact("model", "train", OID, size=5)
METRIC = Artifact("m.json", "train", ObjectId("b" * 32), cached=False, pushed=False, left_out="cache: false")


def address(remote: str | None) -> str:
    return {None: " https://store.example/repo", "own": " https://own.example"}.get(remote, "")


def test_the_same_artifacts_on_the_same_remotes_have_one_key() -> None:
    assert key_of([MODEL, METRIC], address) == key_of(iter([MODEL, METRIC]), address) != ""


OTHERS = [
    Artifact("model2", "train", OID, size=5),
    Artifact("model", "train", ObjectId("c" * 32), size=5),
    Artifact("model", "train", ObjectId("a" * 32 + ".dir"), size=5),
    Artifact("model", "train", ObjectId("a" * 32, legacy=True), size=5),
    Artifact("model", "train", OID, size=6),
    Artifact("model", "train", OID, size=None),
    Artifact("model", "train", OID, size=5, remote="own"),
    Artifact("model", "train", OID, size=5, pushed=False, left_out="push: false"),
]


@pytest.mark.parametrize("other", OTHERS)
def test_any_other_artifact_has_another(other: Artifact) -> None:
    keys = {key_of(some, address) for some in ([MODEL], [other], [MODEL, other], [MODEL, METRIC])}
    assert len(keys) == 4
    assert "" not in keys


def test_another_address_is_another_key() -> None:
    assert key_of([MODEL], address) != key_of([MODEL], lambda _: " https://store.example/other")


@pytest.mark.parametrize("artifacts", [
    [], [Artifact("m", "s", OID, remote="a directory")], [MODEL, Artifact("m", "s", OID, remote="a directory")],
    [Artifact("never ran", "s", None)],
])  # fmt: skip
def test_what_is_in_a_directory_or_never_ran_has_none(artifacts: list[Artifact]) -> None:
    assert key_of(artifacts, address) == ""


def test_what_is_not_pushed_needs_no_remote() -> None:
    assert key_of([METRIC], lambda _: "") != ""
