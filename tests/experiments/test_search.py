"""A search comes near the best point, runs no point twice, and goes on wherever somebody looks at its experiments."""

from __future__ import annotations

import dataclasses
import math
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from mlbutler.errors import UsageError
from mlbutler.experiments.capture import capture_work_tree
from mlbutler.experiments.choices import JENKINS
from mlbutler.experiments.experiment import Experiment, Measure, Search
from mlbutler.experiments.notices import end_notice
from mlbutler.experiments.ranking import best_first
from mlbutler.experiments.refs import Experiments
from mlbutler.experiments.scheduling import close_search, has_more_trials, trials_of
from mlbutler.experiments.search import TrialCreator
from mlbutler.experiments.search_submission import resolve_search
from mlbutler.experiments.state import State
from mlbutler.experiments.study import Study
from mlbutler.experiments.submission import ExperimentOptions, Fate, find_existing
from mlbutler.experiments.train_folder import TrainFolder
from mlbutler.git import Git
from mlbutler.project.search_space import read_space
from mlbutler.settings import Gate
from tests.conftest import GitCommand
from tests.experiments.agents import Agent, now, open_shared, send
from tests.experiments.conftest import Laptop

RANGES = ("lr=tag(log,interval(1e-5,1e-1))", "depth=int(interval(1,8))")


@dataclass
class Desk:
    """A repository with parameters, and experiments whose ends a test decides."""

    root: Path

    @property
    def git(self) -> Git:
        return Git(self.root)

    @property
    def experiments(self) -> Experiments:
        return Experiments(self.git)

    def send(self, *params: str, name: str = "s", number: int = 20, jobs: int = 1, **fields: object) -> Experiment:
        """Ask for a search as the verb does, and keep its first trial; return what it gave."""
        options = ExperimentOptions(
            name=name, params=params or RANGES, jobs=jobs,
            search=Search(metric="loss", goal="minimize", trials=number, params=params or RANGES, base=""),
        )  # fmt: skip
        found = find_existing(self.git, self.experiments.all())
        (one,) = resolve_search(self.git, found, TrainFolder(self.root), capture_work_tree(self.git, []), "", options)
        if one.fate is Fate.NEW:
            assert self.experiments.create(one.experiment.with_(**fields))
        return one.experiment

    def grow(self, name: str = "s", wanted: tuple[Search, int] | None = None) -> list[Experiment]:
        return TrialCreator(self.git, self.experiments).create(name, wanted)

    def trials(self, name: str = "s") -> list[Experiment]:
        return trials_of((kept.experiment for kept in self.experiments.all()), name)

    def end(self, one: Experiment, state: State = State.DONE, loss: float | None = None) -> None:
        metrics = () if loss is None else (Measure(file="m.json", name="loss", value=loss),)
        self.experiments.change(one.id, lambda now: now.with_(state=state, metrics=metrics, ended=time.time()))

    def play(self, loss: Callable[[Experiment], float | None], name: str = "s") -> list[Experiment]:
        """Run a search to its end, each trial as soon as it is there; None is a failure. Return its trials."""
        while waiting := [one for one in self.trials(name) if one.state is State.WAITING]:
            for one in waiting:
                found = loss(one)
                self.end(one, State.FAILED if found is None else State.DONE, found)
            self.grow(name)
        return self.trials(name)


@pytest.fixture
def desk(tmp_path: Path, git: GitCommand) -> Desk:
    git(tmp_path, "init", "-q")
    (tmp_path / "params.yaml").write_text("lr: 0.5  # to be found\ndepth: 1\nkind: x\n")
    git(tmp_path, "add", "params.yaml")
    git(tmp_path, "commit", "-qm", "first")
    return Desk(tmp_path)


def of(one: Experiment) -> dict[str, str]:
    return dict(text.split("=") for text in one.overrides)


