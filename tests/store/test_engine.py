from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from mlbutler.errors import AccessDenied, CorruptObject, StoreError
from mlbutler.state.segments import FOLDER
from mlbutler.store.engine import BringOptions, bring
from mlbutler.store.http.store import HttpStore
from mlbutler.store.interface import Need, ObjectId, Store
from mlbutler.store.local import LocalStore
from mlbutler.store.send import send_to_store
from mlbutler.store.upkeep import mark, prune
from tests.store.world import Remote, add_directory, add_object, damage, leftovers, md5, unsound

Connect = Callable[..., HttpStore]
FILES = {f"f {n}.txt": f"content {n}".encode() for n in range(15)}
SIZE = sum(map(len, FILES.values()))


def no_remote(_: str | None) -> Store | None:
    raise AssertionError("the remote was opened although nothing is needed from it")


def places(brought: object) -> dict[str, int]:
    return {moved.place: moved.objects for moved in brought.moved}  # type: ignore[attr-defined]


def test_from_remote_then_mirror_then_cache(
    remote: Remote, connect: Connect, cache: LocalStore, mirror: LocalStore, tmp_path: Path
) -> None:
    need = Need("data", add_directory(remote.root, FILES), size=SIZE)
    first = bring([need], cache, mirror, connect(remote))
    assert places(first) == {"origin": 16}
    assert sum(moved.bytes for moved in first.moved) > SIZE
    assert not first.missing
    assert not unsound(cache.root)
    assert not unsound(mirror.root)
    another = LocalStore("cache", tmp_path / "another")
    assert places(bring([need], another, mirror, no_remote)) == {"mirror": 16}
    assert not unsound(another.root)
    assert places(bring([need], another, None, no_remote)) == {"cache": 16}
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (another.root / "files").rglob("*") if path.is_file()}
    assert modes == {0o444}


def test_only_what_is_inside_is_brought(remote: Remote, connect: Connect, cache: LocalStore) -> None:
    oid = add_directory(remote.root, {"a/1": b"1", "a/2": b"2", "b/3": b"3"})
    bring([Need("data/a", oid, ("a",), size=3)], cache, None, connect(remote))
    assert {path for method, path in remote.requests} == {oid.key, ObjectId(md5(b"1")).key, ObjectId(md5(b"2")).key}


def test_a_changed_directory_costs_its_changed_files_alone(
    remote: Remote, connect: Connect, cache: LocalStore, mirror: LocalStore
) -> None:
    add_directory(mirror.root, FILES)
    need = Need("data", add_directory(remote.root, {**FILES, "f 1.txt": b"changed"}))
    assert places(bring([need], cache, mirror, connect(remote))) == {"origin": 2, "mirror": 14}


def test_an_object_alone_is_brought_without_its_files(remote: Remote, connect: Connect, cache: LocalStore) -> None:
    oid = add_directory(remote.root, FILES)
    assert places(bring([oid], cache, None, connect(remote))) == {"origin": 1}


def test_what_no_store_holds_is_listed_by_path(remote: Remote, connect: Connect, cache: LocalStore) -> None:
    whole = Need("model", add_object(remote.root, b"model"))
    partial = Need("data", add_directory(remote.root, FILES))
    gone = Need("lost", ObjectId("1" * 32))
    (remote.root / ObjectId(md5(FILES["f 7.txt"])).key).unlink()
    brought = bring([whole, partial, gone], cache, None, connect(remote))
    assert [missing.path for missing in brought.missing] == ["data/f 7.txt", "lost"]
    assert brought.incomplete == {"data", "lost"}
    assert not brought.errors


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        ("login", CorruptObject, "text/html"),
        ("cut-unknown", CorruptObject, "wrong content"),
        ("wrong", CorruptObject, "wrong content"),
        ("cut", CorruptObject, "cut short"),
        (401, AccessDenied, "401"),
        (403, AccessDenied, "403"),
        (500, StoreError, "500"),
    ],
)
def test_nothing_wrong_gets_in(
    remote: Remote, connect: Connect, cache: LocalStore, mirror: LocalStore, fault: object, kind: type, words: str
) -> None:
    oid = add_object(remote.root, b"content" * 10)
    remote.faults[""] = [fault]
    brought = bring([Need("model", oid)], cache, mirror, connect(remote))
    assert [type(error) for error in brought.errors] != []
    assert isinstance(brought.errors[0], kind)
    assert words in brought.errors[0].message
    assert f"/repo.dvc/{oid.key}" in brought.errors[0].message
    assert brought.incomplete == {"model"}
    assert not brought.missing
    assert not [path for root in (cache.root, mirror.root) for path in root.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("content", "mode"), [(b"cut", 0o444), (b"", 0o444), (b"CONTENT", 0o644), (b"CONTENTs", 0o444)]
)
def test_a_damaged_cache_is_healed(
    remote: Remote, connect: Connect, cache: LocalStore, content: bytes, mode: int
) -> None:
    oid = add_object(remote.root, b"content")
    damage(cache.root, oid, content, mode=mode)
    assert places(bring([Need("model", oid, size=7)], cache, None, connect(remote))) == {"origin": 1}
    assert cache.path(oid).read_bytes() == b"content"


