"""Experiments on a Git remote: one truth for all laptops and agents, in any order, and whatever breaks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mlbutler.errors import GitError
from mlbutler.experiments.experiment import Experiment, experiment_id
from mlbutler.experiments.refs import PREFIX, Experiments
from mlbutler.experiments.shared import FETCHED, SharedExperiments
from mlbutler.experiments.state import State
from mlbutler.git import Done, Git
from mlbutler.git import address as git_address
from mlbutler.git.address import RemoteAccess
from mlbutler.git.repository import RefMove
from tests.conftest import GitCommand


class Remote:
    """A bare repository, and clones of it."""

    def __init__(self, folder: Path, git: GitCommand) -> None:
        self.folder, self.git, self.bare = folder, git, folder / "origin.git"
        git(folder, "init", "-q", "--bare", str(self.bare))
        first = self.clone("first")
        git(first, "commit", "-q", "--allow-empty", "-m", "first")
        git(first, "push", "-q", "origin", "HEAD")

    def clone(self, name: str) -> Path:
        self.git(self.folder, "clone", "-q", str(self.bare), name)
        return self.folder / name

    def laptop(self, name: str) -> SharedExperiments:
        return SharedExperiments(Git(self.clone(name)), "origin")

    def agent(self, name: str) -> SharedExperiments:
        """As in a build, where git talks to the remote from a repository of its own."""
        access = RemoteAccess(git_address.parse_git_address(str(self.bare)), fresh=False)
        return SharedExperiments(Git(self.clone(name)).reaching(access), "origin")

    def experiment(self, name: str = "one", **more: object) -> Experiment:
        head = self.git(self.bare, "rev-parse", "HEAD")
        made = Experiment(id="", name=name, grid=name, baseline=head, input=head, targets=(name,)).with_(**more)
        return made.with_(id=experiment_id(made.input, made.project, made.targets))

    def refs(self) -> list[str]:
        return self.git(self.bare, "for-each-ref", "--format=%(refname)", PREFIX).split()

    def hook(self, text: str) -> None:
        path = self.bare / "hooks" / "pre-receive"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)


@pytest.fixture
def remote(tmp_path: Path, git: GitCommand) -> Remote:
    return Remote(tmp_path, git)


Opened = Callable[[Remote, str], SharedExperiments]


@pytest.fixture(params=[Remote.laptop, Remote.agent], ids=["laptop", "agent"])
def open_side(request: pytest.FixtureRequest) -> Opened:
    made: Opened = request.param
    return made


def test_the_same_point_is_kept_once_whichever_laptop_is_first(remote: Remote) -> None:
    laptops = [remote.laptop(f"laptop-{number}") for number in range(4)]
    wanted = [remote.experiment(attempt=number) for number in range(4)]
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda pair: pair[0].create(pair[1]), zip(laptops, wanted, strict=True)))
    assert done.count(True) == 1
    for laptop in laptops:
        (kept,) = laptop.all()
        assert kept.experiment == wanted[done.index(True)]
        assert laptop.read(wanted[0].id) == kept
    assert remote.refs() == [PREFIX + wanted[0].id]


def test_no_change_is_lost_when_laptops_and_agents_change_one_at_once(remote: Remote) -> None:
    places = [remote.laptop("one"), remote.laptop("two"), remote.agent("three")]
    wanted = remote.experiment()
    assert places[0].create(wanted)

    def count(place: SharedExperiments) -> None:
        for _ in range(3):
            place.change(wanted.id, lambda now: now.with_(attempt=now.attempt + 1))

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(count, places))
    assert [kept.experiment.attempt for kept in remote.laptop("four").all()] == [9]


def test_who_read_an_old_state_is_refused_on_another_machine_too(remote: Remote, open_side: Opened) -> None:
    one, other, wanted = open_side(remote, "one"), open_side(remote, "other"), remote.experiment()
    one.create(wanted)
    old = other.read(wanted.id)
    assert old is not None
    assert one.change(wanted.id, lambda now: now.with_(state=State.RUNNING), b"its log\n") is not None
    assert other.replace(old, wanted.with_(state=State.CANCELLED)) is None
    assert not other.remove(old)
    now = other.read(wanted.id)
    assert now is not None
    assert now.experiment.state is State.RUNNING
    assert other.log(now) == b"its log\n"
    assert other.remove(now)
    assert one.read(wanted.id) is None
    assert one.change(wanted.id, lambda experiment: experiment) is None
    assert one.all() == other.all() == ()
    assert remote.refs() == []


def test_what_is_run_travels_with_its_state(remote: Remote, open_side: Opened, git: GitCommand) -> None:
    sender = remote.clone("sender")
    input_ = git(sender, "commit-tree", "HEAD^{tree}", "-p", "HEAD", "-m", "of no branch")
    wanted = remote.experiment(input=input_)
    SharedExperiments(Git(sender), "origin").create(wanted)
    there = open_side(remote, "there")
    assert [kept.experiment for kept in there.all()] == [wanted]
    assert git(remote.folder / "there", "cat-file", "-t", input_) == "commit"


def test_of_several_that_are_sent_each_is_judged_alone_and_an_old_log_goes(remote: Remote, open_side: Opened) -> None:
    one, other = open_side(remote, "one"), open_side(remote, "other")
    wanted = [remote.experiment(name) for name in ("a", "b", "c")]
    assert one.keep_all([(wanted[0], None)]) == [True]
    failed = one.change(wanted[0].id, lambda now: now.with_(state=State.FAILED), b"diverged\n")
    assert failed is not None
    assert other.create(wanted[1])
    pairs = [(wanted[0], failed), (wanted[1], None), (wanted[2], None)]
    assert one.keep_all(pairs) == [True, False, True]
    found = one.all()
    assert sorted(kept.experiment.name for kept in found) == ["a", "b", "c"]
    assert [one.log(kept) for kept in found] == [None, None, None]


def test_what_is_fetched_takes_the_place_of_nothing_that_runs_here(remote: Remote) -> None:
    laptop, wanted = remote.laptop("one"), remote.experiment()
    here = Experiments(Git(remote.folder / "one"))
    here.create(wanted.with_(state=State.RUNNING))
    remote.laptop("other").create(wanted.with_(state=State.DONE))
    assert [kept.experiment.state for kept in laptop.all()] == [State.DONE]
    assert [kept.experiment.state for kept in here.all()] == [State.RUNNING]


def test_what_others_removed_is_gone_here(remote: Remote, open_side: Opened, git: GitCommand) -> None:
    one, wanted = open_side(remote, "one"), [remote.experiment(name, number=i) for i, name in enumerate("ab")]
    assert one.keep_all([(each, None) for each in wanted]) == [True, True]
    git(remote.bare, "update-ref", "-d", PREFIX + wanted[0].id)
    assert [kept.experiment.name for kept in one.survey_fetched()[0]] == ["a", "b"]
    assert [kept.experiment.name for kept in one.all()] == ["b"]
    assert [kept.experiment.name for kept in one.survey_fetched()[0]] == ["b"]
    git(remote.bare, "update-ref", "-d", PREFIX + wanted[1].id)
    assert one.read(wanted[1].id) is None
    assert one.survey_fetched() == ((), ())


@pytest.mark.parametrize("how", ["hook", "hidden"])
def test_a_remote_that_refuses_such_refs_is_an_error_with_a_way_out(
    remote: Remote, open_side: Opened, git: GitCommand, how: str
) -> None:
    if how == "hook":
        remote.hook("grep -q refs/mlbutler && exit 1; exit 0")
    else:
        git(remote.bare, "config", "receive.hideRefs", "refs/mlbutler")
    with pytest.raises(GitError, match="The Git remote 'origin' refuses refs/mlbutler/train/") as error:
        open_side(remote, "one").create(remote.experiment())
    assert "--on local" in error.value.remedy
    assert remote.refs() == []


def test_a_remote_that_does_not_answer_is_an_error_and_nothing_is_taken_for_gone(
    remote: Remote, open_side: Opened
) -> None:
    laptop, wanted = open_side(remote, "one"), remote.experiment()
    laptop.create(wanted)
    remote.bare.rename(remote.folder / "away")
    for look in (laptop.all, lambda: laptop.read(wanted.id), lambda: laptop.create(wanted)):
        with pytest.raises(GitError, match=r"git (fetch|ls-remote) failed"):
            look()
    assert [kept.experiment.name for kept in laptop.survey_fetched()[0]] == ["one"]


class Cut(Git):
    """A connection that breaks after the remote did what it was asked for, and before it could say so."""

    def move_refs(self, remote: str, moves: Sequence[RefMove]) -> tuple[Done, dict[str, str]]:
        super().move_refs(remote, moves)
        return Done(128, b"", "fatal: the remote end hung up unexpectedly"), {}


def test_a_change_whose_answer_was_lost_counts_once(remote: Remote) -> None:
    laptop, wanted = SharedExperiments(Cut(remote.clone("one")), "origin"), remote.experiment()
    assert laptop.create(wanted)
    changed = laptop.change(wanted.id, lambda now: now.with_(attempt=now.attempt + 1))
    assert changed is not None
    assert changed.experiment.attempt == 1
    assert [kept.experiment.attempt for kept in remote.laptop("two").all()] == [1]


def test_a_state_of_another_version_hides_none_of_the_others(remote: Remote, git: GitCommand) -> None:
    laptop, wanted = remote.laptop("one"), remote.experiment()
    laptop.create(wanted)
    git(remote.bare, "update-ref", PREFIX + "1" * 40, PREFIX + wanted.id)
    (kept,), (damaged,) = laptop.survey()
    assert kept.experiment == wanted
    assert "holds the state of another experiment" in damaged.problem
    assert f"git push origin :{PREFIX}{'1' * 40}" in damaged.remedy


def test_fetched_states_are_no_branches_and_no_remote_tracking_branches(remote: Remote, git: GitCommand) -> None:
    remote.laptop("one").create(remote.experiment())
    remote.laptop("two").all()
    found = git(remote.folder / "two", "for-each-ref", "--format=%(refname)").split()
    assert [ref for ref in found if "mlbutler" in ref] == [f"{FETCHED}origin/{remote.experiment().id}"]
