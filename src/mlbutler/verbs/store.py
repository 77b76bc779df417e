"""Looking after the mirror."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mlbutler.verbs.options import F, cli, common, verb


@cli.group(short_help="Look after the mirror that an agent's builds share.")
def store() -> None:
    """Look after the mirror that an agent's builds share."""


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
    """Hash every object of the mirror and remove damaged ones, which are then fetched again."""
    from mlbutler.commands.store import verify

    return verify(directory, console, mirror, jobs)


@verb("prune", "mlbutler store prune --limit 200GB", "mlbutler store prune --older-than 30d --dry-run", group=store,
      short="Evict what was used least recently.")  # fmt: skip
@_mirror
@click.option("--limit", metavar="SIZE", show_envvar=True, help="Such as 200GB (default: data.mirror_limit).")
@click.option("--older-than", metavar="TIME", show_envvar=True, help="Also what was not used for so long, such as 30d.")
@click.option("--dry-run", is_flag=True, show_envvar=True, help="Only say what would be evicted.")
@click.option("--adopt", type=click.Path(path_type=Path), metavar="DIR", allow_from_autoenv=False,
              help="Confirm that DIR, the mirror once more, is not a DVC remote.")  # fmt: skip
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
