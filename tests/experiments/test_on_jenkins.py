"""Experiments as builds of a played controller: started once, told why they wait, lost, moved, cancelled, followed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mlbutler.errors import UsageError
from mlbutler.experiments.all_experiments import AllExperiments, Engines
from mlbutler.experiments.build_log import BuildLog
from mlbutler.experiments.cancelling import Cancelling
from mlbutler.experiments.choices import JENKINS
from mlbutler.experiments.experiment import Experiment
from mlbutler.experiments.local import LocalEngine
from mlbutler.experiments.on_jenkins import JenkinsEngine
from mlbutler.experiments.refs import Experiments, StoredExperiment
from mlbutler.experiments.shared import SharedExperiments
from mlbutler.experiments.state import State
from mlbutler.experiments.train_folder import TrainFolder
from mlbutler.git import Git
from mlbutler.jenkins.builds import Job
from mlbutler.jenkins.client import JenkinsClient
from tests.conftest import GitCommand
from tests.experiments.test_shared import Remote
from tests.jenkins.controller import Controller
from tests.jenkins.farm import Build, Farm


class Yard:
    """A Git remote, a controller with two agents, and a laptop.

    A build takes its experiment as the build side does, and goes on until the test lets it, or it is asked to stop.
    """

    def __init__(self, remote: Remote) -> None:
        self.remote, self.lock = remote, threading.Lock()
        self.go, self.broken = threading.Event(), threading.Event()
        self.farm = Farm({"one": ["gpu"], "two": ["gpu"]}, self.script)
        self.controller = Controller(password="pass word", token="t0ken")
        self.controller.farm = self.farm
        self.controller.serve()
        self.agent_side = remote.laptop("agent-side")
        self.laptop = remote.laptop("laptop")
        self.engine = self.engine_of(self.laptop)

    def engine_of(self, experiments: SharedExperiments, most_queued: int = 10) -> JenkinsEngine:
        client = JenkinsClient(self.controller.url, "somebody", "t0ken")
        return JenkinsEngine(experiments, Job(client, "team/train"), most_queued)

    def script(self, build: Build) -> str:
        if self.broken.is_set():
            return "FAILURE"
        with build.node(build.parameters["LABEL"]) as agent:
            begun = self.change(build, lambda now: now.with_(
                state=State.RUNNING, attempt=now.attempt + 1, build=build.url, agent=agent.name, started=time.time(),
            ) if now.state is State.WAITING else None)  # fmt: skip
            if begun is None:
                return "NOT_BUILT"
            build.say(f"training in attempt {begun.attempt}")
            stop = build.ask("Stop")
            while not self.go.is_set() and not stop.is_set():
                build._check()
                time.sleep(0.02)
            ended = State.CANCELLED if stop.is_set() else State.DONE
            said = f"asked to, within {build.answers['Stop']['GRACE']} s" if stop.is_set() else ""
            build.say("the last line")
            self.change(build, lambda now: now.with_(state=ended, reason=said, ended=time.time()), b"all of the log\n")
        return "SUCCESS"

    def change(
        self, build: Build, change: Callable[[Experiment], Experiment | None], log: bytes | None = None
    ) -> Experiment | None:
        done: list[Experiment] = []

        def note_change(now: Experiment) -> Experiment | None:
            done[:] = [new] if (new := change(now)) is not None else []
            return new

        with self.lock:
            self.agent_side.change(build.parameters["EXPERIMENT"], note_change, log)
        return done[0] if done else None

    def send(self, *names: str, **more: object) -> list[Experiment]:
        """Keep a grid of experiments."""
        wanted = [
            self.remote.experiment(name, grid="grid", number=number, engine=JENKINS, label="gpu", user="ada",
                                   submitted=time.time() - 1, **more)
            for number, name in enumerate(names, 1)
        ]  # fmt: skip
        assert all(self.laptop.keep_all([(one, None) for one in wanted]))
        return wanted

    def shown_states(self) -> dict[str, tuple[State, str]]:
        """Return how each is shown, and why it waits."""
        found = self.refresh_all()
        waiting = State.WAITING
        return {
            one.name: (
                self.engine.effective_state(one),
                self.engine.waiting_reason(one) if one.state is waiting else "",
            )
            for one in (kept.experiment for kept in found)
        }

    def refresh_all(self) -> tuple[StoredExperiment, ...]:
        found = self.laptop.all()
        self.engine.refresh([kept.experiment for kept in found])
        return found

    def until(self, **states: State) -> None:
        end = time.monotonic() + 600
        while (found := {name: state for name, (state, _) in self.shown_states().items()}) | states != found:
            assert time.monotonic() < end, found
            time.sleep(0.05)

    def started_names(self) -> list[str]:
        """Return which experiments builds were started for, by name."""
        names = {kept.experiment.id: kept.experiment.name for kept in self.laptop.all()}
        return [names[build.parameters["EXPERIMENT"]] for build in self.farm.builds]


@pytest.fixture
def yard(tmp_path: Path, git: GitCommand) -> Iterator[Yard]:
    made = Yard(Remote(tmp_path, git))
    yield made
    made.go.set()
    made.farm.close()
    made.controller.shutdown()
    made.controller.server_close()


def test_as_many_are_started_as_run_at_once_and_none_twice(yard: Yard) -> None:
    yard.send("a", "b", "c", jobs=2)
    said: list[str] = []
    yard.engine.start(yard.laptop.all(), lambda one: said.append(one.name))
    assert said == ["a", "b"]
    yard.until(a=State.RUNNING, b=State.RUNNING)
    for engine in (yard.engine, yard.engine_of(yard.remote.laptop("another"))):
        engine.start(engine.experiments.all())
    assert yard.started_names() == ["a", "b"]
    assert yard.shown_states()["c"] == (State.WAITING, "2 at once")
    yard.go.set()
    yard.until(a=State.DONE, b=State.DONE)
    yard.engine.start(yard.laptop.all())
    yard.until(c=State.DONE)
    yard.engine.start(yard.laptop.all())
    assert yard.started_names() == ["a", "b", "c"]


def test_what_is_in_the_queue_is_not_started_again_by_a_laptop_that_crashed(yard: Yard) -> None:
    yard.send("a", "b", jobs=2)
    yard.farm.held = True
    yard.engine.start(yard.laptop.all())
    other = yard.engine_of(yard.remote.laptop("other"))
    other.start(other.experiments.all())
    assert len(yard.farm.items) == 2
    assert yard.shown_states()["b"] == (State.WAITING, "In the quiet period. Expires in 4.9 sec, 1 before it")


def test_a_second_build_of_the_same_finds_it_taken(yard: Yard) -> None:
    (one,) = yard.send("a")
    yard.farm.begin({"EXPERIMENT": one.id, "LABEL": "gpu"})
    yard.farm.begin({"EXPERIMENT": one.id, "LABEL": "gpu"})
    yard.until(a=State.RUNNING)
    while not [build for build in yard.farm.builds if build.result == "NOT_BUILT"]:
        time.sleep(0.02)
    assert yard.shown_states()["a"][0] is State.RUNNING


def test_only_so_many_builds_of_a_user_wait_at_once(yard: Yard) -> None:
    yard.send("a", "b", "c", "d", jobs=4)
    yard.farm.held = True
    yard.engine_of(yard.laptop, most_queued=2).start(yard.laptop.all())
    assert len(yard.farm.items) == 2


def test_who_waits_for_an_agent_hears_why_and_how_many_are_before(yard: Yard) -> None:
    for agent in yard.farm.agents:
        agent.online = False
    yard.send("a", "b", jobs=2)
    yard.engine.start(yard.laptop.all())
    while len(yard.farm.items) < 2:
        time.sleep(0.02)
    said = "Waiting for next available executor on \u2018gpu\u2019"
    assert yard.shown_states() == {"a": (State.WAITING, said), "b": (State.WAITING, f"{said}, 1 before it")}
    assert yard.started_names() == ["a", "b"]


def test_an_experiment_whose_build_ended_without_saving_is_lost_and_moved(yard: Yard) -> None:
    (one,) = yard.send("a")
    yard.engine.start(yard.laptop.all())
    yard.until(a=State.RUNNING)
    yard.farm.kill("one")
    yard.until(a=State.LOST)
    yard.engine.recover(yard.refresh_all())
    assert yard.shown_states()["a"][0] is State.WAITING
    yard.engine.start(yard.laptop.all())
    yard.until(a=State.RUNNING)
    now = yard.laptop.read(one.id)
    assert now is not None
    assert (now.experiment.attempt, now.experiment.agent) == (2, "two")
    yard.engine.recover(yard.refresh_all())
    assert yard.shown_states()["a"][0] is State.RUNNING


def test_a_controller_that_is_killed_in_mid_sweep_loses_and_doubles_nothing(yard: Yard) -> None:
    sent = yard.send("a", "b", "c", "d", jobs=2)
    yard.engine.start(yard.laptop.all())
    yard.until(a=State.RUNNING, b=State.RUNNING)
    yard.controller.failed = True
    for build in yard.farm.builds:  # none of them is resumed
        build.stopped = True
    yard.farm.items.clear()
    while any(build.building for build in yard.farm.builds):
        time.sleep(0.02)
    assert {name: state for name, (state, _) in yard.shown_states().items()} == {
        "a": State.RUNNING, "b": State.RUNNING, "c": State.WAITING, "d": State.WAITING,
    }, "no one reports another state"  # fmt: skip
    yard.controller.failed = False
    yard.until(a=State.LOST, b=State.LOST)
    engines = (yard.engine, yard.engine_of(yard.remote.laptop("another")))
    for engine in engines:
        engine.recover(yard.refresh_all())
    yard.go.set()
    end = time.monotonic() + 600
    while any(state is not State.DONE for state, _ in yard.shown_states().values()):
        assert time.monotonic() < end, yard.shown_states()
        for engine in engines:
            engine.start(engine.experiments.all())
    assert sum(b"training in attempt" in build.log for build in yard.farm.builds) == 6
    found = {kept.experiment.id: kept.experiment for kept in yard.laptop.all()}
    assert [found[one.id].attempt for one in sent] == [2, 2, 1, 1]


def both(yard: Yard, root: Path) -> tuple[Engines, AllExperiments]:
    """Return a laptop's engines, and its experiments here and on the remote."""
    here = Experiments(Git(root))
    return Engines(LocalEngine(here, TrainFolder(root)), lambda: yard.engine), AllExperiments(
        here, yard.laptop, pytest.fail
    )


