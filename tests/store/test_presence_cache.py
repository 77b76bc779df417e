"""What a remote answered an earlier build spares questions, and is not believed where the remote lacks something."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mlbutler.project.artifact import Artifact
from mlbutler.project.pushed import Pushed, check_pushed
from mlbutler.state.presence import Invalidation, PresenceCache
from mlbutler.store.http.store import HttpStore
from mlbutler.store.interface import ObjectId
from mlbutler.store.local import LocalStore
from mlbutler.store.manifest import parse_manifest
from tests.store.world import Remote, add_directory, add_object, manifest

FILES = {f"{number}.txt": b"content %d" % number for number in range(20)}


def presence(place: Path) -> PresenceCache:
    return PresenceCache(place, Invalidation([place], 60))


def check(
    remote: Remote, connect: Callable[..., HttpStore], cache: LocalStore, memory: PresenceCache, oid: ObjectId
) -> Pushed:
    artifact = Artifact("data", "data.dvc", oid, None)
    store = connect(remote)
    return check_pushed(
        [artifact], lambda _: store, lambda name: parse_manifest(cache.path(name).read_bytes(), name),
        presence=memory, address=lambda _: remote.url,
    )  # fmt: skip


def asked_objects(remote: Remote) -> list[str]:
    """Objects that were asked for, but for the one that nobody can have made."""
    made = {path.relative_to(remote.root).as_posix() for path in remote.root.rglob("*")}
    return [path for _, path in remote.requests if path in made]


def test_the_second_build_asks_for_nothing_and_says_so(
    remote: Remote, connect: Callable[..., HttpStore], cache: LocalStore, tmp_path: Path
) -> None:
    memory = presence(tmp_path / "mirror")
    oid = add_directory(remote.root, FILES)
    add_directory(cache.root, FILES)
    assert (check(remote, connect, cache, memory, oid).remembered, len(asked_objects(remote))) == (0, 21)
    again = check(remote, connect, cache, memory, oid)
    assert (again.checked, again.remembered, again.findings) == (21, 21, ())
    assert len(asked_objects(remote)) == 21
    more = FILES | {"new.txt": b"new"}
    add_object(remote.root, b"new")
    changed = add_object(remote.root, manifest(more), directory=True)
    add_object(cache.root, manifest(more), directory=True)
    larger = check(remote, connect, cache, memory, changed)
    assert (larger.checked, larger.remembered) == (22, 20)
    assert len(asked_objects(remote)) == 23  # the new file and the new manifest


def test_a_remote_that_lacks_something_is_asked_for_everything_again(
    remote: Remote, connect: Callable[..., HttpStore], cache: LocalStore, tmp_path: Path
) -> None:
    memory = presence(tmp_path / "mirror")
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
