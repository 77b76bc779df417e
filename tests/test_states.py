"""The tables of states in docs/steps.md, row by row, each by a real project."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlbutler.commands.run import RunOptions, run
from mlbutler.commands.step import step
from mlbutler.console import Console
from mlbutler.record import StageState
from mlbutler.steps import check
from tests.project.conftest import commit, dvc

DOCS = Path(__file__).parent.parent / "docs" / "steps.md"
EXITS = {"passed": 0, "failed": 1, "not known": 3}


def table(first: str) -> dict[str, tuple[str, ...]]:
    """The rows of the table whose first column has this title, by their first cell."""
    lines = DOCS.read_text(encoding="utf-8").splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(f"| {first} |"))
    rows: dict[str, tuple[str, ...]] = {}
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        name, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        rows[name] = tuple(cells)
    return rows


STAGES, ARTIFACTS = table("a stage is"), table("an artifact is")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a repository and a file beside it that its stage reads; a remote that holds everything."""
    top = tmp_path_factory.mktemp("states") / "top"
    root = top / "repo"
    root.mkdir(parents=True)
    (top / "beside.txt").write_text("beside\n")
    (root / "dvc.yaml").write_text(
        "stages:\n"
        "  make:\n"
        '    cmd: cp in.txt out.txt && echo "{\\"n\\":1}" > m.json\n'
        f"    deps: [in.txt, {top}/beside.txt]\n"
        "    outs: [out.txt]\n"
        "    metrics: [{m.json: {cache: false}}]\n"
    )
    shutil.copyfile(root / "dvc.yaml", top / "dvc.yaml")
    subprocess.run(["git", "init", "-q", "-b", "main"], cwd=root, check=True)
    dvc(root, "init", "-q")
    dvc(root, "remote", "add", "-q", "-d", "origin", str(top / "remote"))
    for text in ("before\n", "now\n"):  # the first is in the run cache alone
        (root / "in.txt").write_text(text)
        dvc(root, "repro", "-q")
    dvc(root, "push", "-q")
    commit(root, "first")
    subprocess.run(["git", "checkout", "-q", "-b", "work"], cwd=root, check=True)
    (root / "notes.md").write_text("# Notes\n")
    commit(root, "second")
    shutil.copytree(top, top.with_name("copy"), symlinks=True)
    return top


