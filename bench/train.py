"""Measure, as `python -m bench.train`, what sending experiments to Jenkins' agents costs beside doing it by hand.

The controller and its agents are played (`tests/jenkins/farm.py`): HTTP, Git, DVC and all processes are real, and all
share this machine's cores. Each case has a rival that does the same by hand, or a bound that was asked for.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from tests.experiments.pipeline import Pipeline, agent_environ
from tests.jenkins.controller import Controller
from tests.jenkins.farm import Build, Farm

from bench.measure import run
from bench.project import environment
from mlbutler.experiments.choices import JENKINS
from mlbutler.experiments.experiment import Experiment, Measure, dump_experiment, experiment_id
from mlbutler.experiments.state import State
from mlbutler.jenkins.builds import Job
from mlbutler.jenkins.client import JenkinsClient
from mlbutler.jenkins.console_text import ConsoleText

MLBUTLER, DVC = (sys.executable, "-m", "mlbutler"), (sys.executable, "-m", "dvc")
CASES = ("one", "grid", "log", "list", "send")
STAGE = """
import json, sys, time, yaml
time.sleep(float(sys.argv[1]))
json.dump({"accuracy": yaml.safe_load(open("params.yaml"))["rate"]}, open("metrics.json", "w"))
"""
DVC_YAML = """
stages:
  train:
    cmd: python train.py {seconds}
    deps: [train.py]
    params: [rate]
    metrics: [{{metrics.json: {{cache: false}}}}]
"""


@dataclass(frozen=True)
class Line:
    """One case: what was measured, in which unit, and what is aimed at: at least or at most that."""

    case: str
    value: float
    unit: str
    aim: float
    at_least: bool = False
    beside: str = ""

    @property
    def met(self) -> bool:
        """Return whether it is as good as it should be."""
        return self.value >= self.aim if self.at_least else self.value <= self.aim

    def row(self) -> str:
        """Return it as a row of a Markdown table."""
        bound = f"{'≥' if self.at_least else '≤'} {self.aim:g}"
        shown = f"{self.value:.2f} {self.unit}".rstrip()
        return f"| {self.case} | {shown} | {bound} | {'yes' if self.met else 'no'} | {self.beside} |"


class Yard:
    """A project behind a Git remote and a DVC remote, a played controller, and a laptop.

    Args:
        seconds: that the one stage takes. files: further files in Git.
    """

    def __init__(self, folder: Path, seconds: float, agents: int, files: int = 0) -> None:
        self.folder, self.bare, self.laptop = folder, folder / "origin.git", folder / "laptop"
        self.environ = environment(folder) | {"MLBUTLER_ISOLATION_MODE": "off"}
        self._make(seconds, files)
        self.farm = Farm({f"agent-{number}": [] for number in range(agents)},
                         Pipeline(self.bare, folder / "agents", self._agents()))  # fmt: skip
        self.controller = Controller(token="t0ken")
        self.controller.farm = self.farm
        self.controller.serve()
        self.environ |= {
            "MLBUTLER_TRAIN_URL": self.controller.url, "MLBUTLER_TRAIN_JOB": self.farm.name,
            "MLBUTLER_JENKINS_USER": "somebody", "MLBUTLER_JENKINS_TOKEN": "t0ken",
        }  # fmt: skip

    def _agents(self) -> dict[str, str]:
        return agent_environ(self.environ) | {"PATH": self.environ["PATH"]}

    def _make(self, seconds: float, files: int) -> None:
        self.git("init", "-q", "--bare", "-b", "main", str(self.bare), at=self.folder)
        self.git("clone", "-q", str(self.bare), str(self.laptop), at=self.folder)
        (self.laptop / "train.py").write_text(STAGE)
        (self.laptop / "dvc.yaml").write_text(DVC_YAML.format(seconds=seconds))
        (self.laptop / "params.yaml").write_text("rate: 0.0\n")
        for number in range(files):
            path = self.laptop / "src" / str(number % 100) / f"{number}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{number}\n")
        self.call(*DVC, "init", "-q")
        self.call(*DVC, "remote", "add", "-q", "-d", "store", str(self.folder / "store"))
        self.commit("the project")

    def commit(self, message: str) -> None:
        """Commit all that is in the laptop's work tree, and push it."""
        self.git("add", "-A")
        self.git("commit", "-qm", message)
        self.git("push", "-q", "origin", "HEAD:main")

    def git(self, *words: str, at: Path | None = None) -> None:
        """Run git on the laptop."""
        self.call("git", *words, at=at)

    def call(self, *words: str, at: Path | None = None) -> float:
        """Run a command on the laptop; return the seconds that it took."""
        return run(words, at or self.laptop, self.environ).seconds

    def until_idle(self) -> None:
        """Wait until no build waits or runs."""
        while self.farm.items or any(build.building for build in self.farm.builds):
            time.sleep(0.02)

    def count_results(self) -> int:
        """Return how many experiments have results on the remote."""
        listed = subprocess.run(["git", "ls-remote", str(self.bare), "refs/exps/*"], capture_output=True, check=True)
        return len(listed.stdout.splitlines())

    def close(self) -> None:
        """End all builds and the controller."""
        self.farm.close()
        self.controller.shutdown()
        self.controller.server_close()


