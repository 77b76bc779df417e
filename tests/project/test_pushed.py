"""The states of a remote about which DVC's own answers are wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mlbutler.errors import AccessDenied, StoreError
from mlbutler.project.artifact import Artifact
from mlbutler.project.pushed import Pushed, check_pushed
from mlbutler.store.http.store import HttpStore
from mlbutler.store.interface import ObjectId, Store
from mlbutler.store.local import LocalStore
from mlbutler.store.manifest import Manifest, parse_manifest
from tests.store.world import Remote, add_directory, add_object, damage, md5

FILES = {f"f {n}.txt": f"content {n}".encode() for n in range(10)}
SIZE = sum(map(len, FILES.values()))


def artifacts(root: Path) -> tuple[Artifact, ...]:
    return (
        Artifact("model's file", "train", add_object(root, b"model"), size=5),
        Artifact("data", "data.dvc", add_directory(root, FILES), size=SIZE, files=10),
    )


def reader(root: Path) -> Callable[[ObjectId], Manifest | None]:
    def read(oid: ObjectId) -> Manifest | None:
        path = root / oid.key
        return parse_manifest(path.read_bytes(), oid) if path.is_file() else None

    return read


def check(remote: Remote | Path, connect: Callable[..., HttpStore], cache: LocalStore, *more: Artifact) -> Pushed:
    store: Store = LocalStore("origin", remote) if isinstance(remote, Path) else connect(remote)

    def size_here(oid: ObjectId) -> int | None:
        found = cache.stat(oid)
        return found.st_size if found is not None else None

    return check_pushed((*artifacts(cache.root), *more), lambda _: store, reader(cache.root), size_here=size_here)


@pytest.fixture
def connect() -> Callable[..., HttpStore]:
    from mlbutler.store.retry import RetryPolicy

    return lambda remote: HttpStore("origin", remote.url, {}, environ={}, policy=RetryPolicy(2, 0.01))


def test_all_pushed(remote: Remote, connect: Callable[..., HttpStore], cache: LocalStore) -> None:
    artifacts(remote.root)
    pushed = check(remote, connect, cache)
    assert pushed == Pushed(checked=12)
    assert {method for method, _ in remote.requests} == {"HEAD"}  # no data is fetched


def test_a_file_whose_directory_is_pushed_is_missed(
    remote: Remote, connect: Callable[..., HttpStore], cache: LocalStore
) -> None:
    artifacts(remote.root)
    for name in ("f 3.txt", "f 4.txt"):
        (remote.root / ObjectId(md5(FILES[name])).key).unlink()
    (finding,) = check(remote, connect, cache).findings
    assert finding.subject == "data"
    assert "2 of 10 files, f 3.txt, f 4.txt" in finding.problem
    assert finding.remedy == "mlbutler push"  # `dvc push` takes the .dir for proof


def test_a_directory_without_its_manifest_and_a_single_file_are_missed(
    remote: Remote, connect: Callable[..., HttpStore], cache: LocalStore
) -> None:
    model, data = artifacts(remote.root)
    for artifact in (model, data):
        assert artifact.oid
        (remote.root / artifact.oid.key).unlink()
    findings = check(remote, connect, cache).findings
    assert [(finding.subject, finding.remedy) for finding in findings] == [
        ("model's file", "dvc push -r origin 'model'\"'\"'s file'"),
        ("data", "dvc push -r origin data"),
    ]
    assert "train" in findings[0].problem


@pytest.mark.parametrize("mode", [0o444, 0o644])
def test_a_truncated_object_of_a_local_remote_is_seen_and_left_alone(
    tmp_path: Path, connect: Callable[..., HttpStore], cache: LocalStore, mode: int
) -> None:
    root = tmp_path / "storage"
    model, _ = artifacts(root)
    assert model.oid
    damage(root, model.oid, b"mod", mode=mode)
    child = ObjectId(md5(FILES["f 3.txt"]))
    damage(root, child, b"", mode=mode)
    findings = check(root, connect, cache).findings
    assert [finding.subject for finding in findings] == ["model's file", "data"]
    assert "3 bytes there, 5 recorded" in findings[0].problem
    assert "1 of 10 files, f 3.txt" in findings[1].problem
    assert (root / model.oid.key).read_bytes() == b"mod"
    assert (root / child.key).exists()


@pytest.mark.parametrize("fault", [401, 403, 500, "reset", "login"])
def test_errors_are_undetermined_never_missing_and_never_pushed(
    remote: Remote, connect: Callable[..., HttpStore], cache: LocalStore, fault: object
) -> None:
    artifacts(remote.root)
    remote.faults[""] = [fault]
    pushed = check(remote, connect, cache)
    assert pushed.findings == ()
    assert [finding.subject for finding in pushed.undetermined] == ["model's file", "data"]
    assert all(finding.remedy for finding in pushed.undetermined)
    if fault == 403:
        assert {"No credentials" in finding.remedy for finding in pushed.undetermined} == {True}


def test_a_remote_that_is_down_is_undetermined(
    remote: Remote, connect: Callable[..., HttpStore], cache: LocalStore
) -> None:
    remote.close()
    pushed = check(remote, connect, cache)
    assert (len(pushed.findings), len(pushed.undetermined)) == (0, 2)


def test_one_object_that_fails_leaves_the_others_judged(
    remote: Remote, connect: Callable[..., HttpStore], cache: LocalStore
) -> None:
    model, _ = artifacts(remote.root)
    assert model.oid
    (remote.root / model.oid.key).unlink()
    remote.faults[ObjectId(md5(FILES["f 3.txt"])).key] = [500]
    pushed = check(remote, connect, cache)
    assert [finding.subject for finding in pushed.findings] == ["model's file"]
    assert [finding.subject for finding in pushed.undetermined] == ["data"]
    assert "1 of 10 files, f 3.txt" in pushed.undetermined[0].problem


def test_a_manifest_nobody_has(remote: Remote, connect: Callable[..., HttpStore], cache: LocalStore) -> None:
    lost = Artifact("lost", "train", ObjectId("1" * 32 + ".dir"))
    artifacts(remote.root)
    assert [finding.subject for finding in check(remote, connect, cache, lost).findings] == ["lost"]
    damage(remote.root, ObjectId("1" * 32 + ".dir"), b"[]")
    pushed = check(remote, connect, cache, lost)
    assert [finding.subject for finding in pushed.undetermined] == ["lost"]


def test_what_need_not_be_pushed_is_listed_and_asks_nothing(cache: LocalStore) -> None:
    artifact = Artifact(
        "metrics.json", "train", ObjectId("1" * 32), cached=False, pushed=False, left_out="cache: false"
    )

    def never(_: str | None) -> Store | None:
        raise AssertionError("opened")

    pushed = check_pushed([artifact], never, reader(cache.root))
    assert pushed == Pushed(left_out=(("metrics.json", "cache: false"),))


def test_artifacts_with_a_remote_of_their_own_are_asked_for_there(
    make_remote: Callable[..., Remote], connect: Callable[..., HttpStore], cache: LocalStore
) -> None:
    common, own = make_remote(), make_remote()
    shared, apart = add_object(common.root, b"shared"), add_object(own.root, b"apart")
    stores = {None: connect(common), "own": connect(own)}
    both = [Artifact("a", "s", shared), Artifact("b", "s", apart, remote="own")]
    assert check_pushed(both, stores.get, reader(cache.root)).findings == ()
    swapped = [Artifact("a", "s", apart), Artifact("b", "s", shared, remote="own")]
    assert len(check_pushed(swapped, stores.get, reader(cache.root)).findings) == 2


@pytest.mark.parametrize("error", [AccessDenied("no password", "Set it."), StoreError("no plugin", "Install it.")])
def test_a_remote_that_cannot_be_opened_is_undetermined(cache: LocalStore, error: StoreError) -> None:
    def fail(_: str | None) -> Store | None:
        raise error

    (finding,) = check_pushed([Artifact("a", "s", ObjectId("1" * 32))], fail, reader(cache.root)).undetermined
    assert error.message in finding.problem
    assert finding.remedy == error.remedy


def test_a_stage_that_never_ran_is_not_pushed(cache: LocalStore) -> None:
    (finding,) = check_pushed([Artifact("a", "train", None)], lambda _: None, reader(cache.root)).findings
    assert finding.remedy == "dvc repro"