def test_a_cached_object_that_became_writable_is_hashed_and_kept(cache: LocalStore) -> None:
    oid = add_object(cache.root, b"content", mode=0o644)
    assert places(bring([Need("model", oid, size=7)], cache, None, no_remote)) == {"cache": 1}
    assert stat.S_IMODE(cache.path(oid).stat().st_mode) == 0o444


def test_healing_leaves_the_work_tree_s_link_alone(
    remote: Remote, connect: Connect, cache: LocalStore, tmp_path: Path
) -> None:
    oid = add_object(remote.root, b"content")
    damage(cache.root, oid, b"edited!", mode=0o644)
    os.link(cache.path(oid), tmp_path / "work")
    bring([Need("model", oid, size=7)], cache, None, connect(remote))
    assert (tmp_path / "work").read_bytes() == b"edited!"


@pytest.mark.parametrize("content", [b"cut", b"longer content"])
def test_a_file_cut_short_inside_a_directory_is_found_by_the_sum_of_sizes(
    remote: Remote, connect: Connect, cache: LocalStore, mirror: LocalStore, content: bytes
) -> None:
    need = Need("data", add_directory(remote.root, FILES), size=SIZE)
    add_directory(mirror.root, FILES)
    bad = ObjectId(md5(FILES["f 7.txt"]))
    damage(mirror.root, bad, content)
    brought = bring([need], cache, mirror, connect(remote))
    assert not brought.missing
    assert not unsound(cache.root)
    assert not unsound(mirror.root)


def test_a_damaged_mirror_is_passed_over_and_healed(
    remote: Remote, connect: Connect, cache: LocalStore, mirror: LocalStore
) -> None:
    oid = add_object(remote.root, b"content")
    damage(mirror.root, oid, b"cut")
    assert places(bring([Need("model", oid, size=7)], cache, mirror, connect(remote))) == {"origin": 1}
    assert mirror.path(oid).read_bytes() == b"content"


@pytest.mark.parametrize("place", ["cache", "mirror"])
@pytest.mark.parametrize("kind", ["cut", "another name", "another file"])
def test_a_damaged_manifest_is_not_believed_and_healed(
    remote: Remote, connect: Connect, cache: LocalStore, mirror: LocalStore, place: str, kind: str
) -> None:
    folder = add_directory(remote.root, FILES)
    whole = (remote.root / folder.key).read_bytes()
    wrong = {
        "cut": whole[:-2],
        "another name": whole.replace(b"f 7.txt", b"g 7.txt"),  # valid, and as long as it was
        "another file": whole.replace(md5(FILES["f 7.txt"]).encode(), md5(b"other").encode()),
    }[kind]
    add_directory((cache if place == "cache" else mirror).root, FILES)
    damage((cache if place == "cache" else mirror).root, folder, wrong)
    brought = bring([Need("data", folder, size=SIZE)], cache, mirror, connect(remote))
    assert not brought.incomplete
    assert cache.path(folder).read_bytes() == whole
    assert mirror.path(folder).read_bytes() == whole
    assert remote.counts()["GET"] == 1


