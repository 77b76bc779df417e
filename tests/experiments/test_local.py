"""Who is lost, and what becomes of it, without any process."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlbutler.experiments.experiment import Experiment, experiment_id
from mlbutler.experiments.local import LocalEngine, host_name
from mlbutler.experiments.refs import Experiments
from mlbutler.experiments.state import ENDED, UNDER_WAY, State
from mlbutler.experiments.train_folder import TrainFolder
from mlbutler.git import Git
from tests.conftest import GitCommand


class Bench:
    """An engine over an empty repository, and experiments as a kill left them."""

    def __init__(self, root: Path) -> None:
        self.place, self.experiments = TrainFolder(root), Experiments(Git(root))
        self.place.prepare()
        self.engine = LocalEngine(self.experiments, self.place)
        self._head = Git(root).head()

    def leave(self, state: State, **more: object) -> Experiment:
        experiment = Experiment(
            id=experiment_id(self._head, "", (str(state),)), name="one", grid="one", baseline=self._head,
            input=self._head, targets=(str(state),), state=state, host=host_name(), place=str(self.place.root),
            attempt=1,
        ).with_(**more)  # fmt: skip
        self.place.mark_sent(experiment.id)
        self.experiments.create(experiment)
        return experiment

    def now(self, experiment: Experiment) -> Experiment:
        kept = self.experiments.read(experiment.id)
        assert kept is not None
        return kept.experiment


@pytest.fixture
def bench(tmp_path: Path, git: GitCommand) -> Bench:
    git(tmp_path, "init", "-q")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "first")
    return Bench(tmp_path)


@pytest.mark.parametrize("state", UNDER_WAY)
def test_what_nobody_works_at_is_lost_and_waits_again(bench: Bench, state: State) -> None:
    experiment = bench.leave(state)
    assert bench.engine.effective_state(experiment) is State.LOST
    assert bench.engine.is_idle()
    bench.engine.recover()
    assert bench.now(experiment).state is State.WAITING
    assert "attempt 1 was lost" in bench.now(experiment).reason


@pytest.mark.parametrize("state", UNDER_WAY)
def test_what_somebody_works_at_is_left_alone(bench: Bench, state: State) -> None:
    experiment = bench.leave(state)
    with bench.place.lock(experiment.id):
        assert bench.engine.effective_state(experiment) is state
        bench.engine.recover()
        assert bench.now(experiment) == experiment


def test_nothing_is_known_of_another_machine(bench: Bench) -> None:
    experiment = bench.leave(State.RUNNING, host="elsewhere")
    assert bench.engine.effective_state(experiment) is State.RUNNING
    bench.engine.recover()
    assert bench.now(experiment) == experiment
    assert not bench.engine.is_idle()


def test_what_was_to_be_cancelled_is_cancelled(bench: Bench) -> None:
    experiment = bench.leave(State.RUNNING, cancel=3.0)
    bench.engine.recover()
    assert bench.now(experiment).state is State.CANCELLED


def test_what_is_lost_again_and_again_is_given_up(bench: Bench) -> None:
    experiment = bench.leave(State.RUNNING, attempt=3)
    bench.place.log_file(experiment.id).write_text("its last words\n")
    bench.engine.recover()
    now = bench.now(experiment)
    assert now.state is State.NOT_SET_UP
    assert now.reason.startswith("lost 3 times")
    assert "submit it again" in now.remedy
    kept = bench.experiments.read(now.id)
    assert kept is not None
    assert bench.experiments.log(kept) == b"its last words\n"


@pytest.mark.parametrize("state", ENDED)
def test_what_is_not_under_way_cannot_be_lost(bench: Bench, state: State) -> None:
    experiment = bench.leave(state)
    bench.engine.recover()
    assert bench.now(experiment) == experiment


@pytest.mark.parametrize("state", [State.WAITING, State.RUNNING])
def test_what_was_fetched_and_says_that_it_is_from_here_is_never_run(bench: Bench, state: State) -> None:
    experiment = bench.leave(state)
    (bench.place.path / f"{experiment.id}.sent").unlink()
    assert bench.engine.own_experiments() == []
    bench.engine.recover()
    assert bench.now(experiment) == experiment


def test_a_place_that_was_fetched_is_not_written_to(bench: Bench, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / ".mlbutler" / "train").mkdir(parents=True)
    experiment = bench.leave(State.RUNNING, place=str(elsewhere))
    (elsewhere / ".mlbutler" / "train" / f"{experiment.id}.lock").touch()
    assert bench.engine.effective_state(experiment) is State.LOST
    assert not (elsewhere / ".mlbutler" / ".gitignore").exists()
    assert bench.engine.effective_state(experiment.with_(place="/" + "x" * 5000)) is State.LOST
