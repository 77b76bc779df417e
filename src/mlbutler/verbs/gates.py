"""Verbs that measure gates and verify results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mlbutler.verbs.options import against, cli, common, isolate, names_of, verb


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


def _share(context: click.Context, option: click.Parameter, text: str | None) -> float | None:
    """Return a share, as ``0.1`` or ``10%``, as a number above 0 and at most 1."""
    from mlbutler.settings.types import share

    if not text:
        return None
    try:
        found = share(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    if not isinstance(found, float) or not 0 < found <= 1:
        raise click.BadParameter("must be above 0 and at most 100%")
    return found


@verb("verify", "mlbutler verify", "mlbutler verify v1.2 --stage train", "mlbutler verify --sample 10%",
      "mlbutler verify --attestation verified.intoto.jsonl",
      short="Run stages again in a clean clone, and compare with dvc.lock.")  # fmt: skip
@click.argument("revision", metavar="[REV]", required=False)
@click.option("--stage", metavar="STAGE,...", default="", show_envvar=True,
              help="Verify these stages (default: all that have a command).")  # fmt: skip
@click.option("--sample", callback=_share, metavar="SHARE", show_envvar=True,
              help="Draw this share of them at random, at least one, such as 10%.")  # fmt: skip
@click.option("--tolerance", type=click.FloatRange(0, 1), metavar="T", show_envvar=True,
              help="Relative difference up to which a metric's number counts as the same.")  # fmt: skip
@click.option("--attestation", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", show_envvar=True,
              help="Write in-toto statements of the stages that made what is recorded.")  # fmt: skip
@isolate
@common
def verify(
    directory: Path, console: Any, revision: str | None, stage: str, sample: float | None, tolerance: float | None,
    attestation: Path | None, isolate: str | None,
) -> int:  # fmt: skip
    """Run stages of a commit again in a clean clone, without any cache: do they make what dvc.lock records?"""
    from mlbutler.commands.verify import VerifyOptions, verify_commit

    return verify_commit(
        directory, console, revision, VerifyOptions(names_of(stage), sample, tolerance, isolate, attestation)
    )
