"""An experiment on a CI server's agent, from the commit that was sent to results that another clone sees."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from mlbutler.commands.train import agent_save
from mlbutler.console import Console
from mlbutler.errors import GitError, StoreError, UsageError
from mlbutler.experiments.choices import JENKINS
from mlbutler.experiments.experiment import Experiment, dump_experiment, experiment_id
from mlbutler.experiments.shared import SharedExperiments
from mlbutler.experiments.state import State
from mlbutler.git import Git
from mlbutler.git.address import RemoteAccess, parse_git_address
from tests.experiments.agents import Agent, now, open_shared, read_stored, send
from tests.experiments.conftest import Laptop, kill, lend_laptop
from tests.integration.world import World
from tests.trackers.mlflow_server import PASSWORD, USER, Tracker


def test_what_was_sent_is_run_and_its_results_are_a_dvc_experiment_on_any_clone(laptop: Laptop) -> None:
    program = laptop.root / "src" / "train.py"
    program.write_text(program.read_text() + "\n# not committed\n")
    (one,) = send(laptop, "train.rate=0.02", name="lr")
    agent = Agent(laptop, one)
    agent.begin()
    assert now(laptop, one).state is State.RUNNING
    assert (now(laptop, one).agent, now(laptop, one).build) == ("one", "http://jenkins.example/job/train/1/")
    assert "training at 0.02" in agent.call("run").out
    assert now(laptop, one).state is State.RUNNING, "without credentials nothing is written"
    agent.call("save")
    done = now(laptop, one)
    assert (done.state, done.attempt, [stage.name for stage in done.stages]) == (State.DONE, 1, ["prepare", "train"])
    assert {measure.name: (measure.value, measure.before) for measure in done.metrics}["accuracy"] == (0.92, 0.91)
    assert b"training at 0.02" in (open_shared(laptop).log(read_stored(laptop, one)) or b"")

    clone = laptop.world.clone("origin/main")
    laptop.world.git(clone, "fetch", "-q", "origin", "+refs/exps/*:refs/exps/*")
    rows = json.loads(laptop.world.shell(clone, "python", "-m", "dvc", "exp", "show", "--json"))
    names = [exp["name"] for row in rows for exp in row["experiments"] or []]
    assert names == ["lr"]
    laptop.world.git(clone, "checkout", "-q", done.result)
    laptop.world.shell(clone, "python", "-m", "dvc", "pull", "-q")
    laptop.world.git(clone, "checkout", "-q", done.baseline)
    laptop.world.shell(clone, "python", "-m", "dvc", "exp", "apply", "lr")
    assert (clone / "model.txt").read_text() == "model at 0.02"
    assert (clone / "src" / "train.py").read_text().endswith("# not committed\n")


@pytest.fixture(scope="session")
def agents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where what is done on agents is kept."""
    return tmp_path_factory.mktemp("agents")


@contextmanager
def lend_agent(folder: Path, trained_world: World, do: Callable[[Agent], object], attempt: str = "") -> Iterator[Agent]:
    """Lend an agent for an experiment at a rate of 0.02 on which something was done, as `lend_laptop` does a laptop."""

    def begin(laptop: Laptop) -> None:
        (one,) = send(laptop, "train.rate=0.02", name="lr")
        do(Agent(laptop, one))

    with lend_laptop(folder, trained_world, begin) as laptop:
        (found,) = open_shared(laptop).all()
        yield Agent(laptop, found.experiment, attempt=attempt, is_new=False)


@pytest.fixture
def sent_agent(trained_world: World, agents: Path) -> Iterator[Agent]:
    """An agent that is to run its experiment."""
    with lend_agent(agents / "sent", trained_world, lambda agent: None) as agent:
        yield agent


@pytest.fixture
def ran(trained_world: World, agents: Path) -> Iterator[Agent]:
    """An agent that has run its experiment, and is to save the results."""

    def run(agent: Agent) -> None:
        agent.begin()
        agent.call("run")

    with lend_agent(agents / "ran", trained_world, run, attempt="1") as agent:
        yield agent


def kill_tree(laptop: Laptop, process: subprocess.Popen[str]) -> None:
    """Kill a command and all that it started, as an agent that dies does."""
    kill([*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)])
    process.communicate()


