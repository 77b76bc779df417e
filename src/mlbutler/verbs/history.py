"""The metrics over the target branch's commits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mlbutler.verbs.options import common, verb


@verb("history", "mlbutler history", "mlbutler history accuracy", "mlbutler history 'metrics.json:*' --branch v1.0",
      short="Show the metrics over the target branch's commits.")  # fmt: skip
@click.argument("metric", required=False)
@click.option("--branch", metavar="REV", show_envvar=True, help="A branch, tag or commit (default: the target branch).")
@click.option("--commits", type=click.IntRange(1, 100_000), default=200, metavar="N", show_default=True,
              show_envvar=True, help="How many commits to look at.")  # fmt: skip
@common
def history(directory: Path, console: Any, metric: str | None, branch: str | None, commits: int) -> int:
    """Show the metrics over the target branch's commits, or one METRIC commit by commit."""
    from mlbutler.commands.history import history as command

    return command(directory, console, metric, branch=branch, commits=commits)