def test_a_build_that_saves_its_end_while_one_looks_is_not_lost(yard: Yard, tmp_path: Path) -> None:
    yard.send("a")
    yard.engine.start(yard.laptop.all())
    yard.until(a=State.RUNNING)
    before = yard.laptop.all()
    yard.go.set()
    yard.until(a=State.DONE)
    engines, everywhere = both(yard, tmp_path / "laptop")
    (kept,) = engines.refresh(everywhere, before)
    assert engines.effective_state(kept.experiment) is State.DONE


def test_builds_that_never_begin_with_it_end_the_experiment_with_their_address(yard: Yard) -> None:
    (one,) = yard.send("a", retries=1)
    yard.broken.set()
    for number in (1, 2):
        yard.engine.start(yard.laptop.all())
        while len([build for build in yard.farm.builds if not build.building]) < number:
            time.sleep(0.02)
    said = yard.shown_states()["a"][1]
    assert said == f"build 2 ended before it began (FAILURE): see {yard.engine.job.build_url(2)}"
    yard.engine.start(yard.laptop.all())
    now = yard.laptop.read(one.id)
    assert now is not None
    assert now.experiment.state is State.NOT_SET_UP
    assert now.experiment.reason == "2 builds ended before they began with it, the last one as FAILURE"
    assert len(yard.farm.builds) == 2