def bowl(one: Experiment) -> float:
    """Be least at a rate of 0.001 and a depth of 5."""
    given = of(one)
    return (math.log10(float(given["lr"])) + 3) ** 2 + (int(given["depth"]) - 5) ** 2 / 4


@pytest.mark.parametrize("failing", [False, True])
def test_what_is_proposed_comes_near_the_least_point_and_is_the_same_wherever_it_is_asked(failing: bool) -> None:
    search = Search(metric="loss", goal="minimize", trials=30, params=RANGES, base="")
    blank = Experiment(id="", name="s", grid="s", baseline="", input="", search=search, state=State.DONE)

    def search_points() -> list[Experiment]:
        there: list[Experiment] = []
        for number in range(30):
            study = Study(read_space(RANGES), search, f"s {number}")  # asked again each time: nothing is kept of it
            for one in there:
                study.remember(one)
            one = blank.with_(overrides=next(study.points()))
            ended = {"metrics": (Measure(file="m.json", name="loss", value=bowl(one)),)}
            if failing and int(of(one)["depth"]) > 6:
                ended = {"state": State.FAILED}  # type: ignore[dict-item]
            there.append(one.with_(**ended))
        return there

    first = search_points()
    assert bowl(best_first(first, "loss", ())[0]) < 0.2
    assert sum(map(bowl, first[-10:])) < sum(map(bowl, first[:10])), "what was found guides it"
    assert any(one.state is State.FAILED for one in first) is failing
    if not failing:
        assert [one.overrides for one in search_points()] == [one.overrides for one in first]


def test_each_trial_is_an_experiment_of_its_own(desk: Desk) -> None:
    desk.send(number=4)
    found = desk.play(bowl)
    assert [one.name for one in found] == [f"s-{number}" for number in range(1, 5)]
    assert len({one.overrides for one in found}) == 4
    content = desk.git.show(found[-1].input, "params.yaml")
    assert content is not None
    assert f"lr: {of(found[-1])['lr']}".encode() in content
    assert b"# to be found" in content
    assert desk.grow() == []


def test_failed_points_are_told_and_the_search_goes_on_until_too_many_are(desk: Desk) -> None:
    desk.send(number=4)
    assert [one.state for one in desk.play(lambda one: None)] == [State.FAILED] * 4
    desk.send("lr=interval(0,1)", name="few", number=6, max_failures=2)
    found = desk.play(lambda one: None if one.number > 1 else 1.0, "few")
    assert [one.state for one in found] == [State.DONE, State.FAILED, State.FAILED]
    assert not has_more_trials(found)


def test_a_space_with_an_end_is_gone_through_once(desk: Desk) -> None:
    first = desk.send("kind=x,y,z", "lr=0.25,0.5", number=50)
    assert first.search is not None
    assert first.search.trials == 6
    found = desk.play(lambda one: float(of(one)["lr"]))
    assert len({frozenset(one.overrides) for one in found}) == len(found) == 6


def test_what_was_run_elsewhere_is_known_and_not_run_again(desk: Desk) -> None:
    desk.send("kind=x,y,z", name="before", number=3)
    desk.play(lambda one: 1.0, "before")
    found = desk.send("kind=x,y,z,a,b", name="after", number=50)
    assert found.number == 1
    assert {of(one)["kind"] for one in desk.play(lambda one: 1.0, "after")} == {"a", "b"}
    with pytest.raises(UsageError, match="was run already"):
        desk.send("kind=a,b", name="again")


def test_two_that_end_at_once_make_no_trial_twice_and_none_too_many(desk: Desk) -> None:
    desk.send(number=7, jobs=3)
    desk.grow()
    assert len(desk.trials()) == 3
    while waiting := [one for one in desk.trials() if one.state is State.WAITING]:
        begin = threading.Barrier(len(waiting))
        found: list[Experiment] = []

        def work(one: Experiment, begin: threading.Barrier = begin, found: list[Experiment] = found) -> None:
            desk.end(one, State.DONE, bowl(one))
            begin.wait()
            found.extend(desk.grow())

        threads = [threading.Thread(target=work, args=(one,)) for one in waiting]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        there = [one for one in desk.trials() if one.state is State.WAITING]
        assert len(found) == len(there) <= 3
    assert [one.name for one in desk.trials()] == [f"s-{number}" for number in range(1, 8)]


