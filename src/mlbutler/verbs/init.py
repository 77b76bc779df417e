"""The files that let a CI server serve a project."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mlbutler.verbs.options import common, verb


@verb("init", "mlbutler init --dry-run", "mlbutler init --agent label:gpu --gate-as unstable",
       "mlbutler init --ci github-actions", "mlbutler init --update",
       short="Write Jenkinsfile, Dockerfile and mlbutler.toml.")  # fmt: skip
@click.option("--ci", type=click.Choice(["jenkins", "github-actions", "gitlab-ci"]), show_envvar=True,
              help="For which CI server (default: jenkins).")  # fmt: skip
@click.option("--agent", metavar="KIND", show_envvar=True,
              help="Where builds run: docker (default), label:NAME for agents of that label, kubernetes.")  # fmt: skip
@click.option("--mirror", metavar="DIR", show_envvar=True,
              help="What builds share (default: /mirror; with label:NAME the agent's setting).")  # fmt: skip
@click.option(
    "--image", metavar="NAME", show_envvar=True, help="With kubernetes or gitlab-ci: the image that builds run in."
)
@click.option("--gate-as", type=click.Choice(["fail", "unstable"]), show_envvar=True,
              help="What a failed gate makes of the build (default: fail).")  # fmt: skip
@click.option("--requirement", metavar="SPEC", show_envvar=True,
              help="What pip installs as mlbutler in the image (default: this version; where no package index has it, "
                   "from a wheel beside the Dockerfile).")  # fmt: skip
@click.option("--gpu/--no-gpu", default=None, show_envvar=True,
              help="Give containers the agent's graphics cards.")  # fmt: skip
@click.option("--shm-size", metavar="SIZE", show_envvar=True,
              help="Shared memory of containers, such as 8g (default: Docker's 64 MB).")  # fmt: skip
@click.option("--train/--no-train", default=None, show_envvar=True,
              help="With jenkins: Jenkinsfile.train too, for the job that runs experiments.")  # fmt: skip
@click.option("--commands/--no-commands", default=None, show_envvar=True,
              help="What does as comments ask too: Jenkinsfile.commands, or a workflow of GitHub's.")  # fmt: skip
@click.option("--dry-run", is_flag=True, show_envvar=True, help="Show what would be written, and write nothing.")
@click.option("--update", is_flag=True, show_envvar=True, help="Keep your edits of what an earlier init wrote.")
@click.option("--yes", is_flag=True, show_envvar=True, help="Overwrite files that are there without asking.")
@common
def init(directory: Path, console: Any, **options: Any) -> int:
    """Write Jenkinsfile, Dockerfile and mlbutler.toml for this project, or another CI server's file."""
    from mlbutler.commands.init import InitOptions
    from mlbutler.commands.init import init as command

    return command(directory, console, InitOptions(**options))
