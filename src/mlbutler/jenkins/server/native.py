"""The server without Docker: the controller's WAR and one agent as processes of this user."""

from __future__ import annotations

import shutil
from pathlib import Path

from mlbutler.atomic import write
from mlbutler.console import Console
from mlbutler.errors import OutsideError, UsageError
from mlbutler.jenkins.client import JenkinsClient
from mlbutler.jenkins.server.background import BackgroundProcess
from mlbutler.jenkins.server.casc import jenkins_yaml
from mlbutler.jenkins.server.credentials import admin_password, given_credentials, knows_hosts
from mlbutler.jenkins.server.model import ADMIN, AGENT, JVM_OPTIONS, JenkinsServer, must_be_free
from mlbutler.jenkins.server.plugins import NEEDED, plugins_txt
from mlbutler.jenkins.server.versions import agent_arguments, java_version, must_fit, read_war

_SECRET = "print(jenkins.model.Jenkins.get().getComputer('{name}').getJnlpMac())"


class Native:
    """A `JenkinsServer` that runs as Java processes.

    Args:
        war: Jenkins' own file; None to look after one that was started before. plugins: a folder of ``.hpi`` or
            ``.jpi`` files that are put in first; None to use those that are there.
        java: the program.
    """

    kind = "native"

    def __init__(
        self, server: JenkinsServer, war: Path | None = None, plugins: Path | None = None, java: str = "java"
    ) -> None:
        self.server, self.war, self.plugins, self.java = server, war, plugins, java
        self.home = server.home / "home"
        self.controller = BackgroundProcess(server.home, "controller")
        self.agent = BackgroundProcess(server.home, AGENT)
        self._processes = (self.controller, self.agent)

    def check(self) -> None:
        """Raise where it cannot be started.

        Raises:
            UsageError: there is no such WAR or Java, they or the plugins do not fit one another, or plugins that the
                configuration needs are missing.
        """
        assert self.war is not None
        war = read_war(self.war)
        program = self._program()
        plugins = {path.stem: path for path in (*self._installed_plugins(), *self._given_plugins())}
        must_fit(war, java_version(program), program, plugins.values())
        if lacking := [name for name in NEEDED if name not in plugins]:
            listed = self.server.home / "plugins.txt"
            write(listed, plugins_txt(self.server.repository.source, war.jenkins).encode())
            raise UsageError(
                f"Jenkins' plugins are missing: {', '.join(lacking)}.",
                f"Download those of {listed} and what they depend on with Jenkins' plugin installation manager "
                f"(jenkins-plugin-manager.jar --war {self.war} -f {listed} -d DIR), then pass --plugins DIR.",
            )

    def write(self) -> None:
        """Write the configuration and put the plugins in."""
        folder = self.home / "plugins"
        folder.mkdir(parents=True, exist_ok=True)
        for path in self._given_plugins():
            shutil.copyfile(path, folder / f"{path.stem}.jpi")
        casc = jenkins_yaml(
            self.server,
            given_credentials(self.server.secrets),
            host_key=None,
            known_hosts=knows_hosts(self.server.secrets),
        )
        write(self.server.home / "casc" / "jenkins.yaml", casc.encode())

    def start(self, console: Console) -> None:
        """Start the controller; the agent follows when it answers (`attend`).

        Raises:
            UsageError: the port is taken.
        """
        assert self.war is not None
        if not self.agent.runs:
            self.agent.stop()  # forgets one that ended before: that is no failure of this start
        if self.controller.runs:
            console.line("The controller runs already; it reads a changed configuration after `mlbutler jenkins down`.")
            return
        must_be_free(self.server)
        self.controller.start(
            [
                self._program(), "-Djava.awt.headless=true", *JVM_OPTIONS, "-jar", str(self.war.resolve()),
                f"--httpPort={self.server.port}", f"--httpListenAddress={self.server.address}",
            ],
            {
                "JENKINS_HOME": str(self.home),
                "CASC_JENKINS_CONFIG": str(self.server.home / "casc"),
                "SECRETS": str(self.server.secrets),
            },
        )  # fmt: skip

    def attend(self) -> None:
        """Start the agent; the controller has to answer.

        Raises:
            AccessDenied, OutsideError: the controller does not answer, or has no such agent.
        """
        assert self.war is not None
        if self.agent.runs:
            return
        with JenkinsClient(self.server.url, ADMIN, admin_password(self.server.secrets)) as client:
            secret = client.script(_SECRET.format(name=AGENT)).strip()
        if not secret or any(not character.isalnum() for character in secret):
            raise OutsideError("The controller does not know its agent.", f"See {self.controller.log}.")
        kept = self.server.secrets / "AGENT_INBOUND_SECRET"
        write(kept, secret.encode())
        kept.chmod(0o400)
        work, jar = self.server.home / "agent", self.server.home / "agent.jar"
        work.mkdir(exist_ok=True)
        war = read_war(self.war)
        write(jar, war.agent)
        arguments = agent_arguments(war, jar, self.server.url, AGENT, kept, work)
        self.agent.start([self._program(), *arguments], {"MLBUTLER_DATA_MIRROR": str(self.server.home / "mirror")})

    def stop(self, console: Console, *, everything: bool) -> None:
        """Stop agent and controller; `everything`: remove builds, workspaces and mirror too."""
        for process in reversed(self._processes):
            if process.runs:
                console.line(f"Stopping the {process.name} ...")
            process.stop()
        if everything:
            for folder in (self.home, self.server.home / "agent", self.server.home / "mirror"):
                shutil.rmtree(folder, ignore_errors=True)

    def parts(self) -> dict[str, str]:
        """Return process -> ``running`` or ``exited``, without those that never ran."""
        return {
            process.name: "running" if process.runs else "exited" for process in self._processes if process.was_started
        }

    def find_ended(self) -> tuple[str, str] | None:
        """Return the name of a process that has ended and what is to be said of it, None while all run."""
        return next(((name, "has ended") for name, state in self.parts().items() if state == "exited"), None)

    def log_tail(self, part: str) -> str:
        """Return the end of a process's log."""
        return self._process(part).log_tail()

    def whole_log(self, part: str) -> str:
        """Return the path of a process's log."""
        return str(self._process(part).log)

    def _process(self, part: str) -> BackgroundProcess:
        return next(process for process in self._processes if process.name == part)

    def _program(self) -> str:
        program = shutil.which(self.java)
        if program is None:
            raise UsageError(f"'{self.java}' is not installed.", "Name a Java that Jenkins supports: --java PATH")
        return program

    def _given_plugins(self) -> list[Path]:
        return sorted(self.plugins.glob("*.[hj]pi")) if self.plugins else []

    def _installed_plugins(self) -> list[Path]:
        return sorted((self.home / "plugins").glob("*.[hj]pi"))
