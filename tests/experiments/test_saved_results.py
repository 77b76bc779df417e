"""Results are saved once, under a name that is theirs, and brought back without losing what lies there."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlbutler.errors import GitError, PathRefused, UnsavedWork
from mlbutler.experiments import saved_results as results
from mlbutler.experiments.applying import apply_results
from mlbutler.experiments.experiment import Experiment, experiment_id
from mlbutler.git import Done, Git
from mlbutler.project.model import Output, Stage, Stages
from tests.conftest import GitCommand

STAGES = Stages((Stage("train", "dvc.yaml", "x", outputs=(Output("out.json", None, cached=False),)),))


class Saved:
    """A repository, a clone in which an experiment has run, and the experiment."""

    def __init__(self, folder: Path, git: GitCommand) -> None:
        self.git, self.root, self.clone = git, folder / "main", folder / "clone"
        self.root.mkdir()
        git(self.root, "init", "-q")
        for name in ("code.py", "old.txt"):
            (self.root / name).write_text(f"{name}\n")
        git(self.root, "add", "-A")
        git(self.root, "commit", "-qm", "first")
        head = Git(self.root).head()
        self.experiment = Experiment(id=experiment_id(head, "", ()), name="one", grid="one", baseline=head, input=head)
        git(folder, "clone", "-q", "--shared", str(self.root), str(self.clone))
        (self.clone / "code.py").write_text("changed\n")
        (self.clone / "old.txt").unlink()
        (self.clone / "out.json").write_text("{}\n")
        (self.clone / ".gitignore").write_text("*.json\n")
        (self.clone / "left.txt").write_text("of no stage\n")

    def save(self) -> str:
        return results.save_results(Git(self.root), self.experiment, self.clone, STAGES)


@pytest.fixture
def made(tmp_path: Path, git: GitCommand) -> Saved:
    return Saved(tmp_path, git)


def test_what_stages_made_and_changed_is_in_it_and_nothing_else(made: Saved) -> None:
    commit = made.save()
    head = made.experiment.baseline
    changed = made.git(made.root, "diff", "--name-status", "--no-renames", head, commit).split()
    assert changed == ["M", "code.py", "D", "old.txt", "A", "out.json"]
    assert made.git(made.root, "rev-parse", made.experiment.ref, f"{commit}^").split() == [commit, head]
    made.git(made.root, "fsck", "--strict")


def test_saved_before_a_kill_it_is_not_saved_again(made: Saved) -> None:
    commit = made.save()
    (made.clone / "code.py").write_text("of another attempt\n")
    assert made.save() == commit


def test_a_name_that_another_experiment_took_meanwhile_is_not_overwritten(made: Saved) -> None:
    other = made.experiment.baseline
    made.git(made.root, "update-ref", made.experiment.ref, other)
    with pytest.raises(GitError, match="could not be saved as one") as error:
        made.save()
    assert made.git(made.root, "rev-parse", made.experiment.ref) == other
    kept = error.value.remedy.split()[3]
    assert made.git(made.root, "show", f"{kept}:out.json") == "{}"


def test_results_come_into_the_work_tree_and_the_index_stays(made: Saved) -> None:
    experiment = made.experiment.with_(result=made.save())
    index = (made.root / ".git" / "index").read_bytes()
    done = apply_results(Git(made.root), experiment)
    assert (done.written, done.removed) == (("code.py", "out.json"), ("old.txt",))
    assert (made.root / ".git" / "index").read_bytes() == index
    assert (made.root / "code.py").read_text() == "changed\n"
    assert apply_results(Git(made.root), experiment).written == ()


@pytest.mark.parametrize("name", ["code.py", "old.txt", "out.json"])
@pytest.mark.parametrize("kind", ["text", "link", "folder"])
def test_work_that_is_nowhere_else_is_not_overwritten(made: Saved, name: str, kind: str) -> None:
    experiment = made.experiment.with_(result=made.save())
    path = made.root / name
    path.unlink(missing_ok=True)
    if kind == "text":
        path.write_text("mine\n")
    elif kind == "link":
        path.symlink_to("elsewhere")
    else:
        path.mkdir()
    with pytest.raises(UnsavedWork, match=name) as error:
        apply_results(Git(made.root), experiment)
    assert error.value.paths == (name,)
    assert made.git(made.root, "status", "--porcelain").split()[1:] in ([name], [])
    assert path.is_symlink() is (kind == "link")


def test_results_of_another_experiment_may_be_replaced(made: Saved) -> None:
    first = made.experiment.with_(result=made.save())
    apply_results(Git(made.root), first)
    (made.clone / "code.py").write_text("better\n")
    second = made.experiment.with_(name="two", id="2" * 40)
    second = second.with_(result=results.save_results(Git(made.root), second, made.clone, STAGES))
    with pytest.raises(UnsavedWork):
        apply_results(Git(made.root), second)
    assert apply_results(Git(made.root), second, [first.result]).written == ("code.py",)


def test_a_file_that_was_deleted_here_is_not_brought_back(made: Saved) -> None:
    experiment = made.experiment.with_(result=made.save())
    (made.root / "code.py").unlink()
    with pytest.raises(UnsavedWork, match="code"):
        apply_results(Git(made.root), experiment)


def test_a_result_that_was_fetched_removes_nothing_outside_the_work_tree(made: Saved, git: GitCommand) -> None:
    precious = made.root.parent / "precious.txt"
    precious.write_text("mine\n")
    repository = Git(made.root)
    blob = repository.run("hash-object", "-w", "--stdin", input=b"mine\n").text
    outside = repository.run("mktree", input=f"100644 blob {blob}\tprecious.txt\n".encode()).text
    bad = repository.run("mktree", input=f"040000 tree {outside}\t..\n".encode()).text
    empty = repository.run("mktree", input=b"").text
    baseline, result = (git(made.root, "commit-tree", tree, "-m", "x") for tree in (bad, empty))
    with pytest.raises(PathRefused, match=r"\.\./precious.txt"):
        apply_results(repository, made.experiment.with_(baseline=baseline, input=baseline, result=result))
    assert precious.read_text() == "mine\n"


@pytest.mark.parametrize("refuses", [False, True])
def test_results_go_to_the_remote_and_to_a_branch_where_it_takes_no_such_refs(
    made: Saved, git: GitCommand, tmp_path: Path, refuses: bool
) -> None:
    bare = tmp_path / "bare.git"
    git(tmp_path, "clone", "-q", "--bare", str(made.root), str(bare))
    git(made.clone, "remote", "set-url", "origin", str(bare))
    if refuses:
        hook = bare / "hooks" / "update"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text("#!/bin/sh\ncase $1 in refs/exps/*) exit 1 ;; esac\n")
        hook.chmod(0o755)
    clone = Git(made.clone)
    commit, ref = results.send_results(clone, "origin", made.experiment, STAGES)
    assert ref == ("refs/heads/exp/one" if refuses else made.experiment.ref)
    assert git(bare, "rev-parse", ref, f"{ref}^").split() == [commit, made.experiment.input]
    assert results.send_results(clone, "origin", made.experiment, STAGES) == (commit, ref), (
        "what was sent before counts"
    )
    git(made.clone, "remote", "set-url", "origin", str(tmp_path / "nowhere"))
    with pytest.raises(GitError):
        results.send_results(clone, "origin", made.experiment, STAGES)


def test_a_ref_that_another_experiment_took_meanwhile_is_left_as_it_is(
    made: Saved, git: GitCommand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = tmp_path / "bare.git"
    git(tmp_path, "clone", "-q", "--bare", str(made.root), str(bare))
    git(made.clone, "remote", "set-url", "origin", str(bare))
    push = Git.push

    def push_after_another(self: Git, *args: str, **more: str) -> Done:
        # The results stand on the experiment's input: a push without what is expected would go forward from it.
        git(bare, "update-ref", made.experiment.ref, made.experiment.input)
        return push(self, *args, **more)

    monkeypatch.setattr(Git, "push", push_after_another)
    commit, ref = results.send_results(Git(made.clone), "origin", made.experiment, STAGES)
    assert (ref, git(bare, "rev-parse", ref)) == ("refs/heads/exp/one", commit)
    assert git(bare, "rev-parse", made.experiment.ref) == made.experiment.input


def test_nothing_is_written_through_a_link_that_took_a_folders_place(made: Saved) -> None:
    (made.root / "folder").mkdir()
    (made.root / "folder" / "out.txt").write_text("old\n")
    made.git(made.root, "add", "-A")
    made.git(made.root, "commit", "-qm", "second")
    baseline = Git(made.root).head()
    (made.root / "folder" / "out.txt").write_text("new\n")
    made.git(made.root, "commit", "-qam", "third")
    experiment = made.experiment.with_(baseline=baseline, input=baseline, result=Git(made.root).head())
    made.git(made.root, "reset", "-q", "--hard", baseline)
    (made.root / "folder").rename(made.root.parent / "away")
    (made.root / "folder").symlink_to("../away")
    with pytest.raises(PathRefused, match="folder is a symbolic link; "):
        apply_results(Git(made.root), experiment)
    assert (made.root.parent / "away" / "out.txt").read_text() == "old\n"
