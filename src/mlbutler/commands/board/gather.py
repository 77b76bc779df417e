"""Gather the experiments of a repository, from Git and what is remembered; nothing is checked out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from mlbutler.commands.board.displayed import BoardQuery, DisplayedCommit, pick
from mlbutler.commands.board.heads import Head, fetch, heads
from mlbutler.commands.board.rows import rows_of
from mlbutler.commands.board.trainings import with_trainings
from mlbutler.commands.clone_lock import make_own_folder
from mlbutler.forge.address import parse_address
from mlbutler.git import Git
from mlbutler.numbers import count
from mlbutler.project.past_numbers import MOST_POINTS, CommittedCurve, Numbers, PastNumbers
from mlbutler.record import Record
from mlbutler.remotes.trust import configured_directories
from mlbutler.report.board.columns import columns, main_column
from mlbutler.report.board.model import Board, BoardRow, Points
from mlbutler.report.board.redaction import redact_board
from mlbutler.state.hints import Hints
from mlbutler.steps.context import RunContext

_MOST_POINTS = 400_000


def gather(context: RunContext, most: int, *, merged: bool, fetching: bool) -> Board:
    """Return all experiments of the project's repository.

    Args:
        most: commits of the target branch, and of all others. merged: also those that came in by a merge.
        fetching: bring the Git remote's branches, pull requests and experiments first.
    """
    change, git = context.record.change, context.git.at(context.git.toplevel())
    notes = list(fetch(git, change.git_remote)) if fetching and change.git_remote else []
    found = heads(git, change.git_remote)
    target, tip = _target(context.git, context.record, found)
    picked, further = pick(git, found, BoardQuery(target, tip, most, merged))
    hints = Hints("board", context.root, context.mirror if context.trusted else None, change.repository, context.prefix)
    past = PastNumbers(
        git, context.prefix, hints, lambda: context.project.snapshots, _stores(context.mirror, context.root)
    )
    shown = {one.commit.oid for one in picked}
    picked = (*picked, *(DisplayedCommit(commit) for commit in further if commit.oid not in shown))
    numbers = past.at(one.commit for one in picked)
    rows = with_trainings(git, context.prefix, change.git_remote, rows_of(change, picked, numbers))
    rows = sorted(rows, key=lambda row: -row.when)
    curves, cut = _curves(past, rows, numbers)
    with suppress(OSError):  # a clone that cannot be written is read all the same
        make_own_folder(context.root)
        past.save()
    gates = [gate for gate in context.settings.gate if gate.metric is not None]
    goals = {str(gate.metric): gate.goal for gate in gates if gate.goal is not None}
    shown_columns, left_out = columns(rows, goals)
    notes += _notes(context.git, numbers, cut, left_out)
    board = Board(
        title=_title(context), target=target, rows=tuple(rows), columns=shown_columns,
        main=main_column(shown_columns, [str(gate.metric) for gate in gates]), curves=curves, notes=tuple(notes),
    )  # fmt: skip
    return redact_board(board, context.console.redactor.hide)


def _stores(mirror: Path | None, root: Path) -> list[Path]:
    """Return the folders that DVC's objects may lie in here."""
    configured = (root / place for place in configured_directories(root))
    return [root / ".dvc" / "cache", *([mirror] if mirror is not None else []), *configured]


def _title(context: RunContext) -> str:
    address = parse_address(context.record.change.repository)
    name = address.path.strip("/").removesuffix(".git") if address is not None else context.git.toplevel().name
    return f"{name}/{context.prefix}".rstrip("/")


def _target(git: Git, record: Record, found: Sequence[Head]) -> tuple[str, str]:
    """Return the target branch and its newest commit that is known here."""
    change = record.change
    name = change.target_branch or git.branch() or "HEAD"
    there = f"refs/remotes/{change.git_remote}/{name}"
    tips = {head.ref: head.commit for head in found}
    known = (tips.get(f"refs/mlbutler/board/{change.git_remote}/heads/{name}"), tips.get(there))
    here = tips.get(f"refs/heads/{name}")
    tip = next(filter(None, (*known, here)), None) or git.resolve(name) or git.head()
    ahead = here is not None and git.is_ancestor(tip, here)
    return name, here if ahead and here is not None else tip


def _curves(
    past: PastNumbers, rows: Sequence[BoardRow], numbers: Mapping[str, Numbers]
) -> tuple[dict[str, Points], int]:
    """Return the curves of the newest experiments by their keys, and of how many there was no room for them."""
    asked: dict[str, CommittedCurve] = {}
    cut = 0
    for row in rows:
        curves = numbers[row.commit].curves if row.commit in numbers else ()
        if len(asked) * MOST_POINTS > _MOST_POINTS:
            cut += bool(curves)
        else:
            asked |= {curve.key: curve for curve in curves}
    return past.points(asked.values()), cut


def _notes(git: Git, numbers: Mapping[str, Numbers], cut: int, left_out: int) -> Iterator[str]:
    if git.is_shallow():
        yield "The clone's history is cut off (a shallow clone): there is more in the repository."
    if away := sum(bool(one.away) for one in numbers.values()):
        has = "has" if away == 1 else "have"
        yield f"{count(away, 'commit')} {has} metrics in DVC's cache that are not here: `dvc fetch` brings them."
    if cut:
        yield f"The training curves of {count(cut, 'older experiment')} are left out."
    if left_out:
        yield f"{count(left_out, 'column')} are left out: there are too many."
