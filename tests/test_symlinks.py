"""Nothing below the project's root is written through a link that may have come with a change."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from mlbutler.commands.step import step
from mlbutler.console import Console
from mlbutler.errors import PathRefused, UsageError
from mlbutler.git import Git
from mlbutler.reproduce.seeds import set_params
from mlbutler.steps import sync
from mlbutler.symlinks import Symlinks
from tests import forked_python
from tests.store.dvc_world import clone, commit, copy_remote, dvc

JENKINS = {"JENKINS_URL": "http://ci/", "BUILD_URL": "http://ci/1/", "BRANCH_NAME": "main"}


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """A fresh clone, and a folder outside it that holds a file of somebody else's."""
    root, outside = clone(tmp_path / "clone", str(copy_remote(tmp_path / "remote"))), tmp_path / "outside"
    (outside / "deep").mkdir(parents=True)
    for name in ("file", "deep/file", "a b.txt"):
        (outside / name).write_text("theirs\n")
    monkeypatch.chdir(root)
    return root, outside


def everything(root: Path) -> int:
    return step(root, Console(quiet=True), "sync", call=lambda context: sync.run(context, everything=True))


def is_untouched(outside: Path) -> bool:
    files = {path.relative_to(outside).as_posix(): path.read_text() for path in outside.rglob("*") if path.is_file()}
    return files == dict.fromkeys(("a b.txt", "deep/file", "file"), "theirs\n")


def track(root: Path, path: str) -> None:
    """A .dvc file for this path, with an object that the remote holds."""
    entry = (root / "dvc.lock").read_text()
    md5 = entry[entry.index("path: model.txt") :].split("md5: ")[1].split()[0]
    (root / "evil.dvc").write_text(f"outs:\n- md5: {md5}\n  hash: md5\n  path: {path}\n")


def _first(root: Path, outside: Path) -> None:
    (root / "up").symlink_to(outside)
    track(root, "up/file")


def _second(root: Path, outside: Path) -> None:
    (root / "in").mkdir()
    (root / "in" / "up").symlink_to(outside)
    track(root, "in/up/deep/file")


def _relative(root: Path, outside: Path) -> None:
    (root / "up").symlink_to(os.path.relpath(outside, root))
    track(root, "up/new")


def _chain(root: Path, outside: Path) -> None:
    (root / "in").symlink_to("up")
    (root / "up").symlink_to(outside)
    track(root, "in/file")


def _by_wdir(root: Path, outside: Path) -> None:
    _first(root, outside)
    text = (root / "evil.dvc").read_text()
    (root / "evil.dvc").write_text(text.replace("path: up/file", "path: file") + "wdir: up\n")


def _the_file(root: Path, outside: Path) -> None:
    (root / "up").symlink_to(outside / "file")
    track(root, "up")


def _to_nowhere(root: Path, outside: Path) -> None:
    (root / "up").symlink_to(outside / "new")
    track(root, "up")


def _the_folder(root: Path, outside: Path) -> None:
    (root / "data").symlink_to(outside)


def _in_an_artifact(root: Path, outside: Path) -> None:
    (root / "data").mkdir()
    (root / "data" / "sub").symlink_to(outside)


def _inside(root: Path, outside: Path) -> None:
    (root / "up").symlink_to(".git")
    track(root, "up/config")


COMMITTED: dict[str, Callable[[Path, Path], None]] = {
    "the first parent": _first, "the second parent": _second, "a relative link": _relative, "a link to a link": _chain,
    "a working directory": _by_wdir, "the artifact itself": _the_file, "a link to nowhere": _to_nowhere,
    "an artifact's folder": _the_folder, "a folder in an artifact": _in_an_artifact,
    "a link into another place of the project": _inside,
}  # fmt: skip