@pytest.fixture
def root(template: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.rmtree(template)
    shutil.copytree(template.with_name("copy"), template, symlinks=True)
    monkeypatch.chdir(template / "repo")
    return template / "repo"


def edit(root: Path, old: str, new: str, file: str = "dvc.yaml") -> None:
    text = (root / file).read_text()
    assert old in text
    (root / file).write_text(text.replace(old, new))


def frozen(root: Path) -> None:
    edit(root, "  make:\n", "  make:\n    frozen: true\n")
    (root / "in.txt").write_text("another\n")


STATES: dict[str, Callable[[Path], object]] = {
    "up to date": lambda root: None,
    "frozen": frozen,
    "stale": lambda root: (root / "in.txt").write_text("another\n"),
    "restorable": lambda root: (root / "in.txt").write_text("before\n"),
    "not known": lambda root: (root.parent / "beside.txt").unlink(),
    "cannot run": lambda root: edit(root, "deps: [in.txt,", "deps: [nowhere.txt, in.txt,"),
}


def verb(root: Path, name: str, **options: Any) -> tuple[int, Any]:
    """The exit code of a verb, and what it left in the record."""
    code = step(root, Console(quiet=True), name, **options)
    return code, read_record(root)[name]


def read_record(root: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((root / ".mlbutler" / "record.json").read_text())
    return found


def test_every_state_has_its_row() -> None:
    assert set(STAGES) == set(STATES) == {str(state) for state in StageState}


@pytest.mark.parametrize("state", STATES)
def test_what_a_stage_is_decides_what_every_step_makes_of_it(root: Path, state: str) -> None:
    plan, reproduce, lock, numbers, ends = STAGES[state]
    STATES[state](root)
    code, planned = verb(root, "plan")
    assert (planned["stages"][0]["state"], planned["outcome"], code) == (state, plan, EXITS[plan])
    code, checked = verb(root, "check", call=lambda context: check.run(context, ("lock",)))
    assert (checked["outcome"], code) == (lock, EXITS[lock])
    only = ("plan", "sync", "check", "reproduce", "compare")
    code = run(root, Console(quiet=True), RunOptions(against="main", only=only))
    record = read_record(root)
    assert [stage["outcome"] for stage in record["reproduce"]["stages"]] == [reproduce]
    (metric,) = record["compare"]["metrics"]
    assert ("not judged" if metric["verdict"] == "not judged" else "judged") == numbers
    assert code == int(ends)


def without_remote(root: Path) -> None:
    (root / ".dvc" / "config").write_text("")


def untrack(root: Path) -> None:
    subprocess.run(["git", "rm", "-q", "--cached", "m.json"], cwd=root, check=True)
    edit(root, "/out.txt\n", "/out.txt\n/m.json\n", ".gitignore")


PLACES: dict[str, Callable[[Path], object]] = {
    "on the remote": lambda root: None,
    "not on the remote": lambda root: shutil.rmtree(root.parent / "remote" / "files"),
    "on a remote that cannot be asked": lambda root: shutil.rmtree(root.parent / "remote"),
    "without a remote": without_remote,
    "in Git (`cache: false`)": lambda root: shutil.rmtree(root / ".dvc" / "cache"),
    "in neither Git nor DVC": untrack,
}
SAID = {
    "not on the remote": "not on the remote: out.txt",
    "on a remote that cannot be asked": "out.txt: ",
    "without a remote": "no DVC remote is configured",
    "in neither Git nor DVC": "kept nowhere: m.json",
}


@pytest.mark.parametrize("place", ARTIFACTS)
def test_where_an_artifact_is_decides_what_check_says(root: Path, place: str) -> None:
    outcome, ends = ARTIFACTS[place]
    PLACES[place](root)
    code, checked = verb(root, "check", call=lambda context: check.run(context, ("pushed",)))
    assert (checked["outcome"], code) == (outcome, int(ends))
    assert SAID.get(place, "") in checked["reason"]
    assert not checked["reason"].startswith("not known")  # the outcome says that
    if place == "in neither Git nor DVC":
        assert checked["remedy"].startswith("git add --force m.json")
        assert checked["findings"][0]["problem"] == "neither in Git (which ignores it) nor on the remote"


def test_an_output_that_is_meant_to_be_kept_nowhere_is_left_out_and_named(root: Path) -> None:
    untrack(root)
    edit(root, "{cache: false}", "{cache: false, push: false}")
    code, checked = verb(root, "check", call=lambda context: check.run(context, ("pushed",)))
    assert (code, checked["findings"]) == (0, [])
    assert ["m.json", "push: false"] in checked["left_out"]


def test_a_remembered_plan_does_not_hold_when_a_file_outside_changed(root: Path) -> None:
    time.sleep(0.1)  # so that later changes differ from what was just copied
    verb(root, "plan")
    assert list((root / ".mlbutler" / "state" / "plan").iterdir())
    (root.parent / "beside.txt").write_text("changed\n")
    _, planned = verb(root, "plan")
    assert planned["stages"][0]["state"] == "stale"


def test_a_leftover_in_the_lock_is_a_note_and_the_plan_is_remembered_all_the_same(root: Path) -> None:
    lock = (root / "dvc.lock").read_text()
    entry = lock[lock.index("  make:") :].replace("  make:", "  made:")
    (root / "dvc.lock").write_text(lock.rstrip("\n") + "\n" + entry)
    time.sleep(0.1)
    for _ in range(2):
        code, checked = verb(root, "check", call=lambda context: check.run(context, ("lock",)))
        assert (code, checked["findings"]) == (0, [])
        (note,) = checked["notes"]
        assert note.startswith("dvc.lock keeps what no dvc.yaml declares any more")
        assert list((root / ".mlbutler" / "state" / "plan").iterdir())