def test_an_agent_that_dies_while_it_runs_is_replaced_and_cannot_save_when_it_comes_back(laptop: Laptop) -> None:
    (one,) = send(laptop, "train.rate=0.6", name="long")
    first = Agent(laptop, one)
    first.begin()
    process = first.start("run")
    laptop.until(lambda: laptop.runs() == ["0.6"])
    kill_tree(laptop, process)
    second = Agent(laptop, one, name="two")
    second.begin()
    assert (now(laptop, one).state, now(laptop, one).attempt, now(laptop, one).agent) == (State.RUNNING, 2, "two")
    back = first.call("save", code=130)
    assert "replaced by attempt 2" in back.err
    (laptop.places / "go").touch()
    second.call("run")
    assert "replaced" in first.call("save", code=130).err
    second.call("save")
    assert (now(laptop, one).state, now(laptop, one).attempt) == (State.DONE, 2)
    assert laptop.git("ls-remote", "origin", "refs/exps/*").count("refs/exps/") == 1
    assert "replaced" not in second.call("save", code=130).err, "it has ended"


def reproducing(pid: int) -> psutil.Process:
    """Return the child that reproduces; others may end meanwhile."""
    for child in psutil.Process(pid).children():
        with suppress(psutil.Error):
            if "reproduce" in child.cmdline():
                return child
    raise AssertionError("none reproduces")


def test_what_is_killed_is_tried_again_until_there_were_enough_attempts(laptop: Laptop) -> None:
    (one,) = send(laptop, "train.rate=0.6", name="long", retries=1)
    agent = Agent(laptop, one)
    agent.begin()
    process = agent.start("run")
    laptop.until(lambda: laptop.runs() == ["0.6"])
    reproducing(process.pid).send_signal(signal.SIGKILL)
    process.communicate()
    agent.call("save", code=3)
    assert now(laptop, one).state is State.WAITING
    assert "attempt 1 was lost: mlbutler was stopped from outside (killed by SIGKILL" in now(laptop, one).reason
    second = Agent(laptop, one, name="two")
    second.begin()
    second.call("save", code=1)
    assert now(laptop, one).state is State.NOT_SET_UP
    assert "lost 2 times" in now(laptop, one).reason
    assert "is not set up already" in second.begin(code=1).out


def test_an_agent_that_dies_before_it_runs_leaves_one_result(sent_agent: Agent) -> None:
    sent_agent.begin()
    take_over_and_check(sent_agent.laptop, sent_agent.experiment, State.PREPARING)


def test_an_agent_that_dies_after_its_results_were_sent_leaves_one_result(ran: Agent) -> None:
    ran.call("save")
    sent = now(ran.laptop, ran.experiment).result
    take_over_and_check(ran.laptop, ran.experiment, State.SAVING)
    assert now(ran.laptop, ran.experiment).result == sent


def take_over_and_check(laptop: Laptop, one: Experiment, state: State) -> None:
    """Have another agent take up what the first has left in a state, and see that there is one result, the second's."""
    open_shared(laptop).change(one.id, lambda now: now.with_(state=state, result="", ended=None))
    second = Agent(laptop, one, name="two")
    second.begin()
    second.call("run")
    second.call("save")
    done = now(laptop, one)
    assert (done.state, done.attempt, done.agent) == (State.DONE, 2, "two")
    assert laptop.git("ls-remote", "origin", "refs/exps/*").split() == [done.result, done.ref]


def test_saving_waits_for_a_server_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", waited.append)
    answers: Iterator[Exception | int] = iter([GitError("away"), StoreError("away"), 7])

    def save() -> int:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert agent_save.retry_while_away(Console(), save) == 7
    assert waited == sorted(waited)
    assert len(waited) == 2
    with pytest.raises(UsageError):
        agent_save.retry_while_away(Console(), lambda: (_ for _ in ()).throw(UsageError("wrong")))
    assert len(waited) == 2, "what no waiting changes is said at once"