@pytest.mark.parametrize("case", COMMITTED)
def test_sync_writes_through_no_link_that_was_committed(
    case: str, world: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    root, outside = world
    COMMITTED[case](root, outside)
    subprocess.run(["git", "add", "-f", "-A", "--", "."], cwd=root, check=True)
    commit(root, "a link")
    config = (root / ".git" / "config").read_bytes()
    assert everything(root) == 1
    assert "symbolic link" in capsys.readouterr().err
    assert is_untouched(outside)
    assert (root / ".git" / "config").read_bytes() == config
    assert not (root / "model.txt").exists()  # before anything was changed
    record = json.loads((root / ".mlbutler" / "record.json").read_text())
    assert record["sync"]["outcome"] == "failed"


STAGES = {
    "an output": ("up/out.txt", "up"),
    "the lock file": ("out.txt", "dvc.lock"),
    "the .gitignore beside an output": ("in/out.txt", "in/.gitignore"),
}


@pytest.mark.parametrize("case", STAGES)
def test_reproduce_refuses_before_dvc_is_called(
    case: str, world: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    root, outside = world
    path, link = STAGES[case]
    (root / "in").mkdir()
    (root / "in" / "kept").touch()
    (root / "dvc.lock").unlink()
    (root / link).symlink_to(outside if link == "up" else outside / "file")
    (root / "dvc.yaml").write_text(f"stages:\n  make:\n    cmd: echo made > {path}\n    outs: [{path}]\n")
    commit(root, "a link")
    if link == "dvc.lock":
        (outside / "file").write_text("schema: '2.0'\n")
    before = (outside / "file").read_text()
    assert step(root, Console(quiet=True), "reproduce") == 1
    assert f"{link} is a symbolic link" in capsys.readouterr().err
    assert (outside / "file").read_text() == before
    assert not (outside / "out.txt").exists()


def test_an_artifact_above_the_project_is_left_alone(world: tuple[Path, Path]) -> None:
    root, outside = world
    track(root, "in/../../outside/file")
    everything(root)
    assert is_untouched(outside)


OWNED = {
    "of mlbutler": (".mlbutler/seen.json", "mlbutler's"),
    "of mlbutler, in capitals": (".MLButler/seen.json", "mlbutler's"),
    "a hook of Git's": (".git/hooks/post-checkout", "Git's"),
    "new settings of Git's": ("in/../.Git/config.worktree", "Git's"),
    "a repository in a folder": ("in/.git/config", "Git's"),
    "settings of DVC's": (".dvc/config", "DVC's"),
    "DVC's run cache": (".dvc/cache/runs/ab/abc", "DVC's"),
}


@pytest.mark.parametrize("case", OWNED)
def test_an_output_in_a_folder_of_settings_and_hooks_is_refused(
    case: str, world: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    root, _ = world
    path, owner = OWNED[case]
    track(root, path)
    (root / ".dvcignore").write_text("!.git/\n!.git\n!.git/**\n!.dvc/\n!.dvc/**\n")
    commit(root, "DVC ignores nothing of its own")
    before = (root / ".dvc" / "config").read_bytes()
    assert everything(root) == 1
    assert f"{owner} own" in capsys.readouterr().err
    assert (root / ".dvc" / "config").read_bytes() == before
    assert not os.path.lexists(root / path) or path == ".dvc/config"
    assert not (root / "model.txt").exists()  # before anything was changed


# ------------------------------------------------------------------------------------ links that Git does not track


def test_a_user_may_have_data_on_another_disk_and_ci_has_not(
    world: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, _ = world
    (tmp_path / "disk").mkdir()
    (root / "up").symlink_to(tmp_path / "disk")
    track(root, "up/file")
    with (root / ".git" / "info" / "exclude").open("a") as file:
        file.write("/up\n")
    with monkeypatch.context() as ci:
        for name, value in JENKINS.items():
            ci.setenv(name, value)
        assert everything(root) == 1
        assert not (tmp_path / "disk" / "file").exists()
    assert everything(root) == 0
    assert (tmp_path / "disk" / "file").exists()


@pytest.mark.parametrize("ci", [False, True])
def test_a_shared_cache_and_a_project_behind_a_link_go_on_working(
    ci: bool, world: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, _ = world
    for name, value in JENKINS.items() if ci else ():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MLBUTLER_REMOTE_HOSTS", str(tmp_path / "remote"))  # the target branch names another
    (tmp_path / "shared").mkdir()
    (root / ".dvc" / "cache").symlink_to(tmp_path / "shared")
    (tmp_path / "behind").symlink_to(root)
    assert everything(tmp_path / "behind") == 0
    assert (root / "model.txt").exists()
    assert any((tmp_path / "shared" / "files" / "md5").iterdir())


# ------------------------------------------------------------------------------------ our own folders


def _link(path: str) -> Callable[[Path, Path], None]:
    def make(root: Path, outside: Path) -> None:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).symlink_to(outside if path in (".mlbutler", ".dvc/tmp", ".dvc/cache") else outside / "file")

    return make


def _hard(root: Path, outside: Path) -> None:
    (root / ".mlbutler").mkdir()
    os.link(outside / "file", root / ".mlbutler" / "lock")


def _folder(root: Path, outside: Path) -> None:
    (root / ".mlbutler" / "lock").mkdir(parents=True)


OURS = {
    ".mlbutler": _link(".mlbutler"),
    ".mlbutler/lock": _link(".mlbutler/lock"),
    ".mlbutler/.gitignore": _link(".mlbutler/.gitignore"),
    ".mlbutler/logs": _link(".mlbutler/logs"),
    ".mlbutler/logs/reproduce.log": _link(".mlbutler/logs/reproduce.log"),
    ".mlbutler/scratch": _link(".mlbutler/scratch"),
    ".dvc/tmp": _link(".dvc/tmp"),
    ".dvc/tmp/lock": _link(".dvc/tmp/lock"),
    ".dvc/cache": _link(".dvc/cache"),
}


@pytest.mark.parametrize("path", OURS)
def test_our_own_folders_are_no_links(path: str, world: tuple[Path, Path]) -> None:
    root, outside = world
    OURS[path](root, outside)
    subprocess.run(["git", "add", "-f", path], cwd=root, check=True)
    commit(root, "a link")
    with pytest.raises(PathRefused, match=path):
        Symlinks(root, Git(root), every=False).check_folders()
    # Nothing else may go on before that is seen, and none of it is a bug of ours.
    done = forked_python.run("mlbutler", "sync", "--all", cwd=root)
    assert done.returncode in (1, 2), done.stderr
    assert is_untouched(outside)


@pytest.mark.parametrize("make", [_hard, _folder])
def test_a_lock_that_is_something_else_is_not_opened(
    make: Callable[[Path, Path], None], world: tuple[Path, Path]
) -> None:
    root, outside = world
    make(root, outside)
    with pytest.raises(UsageError, match=r"\.mlbutler/lock"):
        everything(root)
    assert is_untouched(outside)


def test_a_file_in_the_place_of_our_folder(world: tuple[Path, Path]) -> None:
    root, _ = world
    (root / ".mlbutler").write_text("mine\n")
    with pytest.raises(UsageError, match="is not a folder"):
        everything(root)
    assert (root / ".mlbutler").read_text() == "mine\n"


@pytest.mark.parametrize("setting", ["report", "cache", "mirror"])
def test_folders_that_settings_name_are_behind_no_link(setting: str, world: tuple[Path, Path]) -> None:
    root, outside = world
    (root / "up").symlink_to(outside)
    if setting == "cache":
        dvc(root, "config", "cache.dir", "up/cache")
    else:
        text = '[report]\ndirectory = "up/report"\n' if setting == "report" else '[data]\nmirror = "up/mirror"\n'
        (root / "mlbutler.toml").write_text(text)
    commit(root, "a link")
    if setting == "report":
        assert step(root, Console(quiet=True), "plan") == 0
        assert step(root, Console(quiet=True), "report") == 1
    elif setting == "mirror":
        with pytest.raises(PathRefused):
            everything(root)
    else:
        assert everything(root) == 1
    assert is_untouched(outside)


def test_a_seed_is_set_behind_no_link(world: tuple[Path, Path]) -> None:
    root, outside = world
    (outside / "file").rename(outside / "params.yaml")
    (outside / "params.yaml").write_text("seed: 1\n")
    (root / "up").symlink_to(outside)
    with pytest.raises(PathRefused):
        set_params(root, ["up/params.yaml:seed"], 2)
    assert (outside / "params.yaml").read_text() == "seed: 1\n"
