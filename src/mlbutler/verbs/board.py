"""The page of experiments."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mlbutler.verbs.options import common, verb


@verb("board", "mlbutler board --open", "mlbutler board --fetch -o public/index.html", "mlbutler board --csv",
      short="Write one page of all experiments: table, charts, side by side.")  # fmt: skip
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE", show_envvar=True,
              help="The page (default: .mlbutler/board/index.html of the project).")  # fmt: skip
@click.option("--open", is_flag=True, show_envvar=True, help="Open the page in a browser.")
@click.option("--csv", is_flag=True, show_envvar=True, help="Print the experiments as CSV instead.")
@click.option("--commits", type=click.IntRange(1, 100_000), default=5000, metavar="N", show_default=True,
              show_envvar=True, help="Commits of the target branch, and of all others, to look at.")  # fmt: skip
@click.option("--all-commits", is_flag=True, show_envvar=True,
              help="Show the commits of merged branches too, each by itself.")  # fmt: skip
@click.option("--fetch", is_flag=True, show_envvar=True,
              help="Bring branches, pull requests and experiments from Git's remote first.")  # fmt: skip
@common
def board(
    directory: Path, console: Any, output: Path | None, csv: bool, commits: int, all_commits: bool, **options: bool
) -> int:
    """Write a page of all experiments of the repository: branches, pull requests, DVC's experiments, trainings."""
    from mlbutler.commands.board.board import BoardOptions
    from mlbutler.commands.board.board import board as command

    if csv and console.json:
        raise click.UsageError("--csv and --json both want standard output: ask for one.")
    if csv and (output is not None or options["open"]):
        raise click.UsageError("--csv prints, and writes no page: -o and --open do not go with it.")
    page = (directory / output).absolute() if output is not None else None
    return command(directory, console, BoardOptions(page, csv, commits, all_commits, **options))