def test_a_trial_that_was_noted_and_not_created_is_created_by_the_next_who_looks(desk: Desk) -> None:
    first = desk.send(number=3)
    desk.end(first, State.DONE, 1.0)
    desk.experiments.change(first.id, lambda now: now.with_(proposed=("lr=0.01", "depth=3")))
    (new,) = desk.grow()
    assert (new.number, new.overrides) == (2, ("lr=0.01", "depth=3"))


def test_a_point_that_somebody_else_sent_meanwhile_is_not_the_search_s(desk: Desk) -> None:
    first = desk.send("kind=x,y", number=2)
    other = "y" if of(first)["kind"] == "x" else "x"
    desk.end(first, State.DONE, 1.0)
    desk.experiments.change(first.id, lambda now: now.with_(proposed=(f"kind={other}",)))
    made = desk.send(f"kind={other},{other}", name="mine", number=1)
    assert made.overrides == (f"kind={other}",)
    assert desk.grow() == []
    assert [one.name for one in desk.trials()] == ["s-1"]
    assert not has_more_trials(desk.trials()), "there is no other point"


def test_a_search_that_was_ended_makes_no_further_trial_and_goes_on_when_it_is_sent_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = desk.send(number=5)
    desk.end(first, State.DONE, 1.0)
    real = Experiments.create

    def create(self: Experiments, experiment: Experiment) -> bool:
        desk.experiments.change(first.id, close_search)  # somebody cancels at the very moment
        return real(self, experiment)

    with monkeypatch.context() as patch:
        patch.setattr(Experiments, "create", create)
        assert desk.grow() == []
    assert [one.number for one in desk.trials()] == [1]
    again = desk.send(number=4)
    assert again.id == first.id
    assert again.search is not None
    assert [one.number for one in desk.grow("s", (again.search, 2))] == [2, 3]
    assert len(desk.play(bowl)) == 4


def test_another_search_of_this_name_is_refused(desk: Desk) -> None:
    desk.send(number=2)
    for params in (("lr=interval(0,1)",), (*RANGES, "kind=y")):
        with pytest.raises(UsageError, match="another one"):
            desk.send(*params)
    (desk.root / "params.yaml").write_text("lr: 0.25\ndepth: 2\nkind: x\n")
    with pytest.raises(UsageError, match="another one"):
        desk.send()
    desk.send(name="other")


def test_people_hear_of_the_end_of_the_search_and_not_of_each_trial(desk: Desk) -> None:
    desk.send(number=2)
    gates = [Gate(metric="loss", max=9)]
    (first,) = desk.trials()
    desk.end(first, State.DONE, 2.0)
    assert end_notice(desk.trials()[0], desk.trials(), gates) is None
    desk.grow()
    found = desk.play(lambda one: 1.0)
    notice = end_notice(found[-1], found, gates)
    assert notice is not None
    assert "2 done" in notice.sentence