@contextmanager
def yard(seconds: float, agents: int = 1, files: int = 0) -> Iterator[Yard]:
    """Yield a yard in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="mlbutler-bench-") as folder:
        made = Yard(Path(folder).resolve(), seconds, agents, files)
        try:
            yield made
        finally:
            made.close()


def spent() -> float:
    """Return the processor's seconds that all processes took that we have waited for, and theirs."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def grid(count: int, seconds: float, agents: int) -> Line:
    """Run a sweep over agents while nobody is there."""
    rates = ",".join(f"0.{number:03d}" for number in range(1, count + 1))
    with yard(seconds, agents) as made:
        sent = made.call(*MLBUTLER, "train", "-n", "lr", "-S", f"rate={rates}", "-j", str(agents))
        before = spent()
        made.until_idle()
        builds = made.farm.builds
        took = time.time() - builds[0].started
        assert made.count_results() == count, f"{made.count_results()} of {count} have results"
        assert len(builds) == count, f"{len(builds)} builds for {count} experiments"
        each = (spent() - before) / count
    ideal, cores = math.ceil(count / agents) * seconds, len(os.sched_getaffinity(0))
    # One after the other on an agent, and all of them on this machine's cores.
    most = ideal / max(math.ceil(count / agents) * (seconds + each), each * count / cores)
    beside = (
        f"{took:.1f} s, and at best {ideal:g} s; sending them took {sent:.1f} s; {each:.1f} s of the processor each: "
        f"{most:.2f} is possible on {cores} cores"
    )
    return Line(
        f"{count} experiments of {seconds:g} s, {agents} agents", ideal / took, "of the ideal", 0.9, True, beside
    )


def one_experiment(seconds: float) -> list[Line]:
    """Compare one experiment with a push, and a build of it that is started by hand."""

    def by_hand(build: Build) -> str:
        root = made.folder / "by-hand"
        with build.node(""):
            for words in (
                ("git", "clone", "-q", str(made.bare), str(root)),
                (*DVC, "repro", "-q"),
                (*DVC, "push", "-q"),
            ):
                if build.sh(*words, cwd=root if root.exists() else made.folder, environ=made.environ):
                    return "FAILURE"
        return "SUCCESS"

    with yard(seconds) as made:
        pipeline, made.farm.script = made.farm.script, by_hand
        before, began = spent(), time.perf_counter()
        (made.laptop / "params.yaml").write_text("rate: 0.5\n")
        made.commit("another rate")
        made.farm.begin({"EXPERIMENT": "", "LABEL": ""})
        made.until_idle()
        rival, processor = time.perf_counter() - began, spent() - before
        assert made.farm.builds[0].result == "SUCCESS", made.farm.builds[0].log.decode()
        made.farm.script = pipeline
        before, began = spent(), time.perf_counter()
        made.call(*MLBUTLER, "train", "-n", "one", "-S", "rate=0.6")
        made.until_idle()
        ours, own = time.perf_counter() - began, spent() - before
        assert made.count_results() == 1
    beside = f"{ours:.1f} s; git push, and a build of git clone, dvc repro, dvc push: {rival:.1f} s"
    of = f"{own:.1f} s with sending it, by hand {processor:.1f} s"
    return [
        Line(f"one experiment of {seconds:g} s: more than by hand", ours - rival, "s", 2.0, beside=beside),
        Line("the same, of the processor", own - processor, "s", 2.0, beside=of),
    ]


