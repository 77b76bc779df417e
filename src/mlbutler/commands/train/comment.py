"""Put a leaderboard on the pull request of the branch that is checked out: one comment, updated in place."""

from __future__ import annotations

import dataclasses
import os

from mlbutler.change.detect import detect
from mlbutler.change.order import is_older
from mlbutler.commands.train.leaderboard import Leaderboard
from mlbutler.commands.train.opening import Training
from mlbutler.errors import UsageError
from mlbutler.forge.detect import locate_forge
from mlbutler.forge.interface import Capabilities
from mlbutler.forge.opening import Opening
from mlbutler.forge.registry import open_forge
from mlbutler.numbers import count
from mlbutler.report.markdown import Limits
from mlbutler.report.marker import marker


def post_leaderboard(training: Training, name: str, table: Leaderboard) -> None:
    """Write the leaderboard into its comment, or add the comment; print its address.

    Args:
        name: what the experiments are called together, by which the comment is found again.

    Raises:
        UsageError: no forge is known, or no pull request is open. NoToken, ForgeError: the forge does not take it.
    """
    environ, say = os.environ, training.console.line
    change = detect(training.git, environ, training.settings)
    place = locate_forge(training.settings.forge, environ, change)
    if place is None:
        raise UsageError("No forge is known here that has pull requests.", "Set forge.kind in mlbutler.toml.")
    forge = open_forge(Opening(place=place, environ=environ, root=training.folder.root, say=say))
    pull = forge.pull_request(change)
    if pull is None:
        raise UsageError(
            f"No pull request is open of the branch {change.head_branch or change.head[:10]}.",
            "Open one, or check its branch out.",
        )
    change = dataclasses.replace(change, number=pull.number)
    title = f"leaderboard of {name}"
    text = training.console.redactor.hide(_fitting(table, title, change.head, forge.capabilities))
    posted = forge.comment(change, title, text, is_older(training.git, change))
    if posted.newer:
        say(f"pull request {pull.number} has the leaderboard of a newer commit, {posted.newer[:10]}: it stays")
    else:
        say(f"leaderboard on pull request {pull.number}: {posted.location or pull.url}")


def _fitting(table: Leaderboard, title: str, head: str, takes: Capabilities) -> str:
    """Return the comment, with as many rows as the forge takes."""
    limits = Limits(takes.comment_limit, takes.unit, takes.html, takes.folds)
    rows = len(table.rows)
    while True:
        missing = len(table.rows) - rows
        left_out = [f"\n{count(missing, 'more row')}: `mlbutler train compare` has all of them."] if missing else []
        shown = dataclasses.replace(table, rows=table.rows[:rows])
        text = "\n".join([*shown.markdown(), *left_out, "", marker(title, head, html=takes.html)]) + "\n"
        if limits.size is None or limits.measure(text) <= limits.size or not rows:
            return text
        rows = rows * 3 // 4