def test_who_asks_it_to_stop_gets_what_was_finished(laptop: Laptop) -> None:
    program = laptop.root / "src" / "prepare.py"
    program.write_text(program.read_text() + "\n# changed\n")
    (one,) = send(laptop, "train.rate=0.6", name="long")
    agent = Agent(laptop, one)
    agent.begin()
    process = agent.start("run")
    laptop.until(lambda: laptop.runs() == ["0.6"])
    new = agent.stop.with_name("stop-asked")
    new.write_text("60\n")
    new.replace(agent.stop)  # it is there whole
    out, _ = process.communicate()
    assert process.returncode == 0
    assert "checkpoint saved" in out
    agent.call("save", code=130)
    done = now(laptop, one)
    assert done.state is State.CANCELLED
    assert done.reason == "stage 'train' was ended; finished and kept: prepare; none of its processes is left"
    assert b"checkpoint saved" in (open_shared(laptop).log(read_stored(laptop, one)) or b"")
    assert not [word for word in laptop.git("ls-remote", "origin").split() if word.startswith("refs/exps")]
    open_shared(laptop).change(one.id, lambda now: now.with_(state=State.WAITING, cancel=None))
    assert "prepare: restorable" in Agent(laptop, one, build=2).begin().out, "another attempt need not run it again"


def test_it_can_be_cancelled_before_it_runs_and_when_its_build_is_aborted(laptop: Laptop) -> None:
    waiting, preparing, running = send(laptop, "train.rate=0.6,0.7,0.8", name="lr")
    open_shared(laptop).change(waiting.id, lambda now: now.with_(cancel=5.0))
    assert "is not run: it was cancelled" in Agent(laptop, waiting, 1).begin().out
    early = Agent(laptop, preparing, 2)
    early.call("save", "--aborted", code=130)
    late = Agent(laptop, running, 3)
    late.begin()
    process = late.start("run")
    laptop.until(lambda: laptop.runs() == ["0.8"])
    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert process.returncode == 130
    late.call("save", "--aborted", code=130)
    states = {one.experiment.name: (one.experiment.state, one.experiment.reason) for one in open_shared(laptop).all()}
    assert {state for state, _ in states.values()} == {State.CANCELLED}
    assert states["lr-3"][1] == "the build was aborted: its page says by whom"


def test_a_program_that_fails_is_not_tried_again_and_says_why(laptop: Laptop) -> None:
    (one,) = send(laptop, "train.rate=0.5", name="bad")
    agent = Agent(laptop, one)
    agent.begin()
    agent.call("run")
    assert "bad: failed already" in agent.call("run").out, "Jenkins lost the command that had ended"
    moved = {"BUILD_URL": "https://ci.example.org/jenkins/job/train/1/"}  # the controller has another address since
    agent.call("save", code=1, environ=moved)
    assert laptop.runs() == ["0.5"]
    done = now(laptop, one)
    assert (done.state, done.attempt) == (State.FAILED, 1)
    assert "diverged" in done.tail
    assert b"== the last lines of stage train" in (open_shared(laptop).log(read_stored(laptop, one)) or b"")
    assert agent.call("next").out == ""


def test_its_time_is_over(laptop: Laptop) -> None:
    (one,) = send(laptop, "train.rate=0.6", name="slow", time_limit=0.5)
    agent = Agent(laptop, one)
    agent.begin()
    run = agent.call("run", environ={"MLBUTLER_TRAIN_CHECKPOINTS": '["state.bin"]'})
    assert "No checkpoint of state.bin is kept: train.checkpoint_store names no folder that agents share." in run.out
    agent.call("save", code=1)
    assert now(laptop, one).state is State.TIMED_OUT


def test_a_state_that_the_project_s_code_put_in_the_place_of_another_is_refused(sent_agent: Agent) -> None:
    agent, laptop, one = sent_agent, sent_agent.laptop, sent_agent.experiment
    name = laptop.world.git(agent.root, "rev-parse", f"{read_stored(laptop, one).commit}:state.json")
    content = dump_experiment(one.with_(name="another"))
    loose = agent.root / ".git" / "objects" / name[:2] / name[2:]
    loose.parent.mkdir(exist_ok=True)
    loose.unlink(missing_ok=True)
    loose.write_bytes(zlib.compress(b"blob %d\0%s" % (len(content), content)))
    access = RemoteAccess(parse_git_address(str(laptop.world.bare)), fresh=False)
    with pytest.raises(GitError):
        SharedExperiments(Git(agent.root, {"PATH": os.environ["PATH"]}, access), "origin").read(one.id)