@pytest.mark.parametrize("place", ["cache", "mirror"])
@pytest.mark.parametrize("written", ["in place", "as a new file"])
@pytest.mark.parametrize("inside", [True, False])
def test_what_changed_since_it_was_seen_whole_is_not_handed_out(
    remote: Remote, connect: Connect, cache: LocalStore, mirror: LocalStore, tmp_path: Path,
    place: str, written: str, inside: bool,
) -> None:  # fmt: skip
    folder = add_directory(remote.root, FILES)
    need = Need("data", folder, ("f 7.txt",)) if inside else Need("data", folder, size=SIZE)
    bring([need], cache, mirror, connect(remote))
    bad = ObjectId(md5(FILES["f 7.txt"]))
    taker = cache if place == "cache" else LocalStore("cache", tmp_path / "taker")
    path = (cache if place == "cache" else mirror).path(bad)
    wrong = bytes(len(FILES["f 7.txt"]))
    if written == "as a new file":
        path.unlink()
    else:
        path.chmod(0o644)
    path.write_bytes(wrong)
    path.chmod(0o444)
    again = bring([need], taker, mirror, connect(remote))
    assert not again.incomplete
    assert taker.path(bad).read_bytes() == FILES["f 7.txt"]
    assert not unsound(taker.root)
    assert not unsound(mirror.root)


