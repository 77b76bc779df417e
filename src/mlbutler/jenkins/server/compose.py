"""The server in containers: controller, agent, and a Docker daemon that only the agent can reach."""

from __future__ import annotations

import json
import shutil
import subprocess
from importlib.resources import files
from typing import Any

import yaml

from mlbutler.atomic import write
from mlbutler.console import Console
from mlbutler.errors import OutsideError, UsageError
from mlbutler.jenkins.server.casc import jenkins_yaml
from mlbutler.jenkins.server.credentials import AGENT_KEY, HOST_KEY, given_credentials, knows_hosts, mounted_files
from mlbutler.jenkins.server.model import AGENT, AGENT_HOME, JVM_OPTIONS, MIRROR, JenkinsServer, must_be_free
from mlbutler.jenkins.server.plugins import CONTROLLER, plugins_txt

DOCKER = "docker:29.6.2-dind"
_SERVICES = ("controller", AGENT, "docker")
_ALIVE = ("running", "created")
_IMAGES = ("controller.Dockerfile", "agent.Dockerfile", "start-agent")


class Compose:
    """A `JenkinsServer` that runs under Docker Compose.

    The user's own services and changes go into ``compose.override.yaml``, own configuration into further files of
    ``casc/``: neither is touched here.
    """

    kind = "compose"

    def __init__(self, server: JenkinsServer) -> None:
        self.server = server

    def check(self) -> None:
        """Raise where it cannot be started.

        Raises:
            UsageError: Docker or Compose is missing.
        """
        _compose()

    def write(self) -> None:
        """Write every file that the containers are made from."""
        home = self.server.home
        host_key = (self.server.secrets / f"{HOST_KEY}.pub").read_text(encoding="ascii")
        known = knows_hosts(self.server.secrets)
        casc = jenkins_yaml(self.server, given_credentials(self.server.secrets), host_key=host_key, known_hosts=known)
        write(home / "compose.yaml", compose_yaml(self.server).encode())
        write(home / "casc" / "jenkins.yaml", casc.encode())
        write(home / "image" / "plugins.txt", plugins_txt(self.server.repository.source).encode())
        for name in _IMAGES:
            write(home / "image" / name, (files(__package__) / "images" / name).read_bytes())

    def start(self, console: Console) -> None:
        """Build the images and start the containers.

        Raises:
            UsageError: Docker or Compose is missing, or the port is taken. OutsideError: they failed.
        """
        self._run("config", "--quiet")
        if self.parts().get("controller") != "running":
            must_be_free(self.server)
        self._run("up", "--detach", "--build", "--remove-orphans", console=console)

    def stop(self, console: Console, *, everything: bool) -> None:
        """Stop the containers; `everything`: remove the volumes too, with builds, workspaces and mirror."""
        self._run("down", *(["--volumes"] if everything else []), console=console)

    def parts(self) -> dict[str, str]:
        """Return service -> state, as Docker names it; empty when nothing runs."""
        done = self._run("ps", "--all", "--format", "json")
        lines = done.strip()
        rows = json.loads(lines) if lines.startswith("[") else [json.loads(line) for line in lines.splitlines()]
        return {str(row["Service"]): str(row.get("State", "")) for row in rows}

    def find_ended(self) -> tuple[str, str] | None:
        """Return the name of a service that has ended and what is to be said of it, None while all run."""
        parts = self.parts()
        states = ((part, parts.get(part, "gone")) for part in _SERVICES)
        # One that Docker starts again has ended by itself, and will once more.
        return next(((part, f"is {state}") for part, state in states if state not in _ALIVE), None)

    def log_tail(self, part: str) -> str:
        """Return the end of a service's log."""
        return self._run("logs", "--no-color", "--tail", "30", part)

    def whole_log(self, part: str) -> str:
        """Return the command that shows a service's log."""
        return f"docker compose --project-directory {self.server.home} -p {self.server.compose_name} logs {part}"

    def _run(self, *args: str, console: Console | None = None) -> str:
        command = [*_compose(), "--project-directory", str(self.server.home), "-p", self.server.compose_name, *args]
        try:
            done = subprocess.run(
                command, cwd=self.server.home, text=True, check=False, stdin=subprocess.DEVNULL,
                stdout=console.stream if console and not console.quiet else subprocess.PIPE,
                stderr=subprocess.PIPE if console is None or console.quiet else None,
            )  # fmt: skip
        except FileNotFoundError as error:
            raise _no_docker() from error
        if done.returncode != 0:
            said = (done.stderr or "").strip().splitlines()
            raise OutsideError(
                f"docker compose {args[0]} failed{': ' + said[-1] if said else ''}.",
                "Is the Docker daemon running, and may this user talk to it (`docker info`)? "
                "Without Docker: mlbutler jenkins up --war FILE",
            )
        return done.stdout or ""