SECRET = {"MLBUTLER_GIT_TOKEN": "a-token-for-git-3f1c"}


def test_links_that_the_project_s_code_leaves_are_not_followed(ran: Agent) -> None:
    agent, laptop, one = ran, ran.laptop, ran.experiment
    folder = agent.root / ".mlbutler" / "train"
    for name, target in (("log.txt", "/proc/self/environ"), ("end.json", laptop.root / "params.yaml")):
        (folder / name).unlink()
        (folder / name).symlink_to(target)
    os.mkfifo(folder / "stop")
    (folder / "attempt").write_text("7\n")
    agent.call("save", code=1, environ=SECRET)
    done = now(laptop, one)
    assert (done.state, done.attempt) == (State.NOT_SET_UP, 1)
    assert ".mlbutler/train/" in done.reason
    assert open_shared(laptop).log(read_stored(laptop, one)) == b""


@pytest.mark.parametrize("link", [".mlbutler", ".mlbutler/train"])
def test_a_link_that_was_sent_leads_nothing_elsewhere(laptop: Laptop, tmp_path: Path, link: str) -> None:
    (elsewhere := tmp_path / "elsewhere").mkdir()
    (elsewhere / "log.txt").write_text("of somebody else")
    git = laptop.git
    blob = subprocess.run(
        ["git", "hash-object", "-w", "--stdin"], cwd=laptop.root, input=str(elsewhere), capture_output=True, text=True,
        check=True,
    ).stdout.strip()  # fmt: skip
    laptop.world.push("main")
    git("update-index", "--add", "--cacheinfo", f"120000,{blob},{link}")
    head, tree = git("rev-parse", "HEAD").strip(), git("write-tree").strip()
    commit = git("commit-tree", tree, "-p", head, "-m", "x").strip()
    one = Experiment(
        id=experiment_id(commit, "", ()), name="link", grid="link", baseline=head, input=commit, engine=JENKINS
    )  # fmt: skip
    assert all(open_shared(laptop).keep_all([(one, None)]))
    agent = Agent(laptop, one)
    agent.begin(code=1)
    assert agent.attempt == ""
    assert [path.name for path in elsewhere.rglob("*")] == ["log.txt"]
    assert (now(laptop, one).state, link in now(laptop, one).reason) == (State.NOT_SET_UP, True)


def test_programs_that_the_project_s_code_gave_git_get_no_credential(ran: Agent) -> None:
    agent, laptop, one = ran, ran.laptop, ran.experiment
    evil = agent.root.parent / "evil"
    evil.write_text(f"#!/bin/sh\nenv >> {evil}.found; cat\n")
    evil.chmod(0o755)
    for key, value in (
        ("core.sshCommand", evil), ("credential.helper", f"!{evil}"), ("core.hooksPath", evil.parent),
        ("remote.origin.url", "ext::sh -c evil"), ("url./nowhere.insteadOf", laptop.world.bare),
        ("filter.x.clean", evil),
    ):  # fmt: skip
        laptop.world.git(agent.root, "config", key, str(value))
    (agent.root / ".git" / "info" / "attributes").write_text("* filter=x\n")
    agent.call("save", environ=SECRET)
    done = now(laptop, one)
    assert done.state is State.DONE
    assert laptop.world.git(laptop.world.bare, "rev-parse", f"{done.ref}^") == one.input
    assert SECRET["MLBUTLER_GIT_TOKEN"] not in Path(f"{evil}.found").read_text()


@pytest.mark.parametrize(("name", "value", "said"), [
    ("MLBUTLER_TRAIN_EXPERIMENT", "$(touch x)", "does not hold the id"),
    ("MLBUTLER_TRAIN_EXPERIMENT", "f" * 40, "There is no experiment"),
    ("BUILD_URL", "", "The build's address (BUILD_URL) is not known"),
])  # fmt: skip
def test_what_is_no_experiment_s_build_is_refused(sent_agent: Agent, name: str, value: str, said: str) -> None:
    assert said in sent_agent.call("begin", code=2, environ={name: value}).err
    assert now(sent_agent.laptop, sent_agent.experiment).state is State.WAITING
    assert "for the builds of a CI server" in sent_agent.laptop.train("agent", "begin", code=2)


