"""What becomes of experiments that have ended: brought back, compared, promoted, run again, removed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mlbutler.verbs.options import common, verb
from mlbutler.verbs.train import Duration, train


@verb("retry", "mlbutler train retry lr-1", "mlbutler train retry lr --failed", group=train,
      short="Run the very same input again.")  # fmt: skip
@click.argument("names", nargs=-1)
@click.option("--failed", is_flag=True, show_envvar=True,
              help="Only those that failed, timed out or were not set up; without a name, of all.")  # fmt: skip
@common
def train_retry(directory: Path, console: Any, names: tuple[str, ...], failed: bool) -> int:
    """Run experiments again that ended without a result: the very same input, whatever the work tree is now."""
    if not names and not failed:
        raise click.UsageError("Name the experiments, or pass --failed.")
    from mlbutler.commands.train.retry import retry

    return retry(directory, console, names, failed=failed)


@verb("compare", "mlbutler train compare lr-1", "mlbutler train compare lr-1 lr-2 --json",
      "mlbutler train compare lr --comment", group=train,
      short="Compare an experiment's results, and judge the gates.")  # fmt: skip
@click.argument("name")
@click.argument("other", required=False)
@click.option("--format", "form", type=click.Choice(("text", "markdown", "html")), show_envvar=True,
              help="A leaderboard of all that are meant, the best first (default: of several, as text).")  # fmt: skip
@click.option("--comment", is_flag=True, show_envvar=True,
              help="Put the leaderboard on the pull request of the branch that is checked out.")  # fmt: skip
@common
def train_compare(directory: Path, console: Any, name: str, other: str | None, form: str | None, comment: bool) -> int:
    """Compare an experiment's results with its baseline, or with another experiment's, and judge the gates."""
    if other is not None and (form is not None or comment):
        raise click.UsageError("--format and --comment are for the leaderboard of one name, pattern or sweep.")
    if comment and form is not None:
        raise click.UsageError("--comment has a format of its own.")
    from mlbutler.commands.train.compare import compare

    return compare(directory, console, name, other, form, comment=comment)


@verb("promote", "mlbutler train promote lr-1", "mlbutler train promote lr-1 --branch better-rate", group=train,
      short="Push an experiment's results as a branch, with a pull request.")  # fmt: skip
@click.argument("name")
@click.option("--branch", metavar="BRANCH", show_envvar=True, help="The branch's name (default: NAME-branch).")
@click.option("--no-pull-request", is_flag=True, show_envvar=True, help="Push only the branch.")
@common
def train_promote(directory: Path, console: Any, name: str, branch: str | None, no_pull_request: bool) -> int:
    """Push an experiment's results as a branch, its data before it, and open a pull request."""
    from mlbutler.commands.train.promote import promote

    return promote(directory, console, name, branch, pull_request=not no_pull_request)


@verb("fetch", "mlbutler train fetch lr-1", "mlbutler train fetch lr-1 --data",
      "mlbutler train fetch lr-1 --only model.pt",
      group=train, short="Bring an experiment's results into the work tree.")  # fmt: skip
@click.argument("name")
@click.option("--data", is_flag=True, show_envvar=True, help="Bring what DVC keeps too.")
@click.option("--only", multiple=True, metavar="PATH", show_envvar=True,
              help="Only this file or folder, kept by Git or by DVC. May be repeated.")  # fmt: skip
@common
def train_fetch(directory: Path, console: Any, name: str, data: bool, only: tuple[str, ...]) -> int:
    """Write what an experiment made into the work tree; unsaved work is never overwritten."""
    from mlbutler.commands.train.fetch import fetch

    return fetch(directory, console, name, data=data, only=only)


@verb("rm", "mlbutler train rm lr-1", "mlbutler train rm 'lr-*' --yes", "mlbutler train rm --older-than 30d",
      group=train, short="Remove experiments.")  # fmt: skip
@click.argument("names", nargs=-1)
@click.option("--older-than", type=Duration(), metavar="TIME", show_envvar=True,
              help="Only those that ended so long ago, such as 12h or 30d; without a name, of all.")  # fmt: skip
@click.option("-y", "--yes", is_flag=True, show_envvar=True, help="Several at once, too, without a question.")
@common
def train_rm(directory: Path, console: Any, names: tuple[str, ...], older_than: float | None, yes: bool) -> int:
    """Remove experiments that have ended: their state, their log and their results."""
    if not names and older_than is None:
        raise click.UsageError("Name the experiments, or pass --older-than.")
    from mlbutler.commands.train.remove import remove

    return remove(directory, console, names, yes=yes, older_than=older_than)
