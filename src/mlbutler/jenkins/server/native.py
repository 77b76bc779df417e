"""The server without Docker: the controller's WAR and one agent as processes of this user."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from mlbutler.atomic import write
from mlbutler.console import Console
from mlbutler.errors import OutsideError, UsageError
from mlbutler.jenkins.client import JenkinsClient
from mlbutler.jenkins.server.casc import jenkins_yaml
from mlbutler.jenkins.server.credentials import admin_password, given, knows_hosts
from mlbutler.jenkins.server.model import ADMIN, AGENT, ARTIFACT_POLICY, Server, must_be_free
from mlbutler.jenkins.server.plugins import NEEDED, plugins_txt
from mlbutler.secrets import secret_values, without_credentials

_PATIENCE = 20.0  # seconds between asking a process to stop and killing it
_SECRET = "print(jenkins.model.Jenkins.get().getComputer('{name}').getJnlpMac())"


class Native:
    """Run a `Server` as Java processes.

    Args:
        war: Jenkins' own file; None to look after one that was started before. plugins: a folder of ``.hpi`` or
            ``.jpi`` files that are put in first; None to use those that are there.
        java: the program.
    """

    kind = "native"

    def __init__(
        self, server: Server, war: Path | None = None, plugins: Path | None = None, java: str = "java"
    ) -> None:
        self.server, self.war, self.plugins, self.java = server, war, plugins, java
        self.home = server.home / "home"

    def write(self) -> None:
        """Write the configuration and put the plugins in.

        Raises:
            UsageError: there is no such WAR, or plugins that the configuration needs are missing.
        """
        if self.war is None or not self.war.is_file():
            raise UsageError(
                f"There is no file {self.war}.", "Download jenkins.war from https://get.jenkins.io/war-stable/"
            )
        source = self.server.repository.source
        write(self.server.home / "plugins.txt", plugins_txt(source).encode())
        folder = self.home / "plugins"
        folder.mkdir(parents=True, exist_ok=True)
        for path in sorted(self.plugins.glob("*.[hj]pi")) if self.plugins else ():
            shutil.copyfile(path, folder / f"{path.stem}.jpi")
        there = {path.stem for path in folder.glob("*.[hj]pi")}
        if lacking := [name for name in NEEDED if name not in there]:
            raise UsageError(
                f"Jenkins' plugins are missing: {', '.join(lacking)}.",
                f"Download those of {self.server.home / 'plugins.txt'} and what they depend on with Jenkins' plugin "
                "installation manager (jenkins-plugin-manager.jar), then pass --plugins DIR.",
            )
        casc = jenkins_yaml(
            self.server, given(self.server.secrets), host_key=None, known_hosts=knows_hosts(self.server.secrets)
        )
        write(self.server.home / "casc" / "jenkins.yaml", casc.encode())

    def start(self, console: Console) -> None:
        """Start the controller; the agent follows when it answers (`attend`).

        Raises:
            UsageError: Java is missing, or the port is taken.
        """
        assert self.war is not None
        if self._alive("controller"):
            console.line("The controller runs already; it reads a changed configuration after `mlbutler jenkins down`.")
            return
        must_be_free(self.server)
        self._launch(
            "controller",
            [
                "-Djava.awt.headless=true", "-Djenkins.install.runSetupWizard=false", ARTIFACT_POLICY,
                "-jar", str(self.war.resolve()),
                f"--httpPort={self.server.port}", f"--httpListenAddress={self.server.address}",
            ],
            {
                "JENKINS_HOME": str(self.home),
                "CASC_JENKINS_CONFIG": str(self.server.home / "casc"),
                "SECRETS": str(self.server.secrets),
            },
        )  # fmt: skip

    def attend(self, console: Console) -> None:
        """Start the agent; the controller has to answer."""
        if self._alive(AGENT):
            return
        password = admin_password(self.server.secrets)
        with JenkinsClient(self.server.url, ADMIN, password) as client:
            jar = self.server.home / "agent.jar"
            write(jar, client.download("jnlpJars/agent.jar"))
            secret = client.script(_SECRET.format(name=AGENT)).strip()
        if not secret or any(not character.isalnum() for character in secret):
            raise OutsideError("The controller does not know its agent.", f"See {self._log('controller')}.")
        kept = self.server.secrets / "AGENT_INBOUND_SECRET"
        write(kept, secret.encode())
        kept.chmod(0o400)
        work = self.server.home / "agent"
        work.mkdir(exist_ok=True)
        options = ["-jar", str(jar), "-url", self.server.url, "-name", AGENT, "-secret", f"@{kept}"]
        mirror = {"MLBUTLER_DATA_MIRROR": str(self.server.home / "mirror")}
        self._launch(AGENT, [*options, "-webSocket", "-workDir", str(work)], mirror)

    def stop(self, console: Console, *, everything: bool) -> None:
        """Stop agent and controller; `everything`: remove builds, workspaces and mirror too."""
        for name in (AGENT, "controller"):
            self._stop(name, console)
        if everything:
            for folder in (self.home, self.server.home / "agent", self.server.home / "mirror"):
                shutil.rmtree(folder, ignore_errors=True)

    def parts(self) -> dict[str, str]:
        """Return process -> ``running`` or ``exited``, without those that never ran."""
        names = [name for name in ("controller", AGENT) if self._state(name).is_file()]
        return {name: "running" if self._alive(name) else "exited" for name in names}

    def trouble(self) -> str:
        """Return why it will never answer, '' while it may."""
        return "" if self._alive("controller") else "the controller has ended"

    def last_words(self) -> str:
        """Return the end of the controller's log."""
        try:
            text = self._log("controller").read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""
        return "\n".join(text.splitlines()[-30:])

    # ------------------------------------------------------------------------------------ processes

    def _state(self, name: str) -> Path:
        return self.server.home / f"{name}.process.json"

    def _log(self, name: str) -> Path:
        return self.server.home / f"{name}.log"

    def _launch(self, name: str, arguments: Sequence[str], further: dict[str, str]) -> None:
        program = shutil.which(self.java)
        if program is None:
            raise UsageError(f"'{self.java}' is not installed.", "Jenkins 2.555 and later need Java 21: --java PATH")
        # What a build can read must not hold the credentials of the user who started the server.
        environ = without_credentials(os.environ, secret_values(os.environ)) | further
        with self._log(name).open("ab") as log:
            process = subprocess.Popen(
                [program, *arguments], cwd=self.server.home, env=environ, stdin=subprocess.DEVNULL,
                stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        kept = {"pid": process.pid, "started": _started(process.pid)}
        write(self._state(name), json.dumps(kept).encode())

    def _pid(self, name: str) -> int | None:
        """Return the process id, if it is still the process that was started here."""
        try:
            kept = json.loads(self._state(name).read_text(encoding="ascii"))
            pid, started = int(kept["pid"]), kept["started"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return pid if _started(pid) == started is not None else None

    def _alive(self, name: str) -> bool:
        return self._pid(name) is not None

    def _stop(self, name: str, console: Console) -> None:
        pid = self._pid(name)
        if pid is not None:
            console.line(f"Stopping the {name} ...")
            for number in (signal.SIGTERM, signal.SIGKILL):
                try:
                    os.killpg(pid, number)
                except ProcessLookupError:
                    break
                until = time.monotonic() + _PATIENCE
                while self._alive(name) and time.monotonic() < until:
                    time.sleep(0.1)
                if not self._alive(name):
                    break
        self._state(name).unlink(missing_ok=True)


def _started(pid: int) -> str | None:
    """Return when a process began, in the kernel's ticks; None when it is gone or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return _started_elsewhere(pid)
    return fields[19] if fields[0] not in ("Z", "X") else None


def _started_elsewhere(pid: int) -> str | None:
    """Return when a process began according to ``ps``, where there is no /proc."""
    if Path("/proc/self/stat").exists():
        return None
    done = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return done.stdout.strip() or None
