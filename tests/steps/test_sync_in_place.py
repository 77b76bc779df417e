"""`sync --all` where all is in place: it looks at every file and no more; where one of them changed, at everything."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlbutler.commands.step import step
from mlbutler.console import Console
from mlbutler.state.fingerprint import Fingerprint, wait_while_racy
from mlbutler.steps import sync
from mlbutler.steps.context import RunContext, StepOptions
from mlbutler.store.interface import ObjectId
from mlbutler.store.local import LocalStore
from mlbutler.store.upkeep import uses
from tests import forked_python
from tests.store.dvc_world import FILES, clone, copy_remote, dvc, trained_model
from tests.store.world import md5, unsound

OBJECTS = 6
"""Four files, the one manifest of the two directories that hold them, the model: see `dvc_world`."""
IN_PLACE = f"nothing to bring: {OBJECTS} objects here already"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone, its remote and a home; one test after the other changes it and has it put right."""
    place = tmp_path_factory.mktemp("in-place")
    clone(place / "clone", str(copy_remote(place / "remote")))
    return place


@pytest.fixture
def root(place: Path, isolated_environment: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The clone, in which all is in place."""
    for name, value in os.environ.items():
        if value.startswith(str(isolated_environment)):  # what lies in a home that is another one for each test
            monkeypatch.setenv(name, value.replace(str(isolated_environment), str(place / "home")))
    root = place / "clone"
    monkeypatch.setenv("MLBUTLER_DATA_MIRROR", str(place / "mirror"))
    monkeypatch.chdir(root)
    (root / "mlbutler.toml").unlink(missing_ok=True)
    again(root)
    for _ in range(5):  # what was written a moment before it was looked at is looked at once more
        result, opened = again(root)
        if not opened:
            break
    assert (result["reason"], opened) == (IN_PLACE, False)
    return root


def again(root: Path) -> tuple[dict[str, Any], bool]:
    """What `mlbutler sync --all` leaves in the record, and whether it opened DVC's project for that."""
    from dvc.repo import Repo

    opened: list[object] = []
    init = Repo.__init__

    def opening(self: Any, *words: Any, **options: Any) -> None:
        opened.append(self)
        init(self, *words, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Repo, "__init__", opening)
        step(
            root,
            Console(quiet=True),
            "sync",
            StepOptions(discard=True),
            call=lambda context: sync.run(context, everything=True),
        )
    return json.loads((root / ".mlbutler" / "record.json").read_text())["sync"], bool(opened)


def cached_path(root: Path, content: bytes) -> Path:
    return LocalStore("cache", root / ".dvc" / "cache").path(ObjectId(md5(content)))


def whole(root: Path) -> bool:
    """Is each artifact what was committed, and each object of cache and mirror what its name says?"""
    texts = {path.relative_to(root / "data").as_posix(): path.read_text() for path in (root / "data").rglob("*.txt")}
    files = {path for path in (root / "prepared").rglob("*") if path.is_file()}
    model = (root / "model.txt").read_bytes() == trained_model()
    return texts == FILES and len(files) == len(FILES) and model and not unsound(root / ".dvc" / "cache")


def _in_place(root: Path) -> None:
    path = cached_path(root, b"two\n")
    path.chmod(0o644)
    path.write_bytes(b"TWO\n")
    path.chmod(0o444)


def _replace_object(root: Path) -> None:
    path = cached_path(root, b"two\n")
    found = path.stat()
    other = path.with_name("other")
    other.write_bytes(b"TWO\n")
    other.chmod(0o444)
    os.utime(other, ns=(found.st_atime_ns, found.st_mtime_ns))
    other.replace(path)


def _append(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


Change = Callable[[Path], object]
CHANGES: dict[str, Change] = {
    "a file of the work tree": lambda root: (root / "data" / "a b.txt").write_text("own\n"),
    "a file of the work tree is gone": lambda root: (root / "prepared" / "a b.txt").unlink(),
    "an artifact is gone": lambda root: (root / "model.txt").unlink(),
    "an artifact's folder is gone": lambda root: shutil.rmtree(root / "data"),
    "a file more": lambda root: (root / "data" / "sub" / "more.txt").write_text("more\n"),
    "a cached object is gone": lambda root: cached_path(root, b"two\n").unlink(),
    "a cached object was overwritten": _in_place,
    "a cached object was replaced": _replace_object,
    "a cached object may be written into": lambda root: cached_path(root, b"two\n").chmod(0o644),
    "the whole cache is gone": lambda root: shutil.rmtree(root / ".dvc" / "cache"),
    "dvc.lock": lambda root: _append(root / "dvc.lock", "# more\n"),
    "a .dvc file": lambda root: _append(root / "data.dvc", "# more\n"),
    ".dvc/config": lambda root: _append(root / ".dvc" / "config", "[cache]\n    type = copy\n"),
    ".dvc/config.local": lambda root: _append(root / ".dvc" / "config.local", "[cache]\n    type = copy\n"),
    "the targets": lambda root: (root / "mlbutler.toml").write_text("[reproduce]\ntargets = ['train']\n"),
    "everything is verified": lambda root: (root / "mlbutler.toml").write_text("[data]\nverify = 'always'\n"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_any_change_makes_it_look_at_everything_and_put_it_right(root: Path, change: str) -> None:
    time.sleep(0.06)
    CHANGES[change](root)
    result, opened = again(root)
    assert opened
    assert result["outcome"] == "passed"
    assert whole(root)
    for _ in range(2):  # the plan of a changed work tree had a stale stage, and is not remembered
        result, opened = again(root)
        assert result["reason"] == IN_PLACE
    assert opened is (change == "everything is verified")
    assert whole(root)


def test_another_cache_in_the_user_s_settings_is_filled(root: Path, tmp_path: Path) -> None:
    dvc(root, "config", "--global", "cache.dir", str(tmp_path / "elsewhere"))
    wait_while_racy([Fingerprint.of((Path(os.environ["DVC_GLOBAL_CONFIG_DIR"]) / "config").stat())])
    result, opened = again(root)
    assert opened
    assert {moved["place"]: moved["objects"] for moved in result["moved"]} == {"mirror": OBJECTS}
    assert not unsound(tmp_path / "elsewhere")
    assert again(root)[1] is False
    dvc(root, "config", "--global", "--unset", "cache.dir")
    assert again(root)[1] is True


def test_after_another_start_of_the_machine_everything_is_looked_at(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "boot").write_text("another\n")
    monkeypatch.setattr("mlbutler.state.verified._BOOT", tmp_path / "boot")
    assert again(root)[1] is True
    assert again(root)[1] is False


def test_a_fork_s_change_is_told_nothing_that_was_remembered(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RunContext, "trusted", property(lambda self: False))
    assert again(root)[1] is True


# ------------------------------------------------------------------------------------ as a program


@pytest.fixture
def without_dvc(tmp_path: Path) -> dict[str, str]:
    """An environment in which nothing can import DVC."""
    (tmp_path / "stub").mkdir()
    for name in ("dvc", "dvc_data", "dvc_objects"):
        (tmp_path / "stub" / f"{name}.py").write_text(f"raise ImportError('{name} was imported')\n")
    return {"PYTHONPATH": str(tmp_path / "stub"), "TMPDIR": str(tmp_path)}


def mlbutler(root: Path, environ: dict[str, str], *words: str) -> tuple[int, str, dict[str, Any]]:
    done = forked_python.run("mlbutler", *words, "--json", "--quiet", cwd=root, env={**os.environ, **environ})
    return done.returncode, done.stderr, json.loads(done.stdout)["result"] if done.returncode < 2 else {}


def test_the_second_sync_opens_no_project_and_says_what_the_long_way_says(
    place: Path, root: Path, without_dvc: dict[str, str]
) -> None:
    shutil.rmtree(root / ".mlbutler" / "state" / "sync")
    assert "dvc was imported" in mlbutler(root, without_dvc, "sync", "--all")[1]  # it cannot do without
    _, _, long = mlbutler(root, {}, "sync", "--all")
    begun = time.time()
    code, said, short = mlbutler(root, without_dvc, "sync", "--all")
    assert (code, said) == (0, "")
    for result in (long, short):
        del result["started"], result["duration"]
    assert short == long
    assert short["reason"] == IN_PLACE
    used = uses.read_uses(place / "mirror").last
    artifacts = {ObjectId(line.split()[-1]) for line in (root / "dvc.lock").read_text().splitlines() if "md5: " in line}
    assert {oid for oid, when in used.items() if when >= begun} == {
        oid for oid in artifacts if oid.is_directory or oid == ObjectId(md5(trained_model()))
    }
    assert whole(root)


def test_a_change_is_seen_by_the_program_too(root: Path, without_dvc: dict[str, str]) -> None:
    (root / "data" / "a b.txt").unlink()
    (root / "data" / "a b.txt").write_text("own\n")
    assert "dvc was imported" in mlbutler(root, without_dvc, "sync", "--all")[1]
    assert mlbutler(root, {}, "sync", "--all", "--discard")[0] == 0
    assert whole(root)
