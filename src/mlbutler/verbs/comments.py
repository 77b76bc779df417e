"""Verbs about what people say on a pull request."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mlbutler.verbs.options import common, verb


@verb("approve", "mlbutler approve 17 3f2c1e0a9b8d7c6e5f4a3b2c1d0e9f8a7b6c5d4e", "mlbutler approve --check",
      short="Let a commit of a fork's pull request run with credentials.")  # fmt: skip
@click.argument("number", required=False)
@click.argument("commit", required=False)
@click.option("--check", is_flag=True, show_envvar=True,
              help="On a CI server: is the commit that is checked out approved, and by whom?")  # fmt: skip
@common
def approve(directory: Path, console: Any, number: str | None, commit: str | None, check: bool) -> int:
    """Let COMMIT of a fork's pull request NUMBER, whose code you have read, run as the repository's own."""
    from mlbutler.commands import approve as command

    if check:
        if number is not None:
            raise click.UsageError("--check takes no number: it is about the commit that is checked out.")
        return command.check(directory, console)
    if number is None or commit is None:
        raise click.UsageError("Name the pull request's number and the whole commit that you have read.")
    return command.approve(directory, console, number, commit)


@verb("on-comment", "mlbutler on-comment --quiet", "mlbutler on-comment --number 17 --comment 4711",
      short="Do what a comment on a pull request asks for.")  # fmt: skip
@click.option("--event", type=click.Path(path_type=Path), metavar="FILE", show_envvar=True,
              help="The event's or webhook's JSON (default: the file that GITHUB_EVENT_PATH names).")  # fmt: skip
@click.option("--number", metavar="N", default="", show_envvar=True,
              help="In its place: the pull request's number, and ...")  # fmt: skip
@click.option("--comment", metavar="ID", default="", show_envvar=True, help="... the comment's.")
@common
def on_comment(directory: Path, console: Any, event: Path | None, number: str, comment: str) -> int:
    """Do what a comment on a pull request asks for, or print what to run, where its author may write."""
    from mlbutler.commands.on_comment import on_comment as command

    return command(directory, console, event, number, comment)