def _compose() -> list[str]:
    if shutil.which("docker") is None:
        raise _no_docker()
    plugin = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
    if plugin.returncode == 0:
        return ["docker", "compose"]
    raise UsageError(
        "Docker is here, its Compose plugin is not.",
        "Install it (docker-compose-plugin or docker-compose-v2), or use `mlbutler jenkins up --war FILE`.",
    )


def _no_docker() -> UsageError:
    return UsageError(
        "Docker is not installed.", "Install it with its Compose plugin, or use `mlbutler jenkins up --war FILE`."
    )


# ---------------------------------------------------------------------------------------- the file


def compose_yaml(server: JenkinsServer) -> str:
    """Return the content of ``compose.yaml``."""
    text = yaml.safe_dump(
        {
            "services": {
                "controller": _controller(server), AGENT: _agent(), "docker": _docker(),
            },
            "networks": {"jenkins": {}, "docker": {}},
            "volumes": {"jenkins_home": {}, "workspaces": {}, "mirror": {}, "docker_certs": {}, "docker_data": {}},
            "secrets": _secrets(server),
        },
        sort_keys=False,
        width=1000,
    )  # fmt: skip
    return f"# Written by `mlbutler jenkins up`, again at each start. Your changes: compose.override.yaml\n{text}"


def _controller(server: JenkinsServer) -> dict[str, Any]:
    address = f"[{server.address}]" if ":" in server.address else server.address
    return {
        "build": {"context": "image", "dockerfile": "controller.Dockerfile", "args": {"JENKINS": CONTROLLER}},
        "restart": "unless-stopped",
        "security_opt": ["no-new-privileges:true"],
        "ports": [f"{address}:{server.port}:8080"],
        "networks": ["jenkins"],
        "environment": {
            "CASC_JENKINS_CONFIG": "/casc",
            # The image parts it at blanks, as a shell would.
            "JAVA_OPTS": " ".join(f'"{option}"' if " " in option else option for option in JVM_OPTIONS),
        },
        "volumes": ["jenkins_home:/var/jenkins_home", "./casc:/casc:ro"],
        "secrets": list(mounted_files(server.secrets)),
        "depends_on": {"agent": {"condition": "service_started"}},
        "healthcheck": {
            "test": ["CMD", "curl", "-fsS", "-o", "/dev/null", "http://localhost:8080/login"],
            "interval": "10s",
            "timeout": "5s",
            "retries": 12,
            "start_period": "180s",
        },
    }


def _agent() -> dict[str, Any]:
    return {
        "build": {"context": "image", "dockerfile": "agent.Dockerfile"},
        "restart": "unless-stopped",
        "security_opt": ["no-new-privileges:true"],
        "init": True,
        "networks": ["jenkins", "docker"],
        "volumes": [f"workspaces:{AGENT_HOME}", f"mirror:{MIRROR}", "docker_certs:/certs/client:ro"],
        "secrets": ["AGENT_SSH_PUBLIC_KEY", HOST_KEY],
        "depends_on": {"docker": {"condition": "service_started"}},
    }


def _docker() -> dict[str, Any]:
    return {
        "image": DOCKER,
        "restart": "unless-stopped",
        "privileged": True,
        "networks": ["docker"],
        "environment": {"DOCKER_TLS_CERTDIR": "/certs"},
        # The daemon mounts a build's workspace and the mirror by the paths that the agent knows them by.
        "volumes": [
            f"workspaces:{AGENT_HOME}", f"mirror:{MIRROR}", "docker_certs:/certs/client",
            "docker_data:/var/lib/docker",
        ],
    }  # fmt: skip


def _secrets(server: JenkinsServer) -> dict[str, Any]:
    own = {
        "AGENT_SSH_PUBLIC_KEY": {"file": f"secrets/{AGENT_KEY}.pub"}, HOST_KEY: {"file": f"secrets/{HOST_KEY}"},
    }  # fmt: skip
    return own | {name: {"file": f"secrets/{name}"} for name in mounted_files(server.secrets)}
