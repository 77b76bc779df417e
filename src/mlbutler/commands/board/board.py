"""`mlbutler board`: write the page of all experiments, or print them as JSON or CSV."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from mlbutler.atomic import write
from mlbutler.commands.board.gather import gather
from mlbutler.commands.start import begin
from mlbutler.console import Console
from mlbutler.errors import EXIT_PASSED, OutsideError, UsageError
from mlbutler.numbers import count
from mlbutler.report.board import data
from mlbutler.report.board.page import render
from mlbutler.symlinks import Symlinks

PAGE = Path(".mlbutler", "board", "index.html")
"""Below the project's root: a folder of its own, as CI servers and forges publish folders."""


@dataclass(frozen=True)
class BoardOptions:
    """What `mlbutler board` is to do.

    Attributes:
        output: the page's file, absolute; None for the usual one. commits: of the target branch, and of all others.
        merged: also commits that came in by a merge. fetch: ask the Git remote first.
    """

    output: Path | None
    csv: bool
    commits: int
    merged: bool
    open: bool
    fetch: bool


def board(directory: Path, console: Console, options: BoardOptions) -> int:
    """Write the page; return the exit code 0.

    Raises:
        UsageError: no project, or a folder is in the page's place. OutsideError: it cannot be written.
    """
    console.json = console.json or options.csv  # what is said goes to standard error
    with begin(directory, console, watching=True) as context:
        found = gather(context, options.commits, merged=options.merged, fetching=options.fetch)
        if options.csv:
            sys.stdout.write(data.as_csv(found))
        elif console.json:
            print(json.dumps(data.document(found)))
        if options.csv or (console.json and options.output is None and not options.open):
            return EXIT_PASSED
        page = _page(context.root, context.symlinks, options.output)
        try:
            write(page, render(found).encode("utf-8", "replace"), durable=False)
        except OSError as error:
            remedy = "Name another file: -o FILE"
            raise OutsideError(f"{page} cannot be written: {error.strerror or error}.", remedy) from error
        for note in found.notes:
            console.line(f"Note: {note}")
        console.path(count(len(found.rows), "experiment"), page)
    if options.open:
        console.open(page)
    return EXIT_PASSED


def _page(root: Path, symlinks: Symlinks, output: Path | None) -> Path:
    if output is None:
        symlinks.check([PAGE.as_posix()])
        return root / PAGE
    if output.is_dir():
        raise UsageError(f"{output} is a folder.", f"Name a file: -o {shlex.quote(str(output / 'index.html'))}")
    symlinks.check_inside(output)
    return output