def test_without_optuna_nothing_is_sent_and_how_to_get_it_is_said(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(UsageError, match="needs Optuna") as error:
        desk.send()
    assert "optuna" in error.value.remedy
    assert not desk.trials()


def test_a_search_on_this_machine_is_sent_goes_on_alone_and_can_be_asked_for_again(laptop: Laptop) -> None:
    words = ("-n", "s", "-S", "train.rate=0.02,0.04,0.5", "--search", "accuracy")
    said = laptop.train(*words, "--dry-run")
    assert "3 trials, of 3 points, to maximize accuracy" in said
    assert "train.rate: 0.02, 0.04, 0.5" in said
    assert "nothing was" in said
    laptop.train(*words, "-j", "2")
    laptop.train("wait", "s", code=1)
    assert sorted(laptop.runs()) == ["0.02", "0.04", "0.5"]
    said = laptop.train("list", "s")
    assert "trial 3 of 3 to maximize accuracy; 2 done, 1 failed; best: s-" in said
    assert "accuracy 0.94" in said
    assert "trial 1 of 3" in laptop.train("show", "s-1")
    assert "Nothing to run" in laptop.train(*words)


def test_a_search_is_cancelled_as_a_whole_and_taken_up_again_by_who_waits(laptop: Laptop) -> None:
    words = ("-n", "s", "-S", "train.rate=int(interval(1,9))", "--search", "accuracy:max", "--trials", "2")
    laptop.train(*words)
    laptop.until(lambda: len(laptop.runs()) == 1)
    assert "The search s ends after 1 trials" in laptop.train("cancel", "s")
    assert list(laptop.list_experiments()) == ["s-1"]
    (laptop.places / "go").touch()
    experiments = Experiments(Git(laptop.root))
    (kept,) = experiments.all()
    search = kept.experiment.search
    assert search is not None
    assert search.trials == 1
    # As a build leaves it that ends without Optuna.
    experiments.change(kept.experiment.id, lambda now: now.with_(search=dataclasses.replace(search, trials=2)))
    assert "`mlbutler train wait s` continues it" in laptop.train("list")
    laptop.train("wait", "s", code=130)
    assert {name: one["state"] for name, one in laptop.list_experiments().items()} == {
        "s-1": "cancelled",
        "s-2": "done",
    }


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--search", "accuracy"), "nothing to search"), (("-S", "train.rate=0.1,0.2", "--trials", "3"), "--search"),
        (("-S", "train.rate=0.1,0.2", "--search", "nothing:max"), "Name one of: accuracy"),
        (("-S", "train.rate=0.1,0.2", "--search", "nothing"), "nothing:max, or"),
        (("-S", "train.rate=interval(0,1)"), "--search METRIC"),
        (("--queue", "--search", "accuracy"), "--queue sends"),
    ],
)  # fmt: skip
def test_what_cannot_be_searched_is_refused_with_a_way_out(laptop: Laptop, words: tuple[str, ...], said: str) -> None:
    assert said in laptop.train(*words, code=2)
    assert not laptop.list_experiments()


def test_each_build_that_ends_names_the_next_trial(laptop: Laptop, tmp_path: Path) -> None:
    search = Search(
        metric="accuracy",
        goal="maximize",
        trials=3,
        params=("train.rate=0.02,0.03,0.04",),
        base=laptop.git("rev-parse", "HEAD"),
    )
    (first,) = send(laptop, "train.rate=0.02", name="s-1", grid="s", number=1, search=search)
    agent = Agent(laptop, first)
    assert agent.call("next").out.split() == [first.id]
    done = Measure(file="metrics.json", name="accuracy", value=0.9)
    open_shared(laptop).change(
        first.id, lambda now: now.with_(state=State.DONE, metrics=(done,), ended=1.0, asked=None)
    )
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "optuna.py").write_text("raise ImportError('not here')\n")
    missing = agent.call("next", environ={"PYTHONPATH": str(hidden)})
    assert missing.out == ""
    assert "needs Optuna" in missing.err
    assert "`mlbutler train wait s`" in missing.err
    (line,) = agent.call("next").out.splitlines()
    second = next(kept.experiment for kept in open_shared(laptop).survey()[0] if kept.experiment.number == 2)
    assert (line, second.name, second.engine) == (second.id, "s-2", JENKINS)
    assert now(laptop, second).asked is not None
    other = Agent(laptop, second, build=2)
    assert f"rate: {second.overrides[0].partition('=')[2]}" in (other.root / "params.yaml").read_text()
