"""What `mlbutler train rm` says it removed is gone, and nothing else is."""

from __future__ import annotations

import time
from pathlib import Path

import click
import pytest

from mlbutler.commands.train.remove import remove
from mlbutler.console import Console
from mlbutler.errors import EXIT_OUTSIDE, EXIT_PASSED, UsageError
from mlbutler.experiments.experiment import Experiment, dump_experiment, experiment_id
from mlbutler.experiments.refs import AUTHOR, PREFIX, Experiments, StoredExperiment
from mlbutler.experiments.state import State
from mlbutler.git import Git
from tests.conftest import GitCommand


@pytest.fixture
def root(tmp_path: Path, git: GitCommand, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("mlbutler.commands.train.opening.in_ci", lambda _: False)
    folder = tmp_path / "project"
    (folder / ".dvc").mkdir(parents=True)
    (folder / ".dvc" / "config").touch()
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "first")
    return folder


def ended_experiment(root: Path) -> Experiment:
    head = Git(root).head()
    return Experiment(
        id=experiment_id(head, "", ()), name="one", grid="one", baseline=head, input=head, state=State.DONE
    )


def test_a_ref_that_was_fetched_removes_nothing_outside(root: Path) -> None:
    precious = root.parent / "precious"
    precious.mkdir()
    (precious / "file").touch()
    git = Git(root)
    blob = git.run(
        "hash-object", "-w", "--stdin", input=dump_experiment(ended_experiment(root).with_(id="../../../precious"))
    ).text
    tree = git.run("mktree", input=f"100644 blob {blob}\tstate.json\n".encode()).text
    commit = git.run("commit-tree", tree, "-m", "x", extra=AUTHOR).text
    git.run("update-ref", f"{PREFIX}{'1' * 40}", commit)
    with pytest.raises(UsageError, match="There is no experiment 'one'"):
        remove(root, Console(), ["one"], yes=False)
    assert (precious / "file").exists()


def test_what_was_changed_meanwhile_is_not_removed(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    experiments, one = Experiments(Git(root)), ended_experiment(root)
    experiments.create(one)
    message = f"Results\n\nMlbutler-Train: {one.id}"
    commit = Git(root).run("commit-tree", "HEAD^{tree}", "-p", one.input, "-m", message, extra=AUTHOR).text
    Git(root).run("update-ref", one.ref, commit)
    place = root / ".mlbutler" / "train"
    place.mkdir(parents=True)
    (place / f"{one.id}.log").touch()
    removing = Experiments.remove

    def late(self: Experiments, kept: StoredExperiment) -> bool:
        self.change(kept.experiment.id, lambda now: now.with_(state=State.WAITING))
        return removing(self, kept)

    with monkeypatch.context() as patched:
        patched.setattr(Experiments, "remove", late)
        assert remove(root, Console(), ["one"], yes=False) == EXIT_OUTSIDE
    said = capsys.readouterr()
    assert "one was not removed" in said.err
    assert "one removed" not in said.out
    assert Git(root).resolve(one.ref) == commit
    assert (place / f"{one.id}.log").exists()

    experiments.change(one.id, lambda now: now.with_(state=State.DONE))
    assert remove(root, Console(), ["one"], yes=False) == EXIT_PASSED
    assert Git(root).resolve(one.ref) is None
    assert experiments.all() == ()
    assert not (place / f"{one.id}.log").exists()


def create_aged(root: Path, name: str, state: State, days: float) -> Experiment:
    """An experiment that ended so many days ago."""
    git = Git(root)
    commit = git.run("commit-tree", "HEAD^{tree}", "-p", "HEAD", "-m", name, extra=AUTHOR).text
    one = Experiment(
        id=experiment_id(commit, "", ()), name=name, grid="lr", baseline=git.head(), input=commit, state=state,
        ended=time.time() - days * 86_400, number=int(name[-1]),
    )  # fmt: skip
    assert Experiments(git).create(one)
    return one


def test_the_old_ones_go_once_their_number_was_confirmed(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    create_aged(root, "lr-1", State.DONE, 40)
    create_aged(root, "lr-2", State.FAILED, 40)
    create_aged(root, "lr-3", State.DONE, 1)

    def names() -> list[str]:
        return [kept.experiment.name for kept in Experiments(Git(root)).all()]

    month = 30 * 86_400.0
    with pytest.raises(UsageError, match=r"2 experiments \(1 done, 1 failed\): lr-1, lr-2"):
        remove(root, Console(), [], yes=False, older_than=month)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda _: "n")
    with pytest.raises(click.Abort):
        remove(root, Console(), [], yes=False, older_than=month)
    assert len(names()) == 3
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda _: "y")
    assert remove(root, Console(), [], yes=False, older_than=month) == EXIT_PASSED
    assert names() == ["lr-3"]
    assert remove(root, Console(), ["lr"], yes=False, older_than=month) == EXIT_PASSED
    assert "There are no such experiments" in capsys.readouterr().out
    assert names() == ["lr-3"]
