"""Unsaved work is never replaced: what is in no store stops `sync` and `reproduce` before they change anything."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlbutler.commands.step import step
from mlbutler.console import Console
from mlbutler.steps import sync
from mlbutler.steps.context import StepOptions
from tests.store.dvc_world import FILES, clone, commit, copy_remote, dvc, trained_model


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone with all its data, which has nothing in its cache that is not on the remote."""
    root = clone(tmp_path / "clone", str(copy_remote(tmp_path / "remote")))
    monkeypatch.chdir(root)
    assert bring(root)[0] == 0
    return root


def bring(root: Path, **options: Any) -> tuple[int, dict[str, Any]]:
    """`mlbutler sync --all`: exit code and what the record says."""
    code = step(
        root,
        Console(quiet=True),
        "sync",
        StepOptions(**options),
        call=lambda context: sync.run(context, everything=True),
    )
    return code, read_record(root)["sync"]


def reproduce(root: Path, **options: Any) -> tuple[int, dict[str, Any]]:
    code = step(root, Console(quiet=True), "reproduce", StepOptions(**options))
    return code, read_record(root)["reproduce"]


def read_record(root: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((root / ".mlbutler" / "record.json").read_text())
    return record


def edit(path: Path, text: str) -> None:
    """As an editor saves: what is a link to the cache is one no more."""
    path.unlink(missing_ok=True)
    path.write_text(text)


def content(root: Path) -> dict[str, str]:
    """Every file of the work tree that is neither Git's nor DVC's nor mlbutler's own."""
    own = (".git", ".dvc", ".mlbutler")
    files = (path for path in root.rglob("*") if path.is_file() and path.relative_to(root).parts[0] not in own)
    return {path.relative_to(root).as_posix(): path.read_text() for path in files}


# ------------------------------------------------------------------------------------ sync


def test_sync_stops_before_it_replaces_or_removes_what_no_store_holds(root: Path) -> None:
    edit(root / "data" / "a b.txt", "edited\n")
    edit(root / "data" / "grüße.txt", "edited too\n")
    edit(root / "data" / "new.txt", "new\n")
    edit(root / "model.txt", "by hand\n")
    before = content(root)

    code, result = bring(root)

    assert (code, result["outcome"]) == (1, "failed")
    assert result["unsaved"] == ["data/a b.txt", "data/grüße.txt", "data/new.txt", "model.txt"]
    assert result["reason"] == (
        "Not saved in any store, and it would be lost: data/a b.txt, data/grüße.txt, data/new.txt and 1 more."
    )
    assert result["remedy"] == "To keep it: dvc add data; dvc commit train. To give it up, run again with --discard."
    assert content(root) == before

    assert bring(root, discard=True)[0] == 0
    assert (root / "data" / "a b.txt").read_text() == FILES["a b.txt"]
    assert not (root / "data" / "new.txt").exists()
    assert (root / "model.txt").read_bytes() == trained_model()


def test_it_stops_in_ci_too(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"JENKINS_URL": "http://ci/", "BUILD_URL": "http://ci/1/", "BRANCH_NAME": "main"}.items():
        monkeypatch.setenv(name, value)
    edit(root / "model.txt", "by hand\n")
    assert bring(root)[0] == 1
    assert (root / "model.txt").read_text() == "by hand\n"


def test_what_the_remedy_says_keeps_it(root: Path) -> None:
    edit(root / "data" / "new.txt", "new\n")
    dvc(root, "add", "-q", "data")
    assert bring(root)[0] == 0
    assert (root / "data" / "new.txt").read_text() == "new\n"


@pytest.mark.parametrize("place", ["cache", "mirror", "remote"])
def test_what_a_store_holds_is_replaced(
    place: str, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = (root / "data.dvc").read_text()
    edit(root / "data" / "a b.txt", "another version\n")
    dvc(root, "add", "-q", "data")
    cache = root / ".dvc" / "cache"
    if place == "remote":
        dvc(root, "push", "-q", "data")
        shutil.rmtree(cache)
    elif place == "mirror":
        cache.rename(tmp_path / "mirror")
        monkeypatch.setenv("MLBUTLER_DATA_MIRROR", str(tmp_path / "mirror"))
    (root / "data.dvc").write_text(lock)  # as a checkout of another commit leaves it
    shutil.rmtree(root / ".mlbutler")  # nothing is remembered of what lies there
    code, result = bring(root)
    assert (code, result["outcome"]) == (0, "passed")
    assert (root / "data" / "a b.txt").read_text() == FILES["a b.txt"]


def test_an_object_that_is_cut_short_holds_nothing(root: Path) -> None:
    lock = (root / "data.dvc").read_text()
    edit(root / "data" / "a b.txt", "another version\n")
    dvc(root, "add", "-q", "data")
    (root / "data.dvc").write_text(lock)
    for path in (root / ".dvc" / "cache" / "files" / "md5").glob("*/*"):
        if path.read_bytes() == b"another version\n":
            path.chmod(0o644)
            edit(path, "another")
    edit(root / "data" / "a b.txt", "another version\n")
    assert bring(root)[1]["unsaved"] == ["data/a b.txt"]


def test_a_remote_that_cannot_be_asked_holds_nothing(root: Path) -> None:
    edit(root / "model.txt", "by hand\n")
    (root / ".dvc" / "config.local").write_text("['remote \"origin\"']\n    url = http://127.0.0.1:9/none\n")
    code, result = bring(root)
    assert (code, result["unsaved"]) == (1, ["model.txt"])
    assert "the remote could not be asked" in result["reason"]


def test_what_git_holds_unchanged_is_replaced_and_an_edit_of_it_is_not(root: Path) -> None:
    subprocess.run(["git", "add", "-f", "model.txt"], cwd=root, check=True)
    edit(root / "model.txt", "in the index\n")
    assert bring(root)[0] == 1
    subprocess.run(["git", "add", "-f", "model.txt"], cwd=root, check=True)
    assert bring(root)[0] == 0
    assert (root / "model.txt").read_bytes() == trained_model()


def test_a_file_that_git_was_told_to_believe_unchanged_is_not_held_by_it(root: Path) -> None:
    subprocess.run(["git", "add", "-f", "model.txt"], cwd=root, check=True)
    subprocess.run(["git", "update-index", "--assume-unchanged", "model.txt"], cwd=root, check=True)
    edit(root / "model.txt", "by hand\n")
    assert bring(root)[1]["unsaved"] == ["model.txt"]


def test_renames_and_modes_lose_no_bytes_and_stop_nothing(root: Path) -> None:
    (root / "data" / "a b.txt").rename(root / "data" / "renamed.txt")
    (root / "data" / "grüße.txt").chmod(0o755)
    (root / "model.txt").unlink()
    assert bring(root)[0] == 0
    assert not (root / "data" / "renamed.txt").exists()


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_work_in_the_place_of_a_new_artifact_is_not_replaced(kind: str, root: Path) -> None:
    (root / "data").rename(root / "elsewhere")
    if kind == "file":
        (root / "data").write_text("mine\n")
    else:
        (root / "data").mkdir()
        (root / "data" / "mine.txt").write_text("mine\n")
    shutil.rmtree(root / ".mlbutler")
    code, result = bring(root)
    assert (code, result["unsaved"]) == (1, ["data" if kind == "file" else "data/mine.txt"])


# ------------------------------------------------------------------------------------ reproduce


def param(root: Path, rate: int) -> None:
    (root / "params.yaml").write_text(f"rate: {rate}\n")


EDITS: dict[str, tuple[Callable[[Path], None], str, str]] = {
    "an output": (lambda root: edit(root / "model.txt", "by hand\n"), "model.txt", "dvc commit train"),
    "a metric that Git keeps": (
        lambda root: edit(root / "metrics.json", '{"rate": 7}'), "metrics.json", "git add metrics.json",
    ),
    "a file in an output": (
        lambda root: edit(root / "prepared" / "notes.txt", "mine\n"), "prepared/notes.txt", "dvc commit prepare",
    ),
    "a file in an output that DVC ignores": (
        lambda root: edit(root / "prepared" / "notes.log", "mine\n"), "prepared/notes.log",
        "To keep it: move prepared/notes.log elsewhere. ",
    ),
}  # fmt: skip


@pytest.mark.parametrize("change", EDITS)
def test_reproduce_stops_before_it_removes_an_output_that_no_store_holds(change: str, root: Path) -> None:
    make, path, command = EDITS[change]
    (root / ".dvcignore").write_text("*.log\n")
    make(root)
    edit(root / "data" / "a b.txt", "other data\n")
    dvc(root, "add", "-q", "data")
    before = content(root)

    code, result = reproduce(root)

    assert (code, result["outcome"], result["unsaved"]) == (1, "failed", [path])
    assert command in result["remedy"]
    assert content(root) == before

    assert reproduce(root, discard=True)[0] == 0
    assert not (root / "prepared" / "notes.log").exists()


def test_a_metric_that_is_in_git_s_index_may_go(root: Path) -> None:
    edit(root / "metrics.json", '{"rate": 7}')
    subprocess.run(["git", "add", "metrics.json"], cwd=root, check=True)
    param(root, 2)
    assert reproduce(root)[0] == 0
    assert (root / "metrics.json").read_text() == '{"rate": 2}'


def test_what_its_own_runs_made_never_stops_the_next(root: Path) -> None:
    for rate in (2, 3, 4):
        param(root, rate)
        assert reproduce(root)[0] == 0
    # As CI resets a workspace: what DVC does not keep is of a run of which dvc.lock knows nothing.
    subprocess.run(["git", "checkout", "-q", "dvc.lock"], cwd=root, check=True)
    param(root, 5)
    assert reproduce(root)[0] == 0


def test_what_a_failed_stage_left_may_go_and_what_was_changed_since_may_not(root: Path) -> None:
    train = (root / "train.py").read_text()
    (root / "train.py").write_text(train + "raise SystemExit('half of it')\n")
    code, result = reproduce(root)
    assert (code, result["outcome"]) == (1, "failed")
    assert (root / "model.txt").exists()
    (root / "train.py").write_text(train + "# again\n")
    left = (root / "model.txt").read_text()
    edit(root / "model.txt", "by hand\n")
    assert reproduce(root)[1]["unsaved"] == ["model.txt"]
    assert (root / "model.txt").read_text() == "by hand\n"
    assert left != "by hand\n"


def test_a_stage_that_failed_runs_again(root: Path) -> None:
    train = (root / "train.py").read_text()
    (root / "train.py").write_text(train.replace("write_text(rate +", 'write_text("half" +') + "raise SystemExit(1)\n")
    assert reproduce(root)[0] == 1
    assert (root / "model.txt").read_text().startswith("half")
    (root / "train.py").write_text(train + "# again\n")
    assert reproduce(root)[0] == 0


def test_what_changed_while_another_stage_ran_is_not_removed(root: Path) -> None:
    text = (root / "dvc.yaml").read_text()
    careless = "prepared/ && rm model.txt && echo mine > model.txt\n"
    (root / "dvc.yaml").write_text(text.replace("prepared/\n", careless, 1))
    edit(root / "data" / "a b.txt", "other data\n")
    dvc(root, "add", "-q", "data")
    code, result = reproduce(root)
    assert (code, result["outcome"]) == (1, "failed")
    assert "stage 'train' was not run: Not saved in any store" in result["reason"]
    assert (root / "model.txt").read_text() == "mine\n"


def test_a_fresh_clone_is_never_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = clone(tmp_path / "clone", str(copy_remote(tmp_path / "remote")))
    monkeypatch.chdir(root)
    os.utime(root / "metrics.json", (1, 1))  # Git's index knows another time of it, as after a copy of the workspace
    param(root, 9)
    commit(root, "another rate")
    assert step(root, Console(quiet=True), "sync") == 0
    assert reproduce(root)[0] == 0


def test_a_file_in_the_place_of_an_outputs_folder_is_named_and_stays(root: Path) -> None:
    for file in ("dvc.yaml", "dvc.lock"):
        (root / file).write_text((root / file).read_text().replace("model.txt", "out/model.txt"))
    (root / "out").write_text("precious")
    for discard in (False, True):
        code, result = bring(root, discard=discard)
        assert (code, result["outcome"]) == (1, "failed")
        assert result["reason"] == "out is not a folder, and out/model.txt has to be put into it."
        assert "mv out NAME" in result["remedy"]
    (root / "params.yaml").write_text("rate: 3\n")
    code, result = reproduce(root)
    assert (code, result["outcome"], result["stages"]) == (1, "failed", [])
    assert (root / "out").read_text() == "precious"
    assert (root / "metrics.json").exists()
