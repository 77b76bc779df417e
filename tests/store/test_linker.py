"""The program that makes many hardlinks: what it makes, what it leaves alone, and what it says of each."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlbutler.store import linker
from tests.store.world import add_object, md5

Fields = list[str | bytes]
Harm = Callable[[Path, Path], object]


def status(path: Path) -> str:
    found = path.stat()
    return f"{found.st_ino} {found.st_size} {found.st_mtime_ns}"


def program(source: Path, target: Path, fields: Sequence[str | bytes], **options: object) -> bytes:
    """Run it as `linking` does."""
    words = b"\0".join(os.fsencode(field) for field in (source / "files" / "md5", target, *fields))
    done = subprocess.run(
        [sys.executable, "-I", "-S", linker.__file__], input=words, capture_output=True, env={}, check=True, timeout=600
    )
    assert done.stderr == b""
    assert done.stdout.startswith(linker.HEAD)
    return done.stdout.removeprefix(linker.HEAD)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "target" / "deep").mkdir(parents=True)
    return tmp_path / "target"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


def job(store: Path, content: bytes, name: str | bytes) -> Fields:
    oid = add_object(store, content)
    return [oid.md5, name, status(store / oid.key)]


def test_links_are_made_and_each_is_told(store: Path, target: Path) -> None:
    names: list[str | bytes] = ["plain", "deep/ü", "two\nlines", "a b\t'\"$", b"caf\xe9", b"\xff\xfe"]
    fields = [field for name in names for field in job(store, os.fsencode(name), name)]
    assert program(store, target, fields) == b"\1" * len(names)
    for name in names:
        made = target / os.fsdecode(name)
        assert made.read_bytes() == os.fsencode(name)
        assert made.stat().st_nlink == 2


def test_without_a_name_an_object_keeps_its_own(store: Path, target: Path) -> None:
    oid = add_object(store, b"content")
    (target / oid.md5[:2]).mkdir()
    assert program(store, target, [oid.md5, "", status(store / oid.key)]) == b"\1"
    assert (target / oid.md5[:2] / oid.md5[2:]).samefile(store / oid.key)


def _replace_file(source: Path, _: Path) -> None:
    other = source.with_name("other")
    other.write_bytes(b"other!!")
    other.chmod(0o444)
    os.utime(other, ns=(source.stat().st_atime_ns, source.stat().st_mtime_ns))
    other.replace(source)


def _longer(source: Path, _: Path) -> None:
    source.chmod(0o644)
    source.write_bytes(b"content!")
    source.chmod(0o444)


def _folder(source: Path, _: Path) -> None:
    source.unlink()
    source.mkdir()


HARMS: dict[str, Harm] = {
    "the source is gone": lambda source, _: source.unlink(),
    "the source is a folder": _folder,
    "another file of the same size and time": _replace_file,
    "longer": _longer,
    "touched": lambda source, _: os.utime(source, ns=(1, 1)),
    "somebody may write into it": lambda source, _: source.chmod(0o464),
    "its folder is missing": lambda _, target: target.parent.rename(target.parent.with_name("moved")),
}


@pytest.mark.parametrize("harm", HARMS)
def test_what_is_not_the_file_that_was_meant_is_not_linked_and_the_others_are(
    store: Path, target: Path, harm: str
) -> None:
    fields = [*job(store, b"first", "first"), *job(store, b"content", "deep/bad"), *job(store, b"last", "last")]
    HARMS[harm](store / "files" / "md5" / md5(b"content")[:2] / md5(b"content")[2:], target / "deep" / "bad")
    assert program(store, target, fields) == b"\1\0\1"
    assert (target / "first").read_bytes() == b"first"
    assert (target / "last").read_bytes() == b"last"
    assert not list(target.parent.rglob("bad"))


def test_what_is_there_already_is_left_alone(store: Path, target: Path) -> None:
    fields = job(store, b"content", "there")
    (target / "there").write_bytes(b"mine")
    assert program(store, target, fields) == b"\0"
    assert (target / "there").read_bytes() == b"mine"


def test_a_symlink_in_the_place_of_an_object_is_not_taken_for_it(store: Path, target: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"content")
    oid = add_object(store, b"content")
    fields: Fields = [oid.md5, "name", status(store / oid.key)]
    (store / oid.key).unlink()
    (store / oid.key).symlink_to(elsewhere)
    assert program(store, target, fields) == b"\0"
    assert not os.path.lexists(target / "name")


raw = st.binary(min_size=1, max_size=60).filter(lambda name: not set(name) & {0, 0x2F} and name not in (b".", b".."))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sets(raw, min_size=1, max_size=8))
def test_whatever_the_files_are_called(tmp_path_factory: pytest.TempPathFactory, found: set[bytes]) -> None:
    top = tmp_path_factory.mktemp("names")
    (top / "target").mkdir()
    wanted = sorted(found)
    fields = [field for name in wanted for field in job(top / "store", b"of " + name, name)]
    assert program(top / "store", top / "target", fields) == b"\1" * len(wanted)
    assert {os.fsencode(path.name): path.read_bytes() for path in (top / "target").iterdir()} == {
        name: b"of " + name for name in wanted
    }


def test_it_stops_where_nobody_waits_for_it_any_more(store: Path, target: Path, tmp_path: Path) -> None:
    fields = [field for number in range(300) for field in job(store, b"%d" % number, f"name {number}")]
    words = b"\0".join(os.fsencode(field) for field in (store / "files" / "md5", target, *fields))
    rest = b"\0" * (1 << 20)  # far more than a pipe takes: once it is written, the program has begun to read
    starts = (
        "import subprocess, sys, time\n"
        f"it = subprocess.Popen([sys.executable, '-I', '-S', {linker.__file__!r}], stdin=0, stdout=1, env={{}})\n"
        "print(it.pid, file=sys.stderr, flush=True)\ntime.sleep(999)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", starts], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert parent.stdin is not None and parent.stdout is not None
    parent.stdin.write(words + rest)
    parent.stdin.flush()
    parent.kill()
    parent.wait()
    parent.stdin.close()
    assert parent.stdout.read() == linker.HEAD  # until the program has ended
    assert not list(target.glob("name *"))
