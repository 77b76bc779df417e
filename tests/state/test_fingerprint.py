"""A digest of what files are now: whatever changes them changes it, and what does not, does not."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlbutler.state.fingerprint import (
    MTIME_GRANULARITY,
    Fingerprint,
    Fingerprints,
    fingerprint,
    size_in,
    statuses,
    to_text,
    tree_fingerprint,
)
from mlbutler.store import linker


def now(root: Path, path: str) -> Fingerprint | None:
    return tree_fingerprint(root, path, statuses(str(root / path)))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("data/sub/deep/a é.txt", "data/b.txt", "data/line\nbreak", "file"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("content")
        os.utime(tmp_path / name, ns=(10**18, 10**18))
    return tmp_path


def _back_in_time(root: Path) -> None:
    """The same size and time of change: only the status change tells."""
    time.sleep(0.02)
    (root / "data" / "b.txt").write_text("CONTENT")
    os.utime(root / "data" / "b.txt", ns=(10**18, 10**18))


def _replace_file(root: Path) -> None:
    other = root / "other"
    other.write_text("CONTENT")
    os.utime(other, ns=(10**18, 10**18))
    other.replace(root / "data" / "b.txt")


CHANGES: dict[str, Callable[[Path], object]] = {
    "content": lambda root: (root / "data" / "b.txt").write_text("other"),
    "content, as old and as long as before": _back_in_time,
    "another file": _replace_file,
    "one more": lambda root: (root / "data" / "sub" / "more").touch(),
    "one less": lambda root: (root / "data" / "sub" / "deep" / "a é.txt").unlink(),
    "another name": lambda root: (root / "data" / "b.txt").rename(root / "data" / "c.txt"),
    "another folder": lambda root: (root / "data" / "b.txt").rename(root / "data" / "sub" / "b.txt"),
    "a .dvcignore at the top": lambda root: (root / ".dvcignore").write_text("*.txt\n"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_shows(root: Path, change: str) -> None:
    before = now(root, "data")
    assert before is not None
    assert now(root, "data") == before
    CHANGES[change](root)
    after = now(root, "data")
    assert after is not None
    assert after[0] != before[0]


def test_an_ignore_file_in_a_folder_between_counts_too(root: Path) -> None:
    before = now(root, "data/sub/deep")
    (root / "data" / ".dvcignore").write_text("x\n")
    after = now(root, "data/sub/deep")
    assert before is not None and after is not None and before[0] != after[0]


def test_further_names_of_a_file_change_nothing(root: Path) -> None:
    (root / "object").hardlink_to(root / "data" / "b.txt")
    before = now(root, "data")
    time.sleep(0.02)
    (root / "another clone").hardlink_to(root / "data" / "b.txt")
    assert now(root, "data") == before or before is None or now(root, "data")[0] == before[0]  # type: ignore[index]
    (root / "another clone").unlink()
    after = now(root, "data")
    assert before is not None and after is not None and after[0] == before[0]


@pytest.mark.parametrize("odd", ["a symlink", "a pipe"])
def test_what_is_no_plain_file_has_no_fingerprint(root: Path, odd: str) -> None:
    path = root / "data" / "sub" / "odd"
    path.symlink_to("../b.txt") if odd == "a symlink" else os.mkfifo(path)
    assert now(root, "data") is None
    assert fingerprint(root, "data") is None
    assert now(root, "file") is not None


def test_what_is_not_there_has_none(root: Path) -> None:
    assert fingerprint(root, "nothing") is None
    assert fingerprint(root, "../elsewhere") is None


def test_it_is_the_same_in_whatever_order_files_are_told(root: Path) -> None:
    found = list(statuses(str(root / "data")))
    assert len(found) == 3
    assert tree_fingerprint(root, "data", found) == tree_fingerprint(root, "data", reversed(found))


names = st.text(st.characters(exclude_characters="\0/", exclude_categories=["Cs"]), min_size=1, max_size=8).filter(
    lambda name: name not in (".", "..")
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(names, names, min_size=1, max_size=5), st.dictionaries(names, names, min_size=1, max_size=5))
def test_other_names_have_another_fingerprint(
    tmp_path_factory: pytest.TempPathFactory, one: dict[str, str], other: dict[str, str]
) -> None:
    """The files are the same ones: only what they are called differs."""
    root = tmp_path_factory.mktemp("names")
    (root / "file").touch()
    status = (root / "file").lstat()

    def fingerprint_of(of: dict[str, str]) -> Fingerprint | None:
        return tree_fingerprint(root, "data", [(f"{root}/data/{folder}/{name}", status) for folder, name in of.items()])

    assert (fingerprint_of(one) == fingerprint_of(other)) is (one == other)


def test_what_changed_a_moment_ago_is_racy(root: Path) -> None:
    (root / "file").write_text("new")
    found = now(root, "file")
    assert found is not None
    at = time.time()
    assert found._replace(newest=at).is_racy(since=at + MTIME_GRANULARITY / 2)
    assert found._replace(newest=time.time() + 60).is_racy()  # a clock that is ahead
    time.sleep(MTIME_GRANULARITY + 0.02)
    assert not found.is_racy()
    assert found.is_racy(since=found.newest)
    assert not found.is_racy(since=found.newest + 1)


def test_what_was_looked_at_is_not_looked_at_again_until_files_may_have_changed(root: Path) -> None:
    look = Fingerprints()
    before = look(root, "file")
    (root / "file").write_text("longer content")
    assert look(root, "file") == before
    look.clear()
    after = look(root, "file")
    assert after not in (None, before)
    assert look(root, "nothing") is None
    (root / "nothing").touch()
    assert look(root, "nothing") is not None


def test_who_wrote_a_file_knows_its_fingerprint(root: Path) -> None:
    look, known = Fingerprints(), Fingerprint("known", 1.0)
    look.put(root, {"file": known})
    assert look(root, "file") == known
    look.clear()
    assert look(root, "file") == now(root, "file")


def test_an_object_is_the_same_with_other_links_and_modes(root: Path) -> None:
    path = root / "file"
    before = to_text(path.stat())
    (root / "link").hardlink_to(path)
    path.chmod(0o444)
    assert to_text(path.stat()) == before == linker.to_text(path.stat())
    assert size_in(before) == len("content")
    path.chmod(0o644)
    path.write_text("CONTENT")
    assert to_text(path.stat()) != before
