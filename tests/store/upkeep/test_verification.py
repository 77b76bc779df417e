from __future__ import annotations

from pathlib import Path

import pytest

from mlbutler.errors import StoreError
from mlbutler.store.interface import ObjectId
from mlbutler.store.local import LocalStore, is_sound
from mlbutler.store.upkeep import verification
from mlbutler.store.verify import file_md5
from tests.store.world import add_object


def damage(path: Path) -> None:
    path.chmod(0o644)
    path.write_bytes(b"damaged")
    path.chmod(0o444)


def looks_whole(store: LocalStore, oid: ObjectId) -> bool:
    found = store.stat(oid)
    return found is not None and is_sound(found, oid, None)


def test_damaged_objects_of_the_mirror_go(mirror: LocalStore) -> None:
    oids = [add_object(mirror.root, b"content %d" % number) for number in range(20)]
    for oid in (oids[3], oids[7]):
        damage(mirror.path(oid))
    done = verification.verify_mirror(mirror, remove=True)
    assert set(done.damaged) == {oids[3], oids[7]}
    assert done.objects == 20
    assert done.bytes == sum(len(b"content %d" % number) for number in range(20) if number not in (3, 7))
    assert mirror.stat(oids[3]) is None
    assert verification.verify_mirror(mirror, remove=True).damaged == ()


def test_damaged_objects_of_a_cache_are_not_taken_for_whole(cache: LocalStore) -> None:
    oid = add_object(cache.root, b"content")
    cache.trust(oid)
    damage(cache.path(oid))
    assert looks_whole(cache, oid)
    assert verification.verify_mirror(cache).damaged == (oid,)
    assert not looks_whole(cache, oid)


def test_an_object_healed_meanwhile_stays(mirror: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    oid = add_object(mirror.root, b"content")
    damage(mirror.path(oid))

    def heal_then_hash(path: Path, **options: object) -> str:
        found = file_md5(path)
        new = path.with_name("new")
        new.write_bytes(b"content")
        new.replace(path)
        return found

    monkeypatch.setattr(verification, "file_md5", heal_then_hash)
    verification.verify_mirror(mirror, remove=True)
    assert mirror.path(oid).read_bytes() == b"content"


def test_a_mirror_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="There is no mirror at"):
        verification.require_folder(LocalStore("mirror", tmp_path / "nowhere"))
