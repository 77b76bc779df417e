"""Experiments in the builds of a CI server: what its pipeline calls, and nobody else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mlbutler.verbs.options import common, verb
from mlbutler.verbs.train import train


@train.group(hidden=True)
def agent() -> None:
    """Run one experiment in a CI server's build; the generated pipeline calls these."""


@verb("begin", "mlbutler train agent begin", group=agent)
@common
def agent_begin(directory: Path, console: Any) -> int:
    """Take the experiment that the build was given, and bring its data."""
    from mlbutler.commands.train.agent import begin

    return begin(directory, console)


@verb("run", "mlbutler train agent run", group=agent)
@common
def agent_run(directory: Path, console: Any) -> int:
    """Run its stages; no credential is needed."""
    from mlbutler.commands.train.agent import run

    return run(directory, console)


@verb("save", "mlbutler train agent save", "mlbutler train agent save --aborted", group=agent)
@click.option("--aborted", is_flag=True, show_envvar=True, help="The build was, and with it what ran the experiment.")
@common
def agent_save(directory: Path, console: Any, aborted: bool) -> int:
    """Send results, log and state; the exit code is the experiment's result.

    Standard output names which experiments of the sweep may begin now, as `next` does; messages go to standard error.
    """
    from mlbutler.commands.train.agent_save import save

    return save(directory, console, aborted=aborted)


@verb("next", "mlbutler train agent next", group=agent)
@common
def agent_next(directory: Path, console: Any) -> int:
    """Print which experiments of the sweep may begin now, with their labels."""
    from mlbutler.commands.train.agent_next import print_next

    return print_next(directory, console)
