"""A controller on this machine, and a check of Jenkinsfiles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mlbutler.verbs.options import F, cli, common, verb


@cli.group()
def jenkins() -> None:
    """Run a Jenkins server on this machine, or check a Jenkinsfile."""


def _home(function: F) -> F:
    text = "The server's folder (default: in ~/.local/share/mlbutler/jenkins, named after the repository)."
    return click.option(
        "--home", type=click.Path(path_type=Path), metavar="DIR", show_envvar=True, help=text
    )(function)  # fmt: skip


@verb("up", "mlbutler jenkins up", "mlbutler jenkins up --source gitea --port 8081",
       "mlbutler jenkins up --war jenkins.war --plugins plugins/", group=jenkins,
      short="Start a controller with an agent and a job for this repository.")  # fmt: skip
@_home
@click.option("--name", metavar="NAME", show_envvar=True,
              help="Name of the server and its job (default: the repository's).")  # fmt: skip
@click.option("--url", metavar="URL", show_envvar=True, help="What the job builds (default: the remote 'origin').")
@click.option("--source", metavar="KIND", show_envvar=True,
              help="git, github, gitlab, gitea, bitbucket or dagshub (default: by the host's name).")  # fmt: skip
@click.option("--server", metavar="URL", show_envvar=True, help="The forge's address (default: the repository's host).")
@click.option("--script", default="Jenkinsfile", metavar="PATH", show_default=True, show_envvar=True,
              help="The Jenkinsfile's path.")  # fmt: skip
@click.option("--bind", default="127.0.0.1", metavar="ADDRESS", show_default=True, show_envvar=True,
              help="Address to listen on.")  # fmt: skip
@click.option("--port", type=click.IntRange(1, 65535), default=8080, show_default=True, show_envvar=True,
              metavar="N", help="Port to listen on.")  # fmt: skip
@click.option("--label", default="docker", metavar="LABELS", show_default=True, show_envvar=True,
              help="Labels that the agent offers.")  # fmt: skip
@click.option("--executors", type=click.IntRange(1), default=2, show_default=True, show_envvar=True,
              help="Builds at once on the agent.")  # fmt: skip
@click.option("--war", type=click.Path(path_type=Path), metavar="FILE", show_envvar=True,
              help="Without Docker: run this jenkins.war with Java.")  # fmt: skip
@click.option("--plugins", type=click.Path(path_type=Path), metavar="DIR", show_envvar=True,
              help="With --war: a folder of .hpi or .jpi files to install.")  # fmt: skip
@click.option("--java", default="java", metavar="PATH", show_envvar=True, help="With --war: the Java to use.")
@click.option("--timeout", type=click.FloatRange(min=1), default=600, metavar="SECONDS", show_envvar=True,
              help="How long to wait for an answer (default: 600).")  # fmt: skip
@common
def jenkins_up(directory: Path, console: Any, label: str, timeout: float, **options: Any) -> int:
    """Start a controller with an agent and a job for this repository, and wait until they answer."""
    from mlbutler.commands.jenkins import ServerOptions, up

    return up(directory, console, ServerOptions(labels=label, **options), timeout=timeout)


@verb("down", "mlbutler jenkins down", "mlbutler jenkins down --all", group=jenkins,
      short="Stop the controller and its agent.")  # fmt: skip
@_home
@click.option("--all", "everything", is_flag=True, show_envvar=True, help="Remove builds, workspaces and mirror too.")
@common
def jenkins_down(directory: Path, console: Any, home: Path | None, everything: bool) -> int:
    """Stop the controller and its agent; their data stay unless --all is given."""
    from mlbutler.commands.jenkins import down

    return down(directory, console, home, everything=everything)


@verb("status", "mlbutler jenkins status", "mlbutler jenkins status --json", group=jenkins)
@_home
@common
def jenkins_status(directory: Path, console: Any, home: Path | None) -> int:
    """Say whether controller and agent answer."""
    from mlbutler.commands.jenkins import status

    return status(directory, console, home)


@verb("validate", "mlbutler jenkins validate", "mlbutler jenkins validate ci/Jenkinsfile --url https://jenkins.example.org/",
      group=jenkins, short="Check a Jenkinsfile, offline or with a controller.")  # fmt: skip
@click.argument("file", type=click.Path(path_type=Path), default=Path("Jenkinsfile"))
@click.option("--url", metavar="URL", show_envvar=True, help="Ask this controller, or this job on it, too.")
@common
def jenkins_validate(directory: Path, console: Any, file: Path, url: str | None) -> int:
    """Check a Jenkinsfile, offline or with a controller."""
    from mlbutler.commands.jenkins import validate

    return validate(directory, console, file, url)
