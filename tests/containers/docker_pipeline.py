"""What Jenkins does with an image, in the words of its plugins: Docker Pipeline (592) and Durable Task."""

from __future__ import annotations

import itertools
import os
import shlex
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.containers.engine import Engine

USER = 1500 if os.geteuid() == 0 else os.getuid()
"""Who the agent runs as: no user of the image's."""
_COOKIE = "JENKINS_SERVER_COOKIE"
_LONG = 600.0


@dataclass(frozen=True)
class Script:
    """One step `sh`: under way, and then its exit code and log."""

    folder: Path
    cookie: str

    @property
    def log(self) -> str:
        return (self.folder / "jenkins-log.txt").read_text(errors="replace")

    def exit_code(self) -> int:
        """Wait for it to end."""
        until = time.monotonic() + _LONG
        while not (self.folder / "jenkins-result.txt").exists():
            assert time.monotonic() < until, self.log
            time.sleep(0.05)
        return int((self.folder / "jenkins-result.txt").read_text())


@dataclass
class Container:
    """The container that `agent { dockerfile }` runs a build's steps in."""

    engine: Engine
    id: str
    workspace: Path
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def start(self, script: str, environ: Mapping[str, str] | None = None) -> Script:
        """Begin a step `sh`."""
        folder = Path(f"{self.workspace}@tmp", f"durable-{next(self._numbers)}")
        step = Script(folder, f"durable-{folder.name}-{os.getpid()}")
        folder.mkdir()
        (folder / "script.sh").write_text(script)
        give(folder)
        run = (
            f"jsc={step.cookie}; {_COOKIE}=$jsc sh -xe '{folder}/script.sh' > '{folder}/jenkins-log.txt' 2>&1; "
            f"echo $? > '{folder}/jenkins-result.txt.tmp'; "
            f"mv '{folder}/jenkins-result.txt.tmp' '{folder}/jenkins-result.txt'; wait"
        )
        variables = {**(environ or {}), _COOKIE: "please-do-not-kill-me"}
        given = [word for name, value in variables.items() for word in ("--env", f"{name}={value}")]
        subprocess.Popen(
            ["docker", "exec", *given, "-w", str(self.workspace), self.id, "nohup", "sh", "-c", run],
            env=self.engine.environ, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        return step

    def sh(self, script: str, environ: Mapping[str, str] | None = None) -> Script:
        """Take a step `sh` to its end."""
        step = self.start(script, environ)
        step.exit_code()
        return step

    def abort(self, step: Script) -> None:
        """Abort a build, or let its `timeout` run out: signal every process that has the step's cookie."""
        listed = self.engine.docker("exec", self.id, "ps", "-A", "-o", "pid,command", "e").stdout
        found = [line.split()[0] for line in listed.splitlines() if f"{_COOKIE}={step.cookie}" in line]
        assert found, listed
        self.engine.docker("exec", self.id, "kill", *found)

    def processes(self) -> str:
        """Return what runs in it."""
        return self.engine.docker("exec", self.id, "ps", "-A", "-o", "pid,ppid,command").stdout


@contextmanager
def inside(
    engine: Engine, image: str, workspace: Path, args: Sequence[str], environ: Mapping[str, str]
) -> Iterator[Container]:
    """Run a container of the image for a build, as its user; `args` are those of the Jenkinsfile."""
    temporary = Path(f"{workspace}@tmp")
    temporary.mkdir()
    give(temporary, workspace)
    mounts = [word for path in (workspace, temporary) for word in ("-v", f"{path}:{path}:rw,z")]
    variables = [word for name, value in environ.items() for word in ("-e", f"{name}={value}")]
    started = engine.docker(
        "run", "-t", "-d", "-u", f"{USER}:{USER}", *args, "-w", str(workspace), *mounts, *variables, image, "cat"
    )
    container = Container(engine, started.stdout.strip().splitlines()[-1], workspace)
    try:
        if not engine.podman:  # whose answer to the client ends early
            assert " cat" in engine.docker("top", container.id, "-eo", "pid,comm").stdout
        yield container
    finally:
        engine.docker("stop", "--time=1", container.id)
        engine.docker("rm", "-f", "--volumes", container.id)


def give(*places: Path) -> None:
    """Make everything there belong to the agent's user."""
    if os.geteuid() != 0:
        return
    for place in places:
        for path in (place, *place.rglob("*")):
            os.chown(path, USER, USER, follow_symlinks=False)


def arguments(jenkinsfile: str, *, fork: bool = False) -> list[str]:
    """Return the `args` of the agent in a generated Jenkinsfile, as Groovy and the plugin read them."""
    text = jenkinsfile.partition('args """')[2].partition('"""')[0]
    text = text.replace("\\\n", " ").replace("${env.CHANGE_FORK ? ':ro' : ''}", ":ro" if fork else "")
    assert "$" not in text
    return shlex.split(text)
