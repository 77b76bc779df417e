"""What remotes hold: what is kept where, for whom, and for how long."""

from __future__ import annotations

import math
import os
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlbutler.project.artifact import Artifact
from mlbutler.project.pushed import key_of
from mlbutler.state.presence import CHECK, INVALIDATED, KIND, Invalidation, PresenceCache, PushCheck, PushCheckCache
from mlbutler.state.segments import FOLDER, Segment
from mlbutler.store.interface import ObjectId

ANSWER = PushCheck(7, 3, (("metrics.json", "cache: false"), ("café \udce9", "import")), 0.0)
DAY, HERE = 86400.0, "https://store.example/repo"
A, B = ObjectId("a" * 32), ObjectId("b" * 32 + ".dir", legacy=True)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    return tmp_path / "clone" / ".mlbutler"


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    return tmp_path / "mirror" / "mlbutler"


def checks(*places: Path, lifetime: float = DAY) -> PushCheckCache:
    """As the next process has it."""
    return PushCheckCache(Invalidation(places, lifetime))


def objects(*places: Path, lifetime: float = DAY) -> PresenceCache:
    return PresenceCache(places[-1], Invalidation(places, lifetime))


def same(found: PushCheck | None) -> bool:
    return found is not None and (found.objects, found.artifacts, found.left_out) == (7, 3, ANSWER.left_out)


oids = st.builds(
    lambda md5, folder, legacy: ObjectId(md5.hex() + (".dir" if folder else ""), legacy),
    st.binary(min_size=16, max_size=16), st.booleans(), st.booleans(),
)  # fmt: skip
quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@quick
@given(answers=st.dictionaries(oids, st.none() | st.integers(0, 2**62)))
def test_what_is_kept_comes_back(tmp_path_factory: pytest.TempPathFactory, answers: dict[ObjectId, int | None]) -> None:
    place = tmp_path_factory.mktemp("mirror")
    objects(place).put(HERE, answers)
    known = objects(place).get(HERE)
    assert {oid: found.size for oid, found in known.items()} == answers
    assert all(0 <= found.age < 60 for found in known.values())
    assert objects(place).get("https://elsewhere.example") == {}


def seconds(least: int, most: int) -> st.SearchStrategy[int]:
    """Of so many days."""
    return st.integers(least * 86400, most * 86400)


@quick
@given(asked=seconds(-2, 1), invalidated=st.none() | seconds(-2, 0), lifetime=seconds(0, 2))
def test_an_answer_is_valid_while_it_is_young_and_nothing_was_lacking_since(
    tmp_path_factory: pytest.TempPathFactory, asked: int, invalidated: int | None, lifetime: int
) -> None:
    """Times are in seconds from now on."""
    place, now = tmp_path_factory.mktemp("mirror"), time.time()
    if invalidated is not None:
        objects(place).invalidate(now + invalidated)
    objects(place, lifetime=lifetime).put(HERE, {A: 3}, now + asked)
    young = -lifetime <= asked <= 300
    if abs(asked + lifetime) > 30 and abs(asked - 300) > 30:
        expected = young and lifetime > 0 and (invalidated is None or asked >= invalidated)
        assert bool(objects(place, lifetime=lifetime).get(HERE)) is expected


def test_another_clone_on_the_agent_knows_what_one_was_told(clone: Path, mirror: Path, tmp_path: Path) -> None:
    checks(clone, mirror).put("a1", ANSWER)
    other = tmp_path / "other" / ".mlbutler"
    assert same(checks(other, mirror).get("a1"))
    for artifacts in ("a2", ""):
        assert checks(other, mirror).get(artifacts) is None
    assert checks(other).get("a1") is None
    assert same(checks(clone).get("a1"))  # and without the mirror


def test_artifacts_that_are_not_known_have_no_answer(clone: Path) -> None:
    checks(clone).put("", ANSWER)
    assert checks(clone).get("") is None


@pytest.mark.parametrize("shared", [True, False])
def test_it_grows_old(clone: Path, mirror: Path, shared: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = checks(clone, mirror) if shared else checks(clone)
    memory.put("a1", PushCheck(7, 3, (), 3600))
    found = memory.get("a1")
    assert found is not None
    assert found.age == pytest.approx(3600, abs=30)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + DAY - 3700)
    assert memory.get("a1") is not None
    monkeypatch.setattr(time, "time", lambda: now + DAY - 3500)
    assert memory.get("a1") is None
    monkeypatch.setattr(time, "time", lambda: now - 7200)  # a clock that went back
    assert memory.get("a1") is None


