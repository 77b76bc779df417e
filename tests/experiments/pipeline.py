"""What the pipeline of an experiment does on a played controller's agents: the commands of `mlbutlerTrain()`, in order.

`tests/groovy/test_train.py` holds the real one to its own order; here the commands really run, as an agent's processes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

from tests.jenkins.farm import AgentLost, Build, Item

_ENOUGH = 20


class Pipeline:
    """Run builds of the job.

    Args:
        bare: the repository. folder: where agents have their workspaces. environ: of the agents.
    """

    def __init__(self, bare: Path, folder: Path, environ: Mapping[str, str]) -> None:
        self.bare, self.folder, self.environ = bare, folder, dict(environ)

    def __call__(self, build: Build) -> str:
        failed, result, again = "", "FAILURE", True
        for _ in range(_ENOUGH):
            if not again:
                break
            try:
                with build.node(self._label(build, failed)) as agent:
                    failed = agent.name
                    result, again = self._attempt(build, agent.name)
            except AgentLost:
                build.say("Agent was lost: once more")
        return result

    def _label(self, build: Build, failed: str) -> str:
        label = build.parameters["LABEL"]
        others = [one for one in build.farm.agents if label in one.labels and one.name != failed and one.online]
        return others[0].name if failed and others else label

    def _attempt(self, build: Build, agent: str) -> tuple[str, bool]:
        """Return the build's result, and whether another agent is to try."""
        id, root = build.parameters["EXPERIMENT"], self.folder / f"{agent}-{build.number}"
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir(parents=True)
        self._checkout(root, id)
        environ = self.environ | {
            "JENKINS_URL": build.farm.root, "JOB_NAME": build.farm.name, "BUILD_NUMBER": str(build.number),
            "BUILD_URL": build.url, "NODE_NAME": agent, "GIT_URL": str(self.bare), "GIT_BRANCH": "origin/main",
            "MLBUTLER_TRAIN_EXPERIMENT": id,
        }  # fmt: skip
        code = self._call(build, root, environ, "begin")
        number = root / ".mlbutler" / "train" / "attempt"
        if code or not number.exists():
            return ("FAILURE" if code else "NOT_BUILT"), code == 3
        environ["MLBUTLER_TRAIN_ATTEMPT"] = number.read_text().strip()
        self._run(build, root, environ)
        named: list[str] = []
        code = self._call(build, root, environ, "save", named)
        result = {0: "SUCCESS", 130: "ABORTED"}.get(code, "FAILURE")
        if code != 3:
            self._begin(build, named)
        shutil.rmtree(root, ignore_errors=True)
        return result, code == 3

    def _checkout(self, root: Path, id: str) -> None:
        for words in (
            ("init", "-q"), ("remote", "add", "origin", str(self.bare)),
            ("fetch", "-q", "origin", f"+refs/mlbutler/train/{id}:refs/remotes/origin/mlbutler/train"),
            ("checkout", "-q", "--detach", "refs/remotes/origin/mlbutler/train^"),
        ):  # fmt: skip
            subprocess.run(["git", *words], cwd=root, check=True, capture_output=True)

    def _call(
        self, build: Build, root: Path, environ: Mapping[str, str], verb: str, said: list[str] | None = None
    ) -> int:
        command = (sys.executable, "-m", "mlbutler", "train", "agent", verb)
        return build.sh(*command, cwd=root, environ=environ, said=said)

    def _run(self, build: Build, root: Path, environ: Mapping[str, str]) -> None:
        """Run it, and beside that ask whether it is to stop."""
        stop, ended = build.ask("Stop"), threading.Event()

        def wait() -> None:
            stop.wait()
            if not ended.is_set():
                new = root / ".mlbutler" / "train" / "stop.new"
                new.write_text(f"{build.answers['Stop']['GRACE']}\n")
                new.rename(new.with_name("stop"))

        branch = threading.Thread(target=wait, daemon=True)
        branch.start()
        try:
            self._call(build, root, environ, "run")
        finally:
            ended.set()
            stop.set()
            branch.join()

    def _begin(self, build: Build, named: list[str]) -> None:
        for line in named:
            id, _, label = line.partition(" ")
            build.farm.enqueue(Item(0, "", {"EXPERIMENT": id, "LABEL": label}))


def agent_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """Return an agent's environment, without the identity and the tokens of who sends experiments."""
    return {name: value for name, value in environ.items() if not name.startswith(("MLBUTLER_", "GIT_"))} | {
        "MLBUTLER_REPRODUCE_PASS_ENVIRONMENT": "PLACES", "MLBUTLER_ISOLATION_MODE": "off", "PATH": os.environ["PATH"],
        "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1",
    }  # fmt: skip
