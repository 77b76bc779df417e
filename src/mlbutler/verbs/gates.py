"""The verb that measures gates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mlbutler.verbs.options import against, cli, common, verb


@cli.group()
def gate() -> None:
    """Measure how reliable gates are that judge by repeated runs."""


@verb("calibrate", "mlbutler gate calibrate", "mlbutler gate calibrate accuracy --repeats 5 --runs 40", group=gate,
      short="How often does a gate raise a false alarm, and what does it miss.")  # fmt: skip
@click.argument("metric", required=False)
@against
@click.option("--repeats", type=click.IntRange(2, 200), metavar="N", show_envvar=True,
              help="Repeats of the gate (default: the gate's own, else 5).")  # fmt: skip
@click.option("--runs", type=click.IntRange(4, 1000), metavar="N", show_envvar=True,
              help="Seeds to run the target with (default: four for each repeat, at least 20).")  # fmt: skip
@common
def gate_calibrate(
    directory: Path, console: Any, metric: str | None, against: str | None, repeats: int | None, runs: int | None
) -> int:
    """Compare the target with itself: how often the gate raises a false alarm, and what it misses."""
    from mlbutler.commands.gate import calibrate_gates

    return calibrate_gates(directory, console, metric, against=against, repeats=repeats, runs=runs)