def followed_log(size: int) -> list[Line]:
    """Follow a log that grows."""
    line = "x" * 99
    written: dict[int, float] = {}
    late: list[float] = []

    def script(build: Build) -> str:
        for number in range(size // 100):
            if number % 1000 == 0:
                written[number] = time.perf_counter()
                build.say(f"{number} {line}")
                time.sleep(0.002)
            else:
                build.log += f"{line}\n".encode()
        return "SUCCESS"

    with yard(0) as made:
        made.farm.script = script
        made.farm.begin({"EXPERIMENT": "", "LABEL": ""})
        with JenkinsClient(made.controller.url, "somebody", "t0ken") as client:
            text, got = ConsoleText(Job(client, made.farm.name), 1), 0
            while text.more:
                for found in text.lines():
                    got += len(found) + 1
                    first = found.partition(" ")[0]
                    if first.isdigit():
                        late.append(time.perf_counter() - written[int(first)])
                time.sleep(0.8)
        log = len(made.farm.builds[0].log)
        assert got == log, f"{got} bytes of {log}"
        more = made.controller.sent / log - 1
    name = f"a log of {size // 1_000_000 or size / 1e6:g} MB followed"
    return [
        Line(f"{name}: further bytes", 100 * more, "%", 5.0),
        Line(f"{name}: latency, the worst of {len(late)}", max(late), "s", 2.0),
    ]


def quickest(calls: Sequence[Callable[[], float]]) -> tuple[float, float]:
    """Return the least seconds that one of several equal calls took, and the least of the processor."""
    times = []
    for one in calls:
        before = spent()
        times.append((one(), spent() - before))
    return min(wall for wall, _ in times), min(processor for _, processor in times)


def both(case: str, took: tuple[float, float], aim: float, beside: str) -> list[Line]:
    """Return a line for the seconds that something took, and one for those of the processor."""
    wall, processor = took
    return [Line(case, wall, "s", aim, beside=beside), Line("the same, of the processor", processor, "s", aim)]


def list_experiments(count: int) -> list[Line]:
    """List experiments that others have run, fetched before."""
    with yard(0) as made:
        _write_states(made, count)
        made.call(*MLBUTLER, "train", "list", "--quiet")
        best = quickest([lambda: made.call(*MLBUTLER, "train", "list")] * 3)
        rival = min(made.call("git", "fetch", "-q", "origin", "+refs/mlbutler/train/*:refs/x/*") for _ in range(3))
    return both(f"{count:,} experiments listed", best, 1.0, f"git fetch of their refs alone: {rival:.2f} s")


def _write_states(made: Yard, count: int) -> None:
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=made.laptop, capture_output=True, text=True, check=True)
    baseline = head.stdout.strip()
    feed = []
    for number in range(count):
        metrics = tuple(Measure(file="metrics.json", name=f"m{n}", value=number / 7, before=0.5) for n in range(5))
        one = Experiment(
            id=experiment_id(baseline, "", (f"s{number}",)), name=f"lr-{number}", grid="lr", baseline=baseline,
            input=baseline, targets=(f"s{number}",), overrides=(f"rate={number}",), number=number, engine=JENKINS,
            user="ada", submitted=1.7e9 + number, started=1.7e9, ended=1.7e9 + 60, attempt=1, metrics=metrics,
            state=State.DONE if number % 10 else State.FAILED, build=f"{made.controller.url}job/t/{number}/",
        )  # fmt: skip
        state = dump_experiment(one).decode()
        feed.append(
            f"commit refs/mlbutler/train/{one.id}\ncommitter x <x> 1700000000 +0000\ndata 1\nx\nfrom {baseline}\n"
            f"deleteall\nM 100644 inline state.json\ndata {len(state)}\n{state}\n"
        )
    subprocess.run(["git", "fast-import", "--quiet"], cwd=made.bare, input="".join(feed).encode(), check=True)


def sent_from(files: int) -> list[Line]:
    """Send an experiment from a repository of many files."""
    with yard(0, files=files) as made:
        made.farm.held = True
        (made.laptop / "params.yaml").write_text("rate: 0.7\n")
        made.call(*MLBUTLER, "train", "-n", "first")
        words = [(*MLBUTLER, "train", "-n", f"n{number}", "-S", f"rate=0.8{number}") for number in range(3)]
        best = quickest([partial(made.call, *one) for one in words])
        rival = made.call("git", "stash", "create")
    return both(f"sent from {files:,} files", best, 2.0, f"git stash create: {rival:.2f} s")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; what is not met is printed, too, and no failure: other work on the machine may be why."""
    parser = argparse.ArgumentParser(description="Experiments on agents: throughput, overhead, logs, lists.")
    parser.add_argument("--agents", type=int, nargs="+", default=[1, 2, 4, 8], help="numbers of agents")
    parser.add_argument("--seconds", type=float, default=10.0, help="that an experiment takes (default: 10)")
    parser.add_argument("--experiments", type=int, default=32, help="in the sweep (default: 32)")
    parser.add_argument("--only", nargs="+", choices=CASES, default=CASES, help="these cases alone")
    parser.add_argument("--json", metavar="FILE", help="keep the figures")
    parser.add_argument("--smoke", action="store_true", help="small: does it still work?")
    options = parser.parse_args(arguments)
    smoke = options.smoke
    lines: list[Line] = []

    def add(*more: Line) -> None:
        lines.extend(more)
        for one in more:
            print(one.row(), flush=True)

    print("| case | measured | aimed at | met | |\n|---|---:|---:|---|---|")
    if "one" in options.only and not smoke:
        add(*one_experiment(options.seconds))
    if "grid" in options.only:
        for agents in [2] if smoke else options.agents:
            add(grid(3 if smoke else options.experiments, 0.2 if smoke else options.seconds, agents))
    if "log" in options.only:
        add(*followed_log(10**6 if smoke else 10**8))
    if "list" in options.only:
        add(*list_experiments(20 if smoke else 2000))
    if "send" in options.only:
        add(*sent_from(100 if smoke else 20_000))
    if options.json:
        Path(options.json).write_text(json.dumps([asdict(one) | {"met": one.met} for one in lines], indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
