"""What agents and servers need: the mirror, the files for Jenkins, a controller."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mlbutler.verbs.options import F, cli, common, verb


@cli.group()
def store() -> None:
    """The mirror: a directory of artifacts that builds share."""


def _mirror(function: F) -> F:
    text = "The mirror's directory (default: the setting data.mirror)."
    return click.option(
        "--mirror", type=click.Path(path_type=Path), metavar="DIR", show_envvar=True, help=text
    )(function)  # fmt: skip


@verb("status", "mlbutler store status", "mlbutler store status --mirror /mirror --json", group=store)
@_mirror
@common
def store_status(directory: Path, console: Any, mirror: Path | None) -> int:
    """Say what the mirror holds and who uses it."""
    from mlbutler.commands.store import status

    return status(directory, console, mirror)


@verb("verify", "mlbutler store verify", group=store, short="Hash every object and remove damaged ones.")
@_mirror
@click.option("--jobs", type=click.IntRange(1), default=2, show_default=True, show_envvar=True,
              help="Files hashed at once.")  # fmt: skip
@common
def store_verify(directory: Path, console: Any, mirror: Path | None, jobs: int) -> int:
    """Hash every object of the mirror and remove damaged ones, which then come anew."""
    from mlbutler.commands.store import verify

    return verify(directory, console, mirror, jobs)


@verb("prune", "mlbutler store prune --limit 200GB", "mlbutler store prune --older-than 30d --dry-run", group=store,
      short="Evict what was used least recently.")  # fmt: skip
@_mirror
@click.option("--limit", metavar="SIZE", show_envvar=True, help="Such as 200GB (default: data.mirror_limit).")
@click.option("--older-than", metavar="TIME", show_envvar=True, help="Also what was not used for so long, such as 30d.")
@click.option("--dry-run", is_flag=True, show_envvar=True, help="Only say what would be evicted.")
@click.option("--adopt", type=click.Path(path_type=Path), metavar="DIR", allow_from_autoenv=False,
              help="Vouch that DIR, the mirror once more, is no DVC remote.")  # fmt: skip
@common
def store_prune(
    directory: Path,
    console: Any,
    mirror: Path | None,
    limit: str | None,
    older_than: str | None,
    dry_run: bool,
    adopt: Path | None,
) -> int:
    """Evict what was used least recently, but nothing that a running build uses."""
    from mlbutler.commands.store import prune

    return prune(directory, console, mirror, limit, older_than, dry=dry_run, adopt=adopt)


@verb("init", "mlbutler init --dry-run", "mlbutler init --agent label:gpu --gate-as unstable",
       "mlbutler init --update", short="Write Jenkinsfile, Dockerfile and mlbutler.toml.")  # fmt: skip
@click.option("--agent", metavar="KIND", show_envvar=True,
              help="Where builds run: docker (default), label:NAME for agents of that label, kubernetes.")  # fmt: skip
@click.option("--mirror", metavar="DIR", show_envvar=True,
              help="What builds share (default: /mirror; with label:NAME the agent's setting).")  # fmt: skip
@click.option("--image", metavar="NAME", show_envvar=True, help="With kubernetes: the image that the pod runs.")
@click.option("--gate-as", type=click.Choice(["fail", "unstable"]), show_envvar=True,
              help="What a failed gate makes of the build (default: fail).")  # fmt: skip
@click.option("--requirement", metavar="SPEC", show_envvar=True,
              help="What pip installs as mlbutler in the image (default: this version).")  # fmt: skip
@click.option("--dry-run", is_flag=True, show_envvar=True, help="Show what would be written, and write nothing.")
@click.option("--update", is_flag=True, show_envvar=True, help="Keep your edits of what an earlier init wrote.")
@click.option("--yes", is_flag=True, show_envvar=True, help="Overwrite files that are there without asking.")
@common
def init(directory: Path, console: Any, **options: Any) -> int:
    """Write Jenkinsfile, Dockerfile and mlbutler.toml for this project."""
    from mlbutler.commands.init import InitOptions
    from mlbutler.commands.init import init as command

    return command(directory, console, InitOptions(**options))


@cli.group()
def jenkins() -> None:
    """A Jenkins server on this machine, and a check of Jenkinsfiles."""


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
    """Stop the controller and its agent; their data stay unless told otherwise."""
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
@click.option("--url", metavar="URL", show_envvar=True, help="Ask this controller's own validator too.")
@common
def jenkins_validate(directory: Path, console: Any, file: Path, url: str | None) -> int:
    """Check a Jenkinsfile, offline or with a controller's own validator."""
    from mlbutler.commands.jenkins import validate

    return validate(directory, console, file, url)