def cancel(yard: Yard, *experiments: Experiment, now: bool = False) -> tuple[list[str], dict[str, Experiment]]:
    said: list[str] = []
    done = Cancelling(yard.engine, said.append).cancel(experiments, 30, now=now)
    return said, {one.name: one for one in done}


def test_what_runs_is_asked_to_end_and_what_waits_leaves_the_queue(yard: Yard) -> None:
    one, two = yard.send("a", "b", jobs=1)
    yard.engine.start(yard.laptop.all())
    yard.until(a=State.RUNNING)
    yard.farm.held = True
    yard.engine.job.start({"EXPERIMENT": two.id, "LABEL": "gpu"})
    said, done = cancel(yard, one, two)
    assert said == ["a: asked to end within 30 s"]
    assert (done["a"].state, done["a"].reason) == (State.CANCELLED, "asked to, within 30 s")
    assert (done["b"].state, done["b"].reason) == (State.CANCELLED, "by somebody; before it began")
    assert yard.farm.items == []


def test_a_build_that_waits_for_an_agent_is_ended_with_its_experiment(yard: Yard) -> None:
    for agent in yard.farm.agents:
        agent.online = False
    (one,) = yard.send("a")
    yard.engine.start(yard.laptop.all())
    while not yard.farm.items:
        time.sleep(0.02)
    assert cancel(yard, one)[1]["a"].state is State.CANCELLED
    while yard.farm.builds[0].building:
        time.sleep(0.02)
    assert yard.farm.builds[0].result == "ABORTED"
    assert yard.farm.items == []


