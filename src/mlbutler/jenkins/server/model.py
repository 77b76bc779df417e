"""What a local server is: where it answers, what it builds, and where its files lie."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from pathlib import Path

from mlbutler.errors import UsageError

AGENT = "agent"
ADMIN = "admin"
# The same paths in the agent and in the Docker daemon beside it: a build's container mounts them by these names.
AGENT_HOME = "/home/jenkins/agent"
MIRROR = "/mirror"
# How the controller serves archived files. Jenkins' own policy forbids the styles and pictures inside a page too, which
# a report of one file has; scripts, frames and other hosts stay off, and the page stays in its sandbox.
ARTIFACT_POLICY = (
    "sandbox allow-same-origin; default-src 'none'; img-src 'self' data:; style-src 'self' 'unsafe-inline';"
)
# How the controller's Java is started. Loading a build that is in the middle of a stage overflows the default stack.
JVM_OPTIONS = (
    "-Xss8m",
    "-Djenkins.install.runSetupWizard=false",
    f"-Dhudson.model.DirectoryBrowserSupport.CSP={ARTIFACT_POLICY}",
)


@dataclass(frozen=True)
class Repository:
    """Hold the Git repository that the job builds.

    Attributes:
        url: without a user name or password. source: which branch source reads it, a key of `job.SOURCES`.
        server: the forge's own address, such as ``https://git.example.org/gitea``.
        path: owner (or group) and name on the forge, ``owner/name``; '' for plain Git.
    """

    url: str
    source: str
    server: str = ""
    path: str = ""

    @property
    def owner(self) -> str:
        """Return the part of `path` before the last slash."""
        return self.path.rpartition("/")[0]

    @property
    def name(self) -> str:
        """Return the part of `path` after the last slash."""
        return self.path.rpartition("/")[2]


@dataclass(frozen=True)
class JenkinsServer:
    """Hold one local Jenkins.

    Attributes:
        name: of the project; also of the job and, with a prefix, of the containers.
        home: the folder that holds everything of this server.
        address: where the port is bound. port: of the web pages.
        labels: what the agent offers. executors: builds at once on the agent.
        script: path of the Jenkinsfile in the repository. train: of that for experiments, '' for no such job.
        branch: the default one, which the latter is read from.
    """

    name: str
    home: Path
    repository: Repository
    address: str = "127.0.0.1"
    port: int = 8080
    labels: str = "docker"
    executors: int = 2
    script: str = "Jenkinsfile"
    train: str = ""
    branch: str = "main"

    @property
    def train_job(self) -> str:
        """Return the name of the job that runs experiments."""
        return f"{self.name}-train"

    @property
    def url(self) -> str:
        """Return the address of its web pages."""
        host = {"0.0.0.0": "localhost", "::": "localhost"}.get(self.address, self.address)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}/"

    @property
    def secrets(self) -> Path:
        """Return the folder of secrets, one file each."""
        return self.home / "secrets"

    @property
    def compose_name(self) -> str:
        """Return the name of the Compose project."""
        return f"mlbutler-{self.name}"


def must_be_free(server: JenkinsServer) -> None:
    """Raise where the server's port cannot be used.

    Raises:
        UsageError: the port is taken, or this machine does not have the address, or this user may not use the port.
    """
    family = socket.AF_INET6 if ":" in server.address else socket.AF_INET
    with socket.socket(family) as probe:
        # A server that was just stopped leaves connections behind that do not hold the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((server.address, server.port))
        except OSError as error:
            raise UsageError(
                f"Jenkins cannot listen on {server.address} port {server.port}: {error.strerror or error}.",
                "Stop what does, or choose another port (--port 8081) or address (--bind).",
            ) from error


def job_name(text: str) -> str:
    """Return a name made from any text that is valid for Jenkins, Docker and paths.

    Raises:
        UsageError: no valid character is left.
    """
    name = re.sub(r"[^a-z0-9_-]+", "-", text.lower()).strip("-_")[:60]
    if not name:
        raise UsageError(f"'{text}' does not make a name for the server.", "Give one: --name my-project")
    return name