@pytest.mark.parametrize(("age", "lifetime"), [(math.inf, DAY), (math.nan, DAY), (0, 0)])
def test_what_may_not_be_believed_is_not_kept(clone: Path, mirror: Path, age: float, lifetime: float) -> None:
    checks(clone, mirror, lifetime=lifetime).put("a1", PushCheck(7, 3, (), age))
    assert not mirror.exists()


@pytest.mark.parametrize("found_by", ["checks", "objects"])
def test_when_something_is_missing_nobody_believes_what_was_said_before(
    clone: Path, mirror: Path, tmp_path: Path, found_by: str
) -> None:
    other = tmp_path / "other" / ".mlbutler"
    for place, artifacts in ((clone, "a1"), (other, "a2")):
        checks(place, mirror).put(artifacts, ANSWER)
    objects(clone, mirror).put(HERE, {A: 3})
    (checks if found_by == "checks" else objects)(clone, mirror).invalidate()
    assert checks(clone, mirror).get("a1") is None
    assert checks(other, mirror).get("a2") is None
    assert objects(other, mirror).get(HERE) == {}
    checks(clone, mirror).put("a1", ANSWER)
    assert same(checks(other, mirror).get("a1"))


def test_a_mirror_that_goes_on_saying_so_is_not_believed_by_who_knows_better(clone: Path, mirror: Path) -> None:
    """As a mount that cannot be written, or one that is mounted again."""
    checks(clone, mirror).put("a1", ANSWER)
    kept = {path: path.read_bytes() for path in mirror.rglob("*") if path.is_file()}
    checks(clone, mirror).invalidate()
    for path, content in kept.items():
        path.write_bytes(content)
    (mirror / FOLDER / INVALIDATED).rename(mirror / "away")
    assert checks(clone, mirror).get("a1") is None


def test_a_mirror_that_cannot_be_written_is_done_without(clone: Path, mirror: Path) -> None:
    mirror.parent.mkdir()
    mirror.write_text("a file is in the way")
    memory = checks(clone, mirror)
    memory.put("a1", ANSWER)
    assert same(memory.get("a1"))  # the clone's own
    objects(clone, mirror).put(HERE, {A: 3})
    assert objects(clone, mirror).get(HERE) == {}
    memory.invalidate()
    assert checks(clone, mirror).get("a1") is None


def test_a_clock_that_was_ahead_makes_nobody_doubt_for_ever(clone: Path) -> None:
    checks(clone).invalidate(time.time() + 1e8)
    assert checks(clone).get("a1") is None
    checks(clone).put("a1", ANSWER)
    assert same(checks(clone).get("a1"))


def test_a_torn_note_that_something_lacked_counts_from_when_it_was_read(clone: Path) -> None:
    checks(clone).put("a1", ANSWER)
    kept = next((clone / FOLDER / CHECK).iterdir())
    content = kept.read_bytes()
    checks(clone).invalidate()
    kept.write_bytes(content)
    file = Segment(clone, INVALIDATED).file
    file.write_bytes(b"\0\0\0")
    os.utime(file, (time.time() - 60,) * 2)  # its own time says nothing
    assert checks(clone).get("a1") is None
    assert checks(clone).get("a1") is None
    checks(clone).put("a1", ANSWER)
    assert same(checks(clone).get("a1"))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=5), inside, max_size=3),
    max_leaves=5,
)


@quick
@given(st.sampled_from(["asked", "objects", "artifacts", "left_out"]), json_values)
def test_an_answer_of_another_shape_fails_nobody(clone: Path, name: str, value: object) -> None:
    checks(clone).put("a1", ANSWER)
    Segment(clone, CHECK, "a1").append({name: value})
    found = checks(clone).get("a1")
    assert found is None or 0 <= found.age <= DAY
    Segment(clone, KIND, HERE).replace({A.md5: value, B.md5: [3, value]})
    assert all(0 <= known.age <= DAY for known in objects(clone).get(HERE).values())
    Segment(clone, INVALIDATED).replace({"at": value})
    checks(clone).get("a1")


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