def test_the_rest_of_a_sweep_is_begun_by_those_that_end(laptop: Laptop) -> None:
    grid = send(laptop, "train.rate=0.02,0.03,0.04,0.05", name="lr", jobs=2, max_failures=2, label="gpu")
    agent = Agent(laptop, grid[0])
    assert agent.call("next").out.splitlines() == [f"{one.id} gpu" for one in grid[:2]]
    agent.begin()
    assert agent.call("next").out == "", "a build is asked for once"
    open_shared(laptop).change(grid[1].id, lambda now: now.with_(asked=now.submitted - 3600))
    assert agent.call("next").out.splitlines() == [f"{grid[1].id} gpu"], "that build got lost"
    open_shared(laptop).change(grid[1].id, lambda now: now.with_(asked=now.submitted - 3600))
    agent.call("run")
    saved = agent.call("save")
    assert saved.out.splitlines() == [f"{one.id} gpu" for one in grid[1:3]], "and nothing else: the pipeline reads it"
    assert "lr-1: done" in saved.err
    for one in grid[:2]:
        open_shared(laptop).change(one.id, lambda now: now.with_(state=State.FAILED, ended=now.submitted + 60))
    assert agent.call("next").out == ""
    assert [now(laptop, one).state for one in grid] == [State.FAILED] * 2 + [State.CANCELLED] * 2
    assert now(laptop, grid[3]).reason == "2 of lr failed: lr-1, lr-2"


def test_what_runs_the_stages_of_each_experiment_starts_without_dvc() -> None:
    code = "import sys, mlbutler.commands.train.agent\nprint([name for name in sys.modules if name.startswith('dvc')])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"


def test_another_build_does_not_take_what_one_is_at(sent_agent: Agent) -> None:
    sent_agent.begin()
    other = Agent(sent_agent.laptop, sent_agent.experiment, build=2)
    assert "another build is at it: http://jenkins.example/job/train/1/" in other.begin().out
    assert other.attempt == ""
    assert now(sent_agent.laptop, sent_agent.experiment).attempt == 1


def test_data_that_cannot_be_brought_is_another_agent_s_try_and_then_the_end(laptop: Laptop) -> None:
    (one,) = send(laptop, "train.rate=0.02", name="lr", retries=1)
    moved = laptop.world.remote.with_name("away")
    laptop.world.remote.rename(moved)
    agent = Agent(laptop, one)
    agent.begin(code=3)
    assert now(laptop, one).state is State.WAITING
    assert "attempt 1 could not be prepared on one" in now(laptop, one).reason
    agent.begin(code=1)
    assert now(laptop, one).state is State.NOT_SET_UP


def test_results_become_one_run_on_the_mlflow_server_of_the_target_branch(laptop: Laptop, tracker: Tracker) -> None:
    own = (laptop.root / "mlbutler.toml").read_text()
    (laptop.root / "mlbutler.toml").write_text(f'{own}[trackers]\nmlflow = "{tracker.url}"\nexperiment = "lr"\n')
    laptop.git("commit", "-qam", "where results go")
    (one,) = send(laptop, "train.rate=0.02", name="lr")
    agent = Agent(laptop, one)
    agent.begin()
    agent.call("run")
    access = {"MLFLOW_TRACKING_USERNAME": USER, "MLFLOW_TRACKING_PASSWORD": PASSWORD}
    said = agent.call("save", environ=access)
    (run,) = tracker.runs("lr")
    assert (run["run_name"], run["tags"]["mlbutler.result"]) == ("lr", now(laptop, one).result)
    assert (run["metrics"]["accuracy"], run["params"]) == (0.92, {"train.rate": "0.02"})
    assert run["tags"]["mlflow.source.name"] == "http://jenkins.example/job/train/1/"
    assert f"lr on the MLflow server: {tracker.url}/#/experiments/" in said.err
    assert PASSWORD not in said.out + said.err
