"""The hash of a directory that is found in bulk is the one that DVC takes, whatever lies in it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from dvc_data.hashfile import build
from hypothesis import event, example, given, settings
from hypothesis import strategies as st

from mlbutler.errors import ProjectError
from mlbutler.project.directory_hash import hash_directory
from mlbutler.project.model import Recorded
from mlbutler.project.project import Project
from mlbutler.state.fingerprint import TreeFingerprint, fingerprint
from tests.project.conftest import Plan, dvc

USUAL = (
    "a",
    "b.txt",
    "x.tmp",
    "keep.tmp",
    "tmp",
    "é日本",
    "a b",
    'quo"te',
    "back\\slash",
    "new\nline",
    ".hidden",
    ".git",
)
NAMES = USUAL * 3 + (".hg", ".dvc", ".dvcignore", "bytes\udce9")
PATHS = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map("/".join)
CONTENTS = ("", "one", "another\r\n", "a file", "a folder") * 3 + ("nothing",)  # the last ones are links
FILES = st.dictionaries(PATHS, st.sampled_from(CONTENTS), min_size=1, max_size=8)
RULES = st.lists(
    st.sampled_from([
        "*.tmp", "!keep.tmp", "tmp/", "tmp", "!tmp", "/sub/data/a", "data/**/b.txt", "!sub/data/a/b.txt", "# comment",
        "a/", "**/x*", "/data", "sub/data/a/*", ".hidden", ".dvcignore", "!.git", "*", "!*.txt",
    ]),
    max_size=4,
)  # fmt: skip


class World:
    """A project whose directory `sub/data` is read by a stage."""

    def __init__(self, root: Path) -> None:
        self.root, self.data = root, root / "sub" / "data"
        (root / "sub").mkdir(parents=True)
        subprocess.run(["git", "init", "-q"], cwd=root, check=True)
        dvc(root, "init", "-q", "-f")
        (root / "sub" / "dvc.yaml").write_text("stages:\n  read: {cmd: 'true', deps: [data]}\n")
        (root / "aside").mkdir()
        (root / "aside" / "file").write_text("elsewhere")
        self.repo: Any = Project(root).repo
        (self.item,) = (dep for stage in self.repo.index.stages for dep in stage.deps)

    def lay_out(self, files: Mapping[str, str], rules: Mapping[str, list[str]]) -> None:
        """Make the directory again; what cannot be beside one another is passed over."""
        shutil.rmtree(self.data, ignore_errors=True)
        self.data.mkdir()
        for name, content in files.items():
            path = self.data / name
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                if content.startswith(("a file", "a folder", "nothing")):
                    target = {"a file": "file", "a folder": "", "nothing": "none"}[content]
                    path.symlink_to(self.root / "aside" / target)
                else:
                    path.write_text(content)
            except OSError:
                continue
        for folder in ("", "sub"):
            (self.root / folder / ".dvcignore").write_text("\n".join(rules.get(folder, [])))

    def in_bulk(self) -> object:
        """Return the hash that is found in bulk, None where DVC is left to say it."""
        self.repo.__dict__.pop("dvcignore", None)
        try:
            return hash_directory(self.repo, self.item, TreeFingerprint(self.root, "sub/data"))
        except (OSError, UnicodeError) as error:
            return type(error)

    def by_dvc(self) -> object:
        """Return the hash that DVC takes, or its refusal."""
        self.repo.__dict__.pop("dvcignore", None)
        try:
            meta, info = self.item._get_hash_meta()
        except Exception as error:  # one of many
            return type(error)
        return (info.name, info.value, meta.size, meta.nfiles)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("in_bulk") / "repo")


@pytest.fixture
def hashed_files(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Return the files that DVC hashes."""
    found: list[str] = []
    hash_file = build.hash_file

    def noting(path: str, *args: Any, **named: Any) -> object:
        found.append(path)
        return hash_file(path, *args, **named)

    monkeypatch.setattr(build, "hash_file", noting)
    yield found


def same(ours: object, theirs: object) -> None:
    """Compare one with the other; of two things that are wrong, either may be named."""
    event("left to DVC" if ours is None else "refused" if isinstance(theirs, type) else "hashed")
    if isinstance(theirs, type):
        assert ours is None or isinstance(ours, type)
    else:
        assert ours is None or vars_of(ours) == theirs


