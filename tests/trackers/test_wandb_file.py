"""The file of a run of W&B's client 0.31, as it writes one offline, and as anybody could."""

from __future__ import annotations

import json
import struct
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from mlbutler.trackers.offline import find_logged_runs
from mlbutler.trackers.wandb_file import last_numbers


def number(value: int) -> bytes:
    head = bytearray()
    while value > 0x7F:
        head.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*head, value])


def field(place: int, content: bytes) -> bytes:
    return number(place << 3 | 2) + number(len(content)) + content


def item(name: str, value: object) -> bytes:
    """As the client writes what was logged: every name as parts of one."""
    parts = b"".join(field(2, part.encode()) for part in name.split("."))
    return parts + field(16, json.dumps(value).encode())


def summary(values: dict[str, object], gone: tuple[str, ...] = ()) -> bytes:
    updates = b"".join(field(1, item(*each)) for each in values.items())
    return number(8) + number(300) + field(3, updates + b"".join(field(2, field(1, name.encode())) for name in gone))


def log(*records: bytes) -> bytes:
    """As LevelDB writes a log, in blocks of 32 KiB."""
    content = bytearray(b":W&B\xe1\xbe\x00")
    for record in records:
        left, first = record, True
        while left or first:
            room = 32768 - len(content) % 32768
            if room < 7:
                content += bytes(room)
                continue
            piece, left = left[: room - 7], left[room - 7 :]
            kind = (1 if not left else 2) if first else (4 if not left else 3)
            content += struct.pack("<IHB", 0, len(piece), kind) + piece
            first = False
    return bytes(content)


def read(content: bytes) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "run-a.wandb")
        path.write_bytes(content)
        return last_numbers(path)


def test_the_last_numbers_count_and_neither_texts_nor_the_client_s_own(tmp_path: Path) -> None:
    folder = tmp_path / "wandb" / "offline-run-20261127_101112-abc"
    (folder / "files").mkdir(parents=True)
    (folder / "run-abc.wandb").write_bytes(log(
        field(17, b"\x0a\x03abc"), field(2, field(1, item("loss", 9))),
        summary({"loss": 1, "val.acc": 0.5, "_runtime": 3, "_wandb.runtime": 1, "word": "x", "yes": True}),
        summary({"loss": 0.25, "gone": 1, "deep": {"a": 1, "b": {"c": 2}}, "odd": float("nan"), "far": float("inf")}),
        summary({"val": {"acc": 0.75}}, gone=("gone",)),
    ))  # fmt: skip
    (one,) = find_logged_runs(tmp_path, [""], 0, {})
    assert one.metrics == {"loss": 0.25, "val.acc": 0.75, "deep.a": 1.0, "deep.b.c": 2.0}
    (folder / "files" / "wandb-summary.json").write_text('{"loss": 0.125}')  # as a run that was online has it too
    assert find_logged_runs(tmp_path, [""], 0, {})[0].metrics == {"loss": 0.125}


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(-1e9, 1e9), st.integers(0, 70_000)), max_size=8))
def test_records_over_several_blocks_are_read(logged: list[tuple[str, float, int]]) -> None:
    records = [record for name, value, size in logged for record in (field(4, bytes(size)), summary({name: value}))]
    assert read(log(*records)) == {name: value for name, value, _ in logged}


def test_of_a_large_file_the_end_is_read() -> None:
    records = [field(4, bytes(60_000))] * 300
    assert read(log(summary({"early": 1}), *records, summary({"late": 2}))) == {"late": 2.0}


WHOLE = log(summary({"a": 1, "b.c": 2}), field(4, bytes(100)), summary({"a": 3}))


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.tuples(st.integers(7, len(WHOLE) - 1), st.integers(0, 255)), max_size=40), st.integers(0, len(WHOLE))
)
def test_what_is_damaged_torn_or_no_such_file_is_no_error(changes: list[tuple[int, int]], cut: int) -> None:
    damaged = bytearray(WHOLE)
    for place, byte in changes:
        damaged[place] = byte
    read(bytes(damaged))
    read(WHOLE[:cut])
    assert read(bytes(damaged[7:])) == read(b"") == {}


def test_no_link_is_opened_and_names_without_end_are_bounded(tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.write_bytes(WHOLE)
    (tmp_path / "run-a.wandb").symlink_to(there)
    assert last_numbers(tmp_path / "run-a.wandb") == last_numbers(tmp_path) == {}
    many: dict[str, Any] = {f"n{place}": place for place in range(3000)}
    assert len(read(log(summary(many | {"x" * 5000: 1})))) == 1000
    assert read(log(field(3, field(1, field(2, b"a") + field(16, b"[" * 100_000))))) == {}