def test_what_nobody_has_seen_whole_is_hashed_once(
    cache: LocalStore, mirror: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after `dvc push -r mirror`, `cp`, or a start of the machine."""
    good, bad = add_object(mirror.root, b"content"), add_object(mirror.root, b"other")
    damage(mirror.root, bad, b"OTHER")
    assert bring([Need("a", good), Need("b", bad)], cache, mirror, None).incomplete == {"b"}
    hashed: list[Path] = []

    def is_object(path: Path, *_: object) -> bool:
        hashed.append(path)
        return True

    monkeypatch.setattr("mlbutler.store.transfer.is_object", is_object)
    for reader in (cache, LocalStore("cache", cache.root.parent / "other")):
        assert not bring([good], LocalStore("cache", reader.root), LocalStore("mirror", mirror.root), None).missing
    assert hashed == []


def test_verify_always_heals_the_mirror_too(
    remote: Remote, connect: Connect, cache: LocalStore, mirror: LocalStore
) -> None:
    oid = add_object(remote.root, b"content")
    damage(mirror.root, oid, b"CONTENT")
    assert places(bring([Need("a", oid)], cache, mirror, connect(remote), BringOptions(verify=True))) == {"origin": 1}
    assert mirror.path(oid).read_bytes() == b"content"


def test_an_untrusted_run_believes_no_mirror_and_writes_none(
    remote: Remote, connect: Connect, cache: LocalStore, tmp_path: Path
) -> None:
    mirror = LocalStore("mirror", tmp_path / "mirror")
    poisoned, new = add_object(remote.root, b"content"), add_object(remote.root, b"more")
    damage(mirror.root, poisoned, b"CONTENT")
    bring([Need("a", poisoned), Need("b", new)], cache, mirror, connect(remote), BringOptions(trusted=False))
    assert not unsound(cache.root)
    assert mirror.path(poisoned).read_bytes() == b"CONTENT"
    assert not mirror.path(new).exists()


def test_verify_always_hashes_what_the_mirror_holds(cache: LocalStore, mirror: LocalStore) -> None:
    oid = ObjectId(md5(b"content"))
    damage(mirror.root, oid, b"CONTENT")
    assert bring([Need("a", oid)], cache, mirror, None, BringOptions(verify=True)).incomplete == {"a"}
    assert not cache.path(oid).exists()


def test_a_hardlink_is_taken_where_allowed(cache: LocalStore, mirror: LocalStore, tmp_path: Path) -> None:
    oid = add_object(mirror.root, b"content")
    bring([oid], cache, mirror, None)
    copied = LocalStore("cache", tmp_path / "copied")
    bring([oid], copied, LocalStore("mirror", mirror.root), None)
    same = mirror.path(oid).stat().st_ino
    if (cache.path(oid).stat().st_ino == same) is False:  # a file system with reflinks takes those first
        pytest.skip("reflinks")
    assert copied.path(oid).stat().st_ino != same


def test_a_mirror_that_cannot_be_used_only_slows(
    remote: Remote, connect: Connect, cache: LocalStore, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no directory")
    warnings: list[str] = []
    needs = [Need(f"m{n}", add_object(remote.root, b"%d" % n)) for n in range(20)]
    broken = LocalStore("mirror", tmp_path / "file" / "mirror")
    brought = bring(needs, cache, broken, connect(remote), BringOptions(warn=warnings.append))
    assert places(brought) == {"origin": 20}
    assert not brought.errors
    assert len(warnings) == 1


def test_dvc_2_objects_are_verified_with_their_own_hash(remote: Remote, connect: Connect, cache: LocalStore) -> None:
    oid = ObjectId(md5(b"line\nline\n"), legacy=True)
    damage(remote.root, oid, b"line\r\nline\r\n")
    assert oid.key.count("/") == 1
    assert places(bring([oid], cache, None, connect(remote))) == {"origin": 1}
    assert cache.path(oid).read_bytes() == b"line\r\nline\r\n"


def test_a_hostile_manifest_stops_the_transfer(remote: Remote, connect: Connect, cache: LocalStore) -> None:
    content = b'[{"md5": "%s", "relpath": "../../.bashrc"}]' % (b"0" * 32)
    oid = add_object(remote.root, content, directory=True)
    with pytest.raises(CorruptObject, match=r"\.\."):
        bring([Need("data", oid)], cache, None, connect(remote))


def test_many_bring_into_one_mirror_at_once(
    remote: Remote, connect: Connect, mirror: LocalStore, tmp_path: Path
) -> None:
    need = Need("data", add_directory(remote.root, FILES), size=SIZE)
    problems: list[object] = []

    def one(n: int) -> None:
        cache = LocalStore("cache", tmp_path / f"cache{n}")
        brought = bring(
            [need],
            cache,
            LocalStore("mirror", mirror.root, hardlink=True),
            connect(remote),
            BringOptions(warn=problems.append),
        )
        problems.extend([*brought.errors, *brought.missing, *unsound(cache.root), *leftovers(cache.root)])

    threads = [threading.Thread(target=one, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert not unsound(mirror.root)
    assert not leftovers(mirror.root)
    assert len([path for path in (mirror.root / "files").rglob("*") if path.is_file()]) == 16


@pytest.mark.parametrize(("mode", "shared"), [(0o2775, True), (0o755, False)])
def test_a_mirror_s_folders_are_shared_as_its_root_is(
    cache: LocalStore, mirror: LocalStore, mode: int, shared: bool
) -> None:
    mirror.root.mkdir()
    mirror.root.chmod(mode)
    oid = add_object(cache.root, b"content")
    send_to_store([oid], cache, mirror)
    for folder in mirror.path(oid).parent, mirror.path(oid).parent.parent:
        assert bool(folder.stat().st_mode & stat.S_IWGRP) is shared
        assert bool(folder.stat().st_mode & stat.S_ISGID) is shared


def test_a_builds_umask_shuts_no_other_build_out(
    cache: LocalStore, mirror: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror.root.mkdir()
    mirror.root.chmod(0o2775)
    oid = add_object(cache.root, b"content")
    before = os.umask(0o077)
    try:
        mark.mark_if_empty(mirror.root)
        send_to_store([oid], cache, mirror)
        prune.record_growth(mirror.root, 7)
        prune.prune(mirror.root)
        prune.record_growth(mirror.root, 7)
    finally:
        os.umask(before)
    for path in (mirror.root, *mirror.root.rglob("*")):
        mode = path.stat().st_mode
        assert mode & stat.S_IROTH, path
        assert not mode & stat.S_IWOTH, path
        assert path.is_file() or mode & (stat.S_IXOTH | stat.S_IWGRP) == stat.S_IXOTH | stat.S_IWGRP, path
    (sizes,) = (mirror.root / "mlbutler" / FOLDER / prune.KIND).iterdir()
    for path in (sizes, *(mirror.root / "mlbutler" / name for name in ("prune.lock", "mirror.json"))):
        assert path.stat().st_mode & stat.S_IWGRP


def test_a_mirror_where_no_folder_can_be_made_only_slows(remote: Remote, connect: Connect, cache: LocalStore) -> None:
    oid = add_object(remote.root, b"content")
    warnings: list[str] = []
    brought = bring(
        [oid], cache, LocalStore("mirror", Path("/proc/mirror")), connect(remote), BringOptions(warn=warnings.append)
    )
    assert not brought.missing
    assert not brought.errors
    assert len(warnings) == 1


def test_a_link_that_meets_itself_leaves_no_second_name(cache: LocalStore) -> None:
    oid = add_object(cache.root, b"content")
    unfinished = cache.prepare(oid)
    os.link(cache.path(oid), unfinished)  # another build has linked the same object meanwhile
    cache.install(oid, unfinished, os.stat(unfinished))  # noqa: PTH116
    assert not leftovers(cache.root)
    assert cache.path(oid).read_bytes() == b"content"