def vars_of(recorded: Any) -> tuple[object, ...]:
    assert isinstance(recorded, Recorded)
    return recorded.algorithm, recorded.value, recorded.size, recorded.files


@example({"x.tmp": "one", "keep.tmp": "one"}, ["*.tmp", "!keep.tmp"], [], {})
@example({"a": "one"}, [], ["data/"], {})
@example({"a": "one", "tmp/a": "one"}, ["tmp"], ["!tmp"], {})
@settings(max_examples=50)
@given(FILES, RULES, RULES, FILES)
def test_it_is_the_hash_that_dvc_takes(
    world: World, files: dict[str, str], above: list[str], beside: list[str], changes: dict[str, str]
) -> None:
    world.repo.state.hashes.clear()
    world.lay_out(files, {"": above, "sub": beside})
    same(world.in_bulk(), world.by_dvc())  # nothing is known before
    same(world.in_bulk(), world.by_dvc())  # all is
    for name in changes:
        path = world.data / name
        if path.is_file() and not path.is_symlink():
            path.write_text(path.read_text() + "changed")
    found = world.in_bulk()
    world.repo.state.hashes.clear()
    same(found, world.by_dvc())


def test_what_the_database_knows_is_not_hashed_again(world: World, hashed_files: list[str]) -> None:
    world.repo.state.hashes.clear()
    world.lay_out({"a": "one", "tmp/b.txt": "another\r\n", "a b": "a file"}, {})
    first = world.in_bulk()
    assert sorted(hashed_files) == [str(world.data / name) for name in ("a", "a b", "tmp/b.txt")]
    hashed_files.clear()
    assert world.in_bulk() == first is not None
    assert hashed_files == []
    assert vars_of(first) == world.by_dvc()
    assert hashed_files == []


def test_only_what_changed_is_hashed_and_put_into_the_database(world: World, hashed_files: list[str]) -> None:
    world.lay_out({"a": "one", "tmp/b.txt": "one"}, {})
    world.in_bulk()
    hashed_files.clear()
    (world.data / "tmp" / "b.txt").write_text("longer than before")
    found = world.in_bulk()
    assert hashed_files == [str(world.data / "tmp" / "b.txt")]
    hashed_files.clear()
    assert vars_of(found) == world.by_dvc()
    assert hashed_files == []


def test_what_dvc_2_wrote_into_the_database_is_not_believed(world: World, hashed_files: list[str]) -> None:
    world.lay_out({"a": "one\r\n"}, {})
    expected = world.in_bulk()
    key = str(world.data / "a")
    world.repo.state.hashes[key] = world.repo.state.hashes[key].replace('"version"', '"was"')
    hashed_files.clear()
    assert world.in_bulk() == expected
    assert hashed_files == [key]


@pytest.mark.parametrize("row", ["", "{", '{"checksum": 3}', '{"checksum": "3", "hash_info": {"md5": "x"}}'])
def test_a_row_that_says_nothing_sensible_is_none(world: World, row: str) -> None:
    world.lay_out({"a": "one"}, {})
    expected = world.in_bulk()
    world.repo.state.hashes[str(world.data / "a")] = row
    assert world.in_bulk() == expected is not None


def test_the_fingerprint_is_that_of_what_was_looked_at(world: World) -> None:
    world.lay_out({"a": "one", "tmp/x.tmp": "two", "tmp/b.txt": "two"}, {"": ["*.tmp"]})
    taken = TreeFingerprint(world.root, "sub/data")
    hash_directory(world.repo, world.item, taken)
    assert taken.result() == fingerprint(world.root, "sub/data") is not None


def test_a_pipe_that_dvcignore_names_is_passed_over_and_any_other_refused(full: Path, plan: Plan) -> None:
    os.mkfifo(full / "data" / "raw" / "pipe")
    with pytest.raises(ProjectError, match="neither a file nor a folder"):
        plan(full)
    (full / ".dvcignore").write_text("pipe\n")
    assert {stage.state for stage in plan(full).values()} == {"up to date"}


def test_a_name_that_is_no_text_is_refused_with_what_to_do(full: Path, plan: Plan) -> None:
    (full / "data" / "raw" / os.fsdecode(b"caf\xe9")).write_text("x")
    with pytest.raises(ProjectError, match="not UTF-8"):
        plan(full)
