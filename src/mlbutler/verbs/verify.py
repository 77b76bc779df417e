"""The verb that verifies results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mlbutler.verbs.options import common, isolate, names_of, verb


def _share(context: click.Context, option: click.Parameter, text: str | None) -> float | None:
    """Return a share, as ``0.1`` or ``10%``, as a number above 0 and at most 1."""
    from mlbutler.settings.types import parse_share

    if not text:
        return None
    try:
        found = parse_share(text)
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
