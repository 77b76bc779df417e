"""The hash of a file that grows is that of the whole file, however it grew."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

import pytest

from mlbutler.errors import Interrupted
from mlbutler.store.http import streaming_hash as behind
from mlbutler.store.http.streaming_hash import StreamingHash


@pytest.mark.parametrize("seed", range(5))
def test_the_hash_is_that_of_all_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    monkeypatch.setattr(behind, "_STEP", 1 << 14)
    chance = random.Random(seed)
    content = chance.randbytes(chance.randrange(1, 3 << 20))
    hashed_before = chance.randrange(len(content))
    file = tmp_path / "object"
    following = StreamingHash(file, hashlib.md5(content[:hashed_before]), hashed_before)
    written = 0
    with file.open("wb", buffering=0) as writer:
        while written < len(content):
            written += writer.write(content[written : written + chance.randrange(1, 1 << 18)])
            if written > hashed_before:
                following.advance(written)
    heard: list[int] = []
    assert following.finish(len(content), heard.append) == hashlib.md5(content).hexdigest()
    assert sum(heard) <= len(content) - hashed_before


def test_who_counts_may_stop_it(tmp_path: Path) -> None:
    def stop(_: int) -> None:
        raise Interrupted("Stopped.")

    file = tmp_path / "object"
    file.write_bytes(bytes(3 << 20))
    with pytest.raises(Interrupted):
        StreamingHash(file, hashlib.md5(), 0).finish(3 << 20, stop)


def test_a_file_that_vanished_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="object"):
        StreamingHash(tmp_path / "object", hashlib.md5(), 0).finish(5, lambda _: None)