def test_cancelled_now_is_ended_by_force_and_said_so(yard: Yard) -> None:
    (one,) = yard.send("a")
    yard.engine.start(yard.laptop.all())
    yard.until(a=State.RUNNING)
    said, done = cancel(yard, one, now=True)
    assert said == ["a: stop of build 1"]
    assert done["a"].reason == "by somebody; its build was ended by force: what it had not saved is lost"
    assert yard.farm.builds[0].result == "ABORTED"


def test_a_lost_experiment_is_cancelled_though_nobody_can_be_asked(yard: Yard) -> None:
    (one,) = yard.send("a")
    yard.engine.start(yard.laptop.all())
    yard.until(a=State.RUNNING)
    yard.farm.kill("one")
    yard.until(a=State.LOST)
    said, done = cancel(yard, one)
    assert said == []
    assert (done["a"].state, done["a"].reason) == (State.CANCELLED, "by somebody; its build has ended")


def test_a_log_is_followed_from_one_build_into_the_next(yard: Yard) -> None:
    (one,) = yard.send("a")
    yard.engine.start(yard.laptop.all())
    yard.until(a=State.RUNNING)
    found: list[str] = []

    elsewhere = yard.remote.laptop("follower")

    def follow() -> None:
        for lines in BuildLog(yard.engine_of(elsewhere), one.id).until_end():
            found.extend(lines)

    follower = threading.Thread(target=follow)
    follower.start()
    while "training in attempt 1" not in found:
        time.sleep(0.02)
    yard.farm.kill("one")
    yard.until(a=State.LOST)
    yard.engine.recover(yard.refresh_all())
    yard.engine.start(yard.laptop.all())
    while "training in attempt 2" not in found:
        time.sleep(0.02)
    yard.go.set()
    follower.join(600)
    assert [line for line in found if "attempt" in line or "last" in line] == [
        "training in attempt 1", "training in attempt 2", "the last line",
    ]  # fmt: skip
    assert not any("Pipeline" in line for line in found)
    kept = yard.laptop.read(one.id)
    assert kept is not None
    assert yard.laptop.log(kept) == b"all of the log\n"


def test_how_far_an_experiment_is_stands_at_the_end_of_its_log_however_long_that_is(yard: Yard) -> None:
    yard.send("a")
    yard.engine.start(yard.laptop.all())
    yard.until(a=State.RUNNING)
    (build,) = yard.farm.builds
    build.say("[mlbutler: stage 1 of 2: prepare; m.json:accuracy 0.1]")
    for _ in range(100):
        build.say("x" * 1000)
    for number in (0.2, 0.5, 0.4):
        build.say(f"[mlbutler: stage 2 of 2: train; m.json:accuracy {number}]")
    (kept,) = yard.refresh_all()
    found = yard.engine.progress(kept.experiment)
    assert (found.stage, found.metrics) == ("stage 2 of 2: train", {"m.json:accuracy": (0.2, 0.5, 0.4)})


def test_a_controller_that_does_not_answer_leaves_the_states_as_git_has_them(yard: Yard, tmp_path: Path) -> None:
    yard.send("a")
    yard.engine.start(yard.laptop.all())
    yard.until(a=State.RUNNING)
    yard.controller.token = "another"
    engines, everywhere = both(yard, tmp_path / "laptop")
    (kept,) = engines.refresh(everywhere, everywhere.all())
    assert engines.effective_state(kept.experiment) is State.RUNNING
    assert "refused" in engines.unreported_error()
    engines.refresh(everywhere, everywhere.all())
    assert engines.unreported_error() == "", "who waits hears it once"


def test_a_job_that_drops_what_it_is_given_is_refused_before_anything_is_sent(yard: Yard) -> None:
    (one,) = yard.send("a")
    yard.engine.check_parameters([one])
    yard.farm.declared = ("EXPERIMENT",)
    yard.engine.check_parameters([one.with_(label="")])
    with pytest.raises(UsageError, match="'team/train' has no parameter LABEL"):
        yard.engine.check_parameters([one])
