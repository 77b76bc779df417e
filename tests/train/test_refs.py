"""Experiments in Git refs: each kept once, and no change of one is lost."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlbutler.errors import ProjectError
from mlbutler.git import Git
from mlbutler.train.experiment import VERSION, Experiment, StageNote, State, dumps, identity, loads
from mlbutler.train.refs import PREFIX, Experiments
from tests.conftest import GitCommand


@pytest.fixture
def repository(tmp_path: Path, git: GitCommand) -> Path:
    git(tmp_path, "init", "-q")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "first")
    return tmp_path


def an_experiment(root: Path, name: str = "one", **more: object) -> Experiment:
    head = Git(root).head()
    experiment = Experiment(id=identity(head, name, ()), name=name, grid=name, baseline=head, input=head)
    return experiment.with_(**more)


def test_the_same_point_is_kept_once_whoever_is_first(repository: Path) -> None:
    experiments = Experiments(Git(repository))
    wanted = [an_experiment(repository, attempt=number) for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(experiments.create, wanted))
    assert done.count(True) == 1
    kept = experiments.read(wanted[0].id)
    assert kept is not None
    assert kept.experiment == wanted[done.index(True)]


def test_no_change_is_lost_when_many_change_one(repository: Path) -> None:
    experiments = Experiments(Git(repository))
    one = an_experiment(repository)
    experiments.create(one)

    def count(_: int) -> None:
        experiments.change(one.id, lambda now: now.with_(attempt=now.attempt + 1))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(count, range(12)))
    kept = experiments.read(one.id)
    assert kept is not None
    assert kept.experiment.attempt == 12


def test_who_read_an_old_state_is_refused(repository: Path) -> None:
    experiments = Experiments(Git(repository))
    one = an_experiment(repository)
    experiments.create(one)
    old = experiments.read(one.id)
    assert old is not None
    assert experiments.replace(old, one.with_(state=State.RUNNING)) is not None
    assert experiments.replace(old, one.with_(state=State.CANCELLED)) is None
    assert not experiments.remove(old)
    now = experiments.read(one.id)
    assert now is not None
    assert now.experiment.state is State.RUNNING
    assert experiments.remove(now)
    assert experiments.all() == ()
    assert experiments.change(one.id, lambda experiment: experiment) is None


def test_a_log_stays_until_there_is_another(repository: Path) -> None:
    experiments = Experiments(Git(repository))
    one = an_experiment(repository)
    experiments.create(one)
    first = experiments.change(one.id, lambda now: now.with_(state=State.FAILED), b"all of it\n")
    assert first is not None
    assert experiments.log(first) == b"all of it\n"
    later = experiments.change(one.id, lambda now: now.with_(reason="because"))
    assert later is not None
    assert experiments.log(later) == b"all of it\n"


def test_git_keeps_what_is_run_though_no_branch_does(repository: Path, git: GitCommand) -> None:
    tree = git(repository, "rev-parse", "HEAD^{tree}")
    input_ = git(repository, "commit-tree", tree, "-m", "of no branch")
    Experiments(Git(repository)).create(an_experiment(repository, input=input_))
    git(repository, "gc", "-q", "--prune=now")
    assert git(repository, "cat-file", "-t", input_) == "commit"


def test_all_are_listed_in_their_order(repository: Path) -> None:
    experiments = Experiments(Git(repository))
    for number, name in enumerate(("c", "a", "b")):
        experiments.create(an_experiment(repository, name, submitted=5.0, number=number))
    experiments.create(an_experiment(repository, "earlier", submitted=4.0))
    assert [kept.experiment.name for kept in experiments.all()] == ["earlier", "c", "a", "b"]


def test_a_state_of_another_version_is_an_error_with_a_remedy(repository: Path) -> None:
    content = dumps(an_experiment(repository)).replace(f'"version": {VERSION}'.encode(), b'"version": 99')
    with pytest.raises(ProjectError, match="another version") as error:
        loads(content)
    assert PREFIX.rstrip("/") in error.value.remedy


def test_what_a_later_version_adds_is_passed_over_and_what_an_earlier_one_did_not_know_is_missing(
    repository: Path,
) -> None:
    content = json.loads(dumps(an_experiment(repository)))
    del content["metrics"]
    assert loads(json.dumps(content | {"color": "red"}).encode()) == an_experiment(repository)


texts = st.text(max_size=20)


@given(
    state=st.sampled_from(State),
    overrides=st.lists(texts, max_size=3),
    reason=texts,
    stages=st.lists(st.builds(StageNote, name=texts, outcome=texts, seconds=st.floats(0, 1e6)), max_size=3),
    ended=st.none() | st.floats(0, 1e10),
)
def test_what_is_written_is_read_again(
    state: State, overrides: list[str], reason: str, stages: list[StageNote], ended: float | None
) -> None:
    experiment = Experiment(
        id="1" * 40, name="n", grid="g", baseline="a" * 40, input="b" * 40, state=state, overrides=tuple(overrides),
        reason=reason, stages=tuple(stages), ended=ended,
    )  # fmt: skip
    assert loads(dumps(experiment)) == experiment
