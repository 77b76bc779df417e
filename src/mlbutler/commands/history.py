"""`mlbutler history`: the numbers of a branch over its commits."""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from mlbutler import numbers
from mlbutler.change.history import History
from mlbutler.commands.start import begin
from mlbutler.comparison.documents import is_number
from mlbutler.comparison.history import MetricsAtCommit, metric_histories
from mlbutler.console import Console
from mlbutler.errors import EXIT_PASSED, UsageError
from mlbutler.frozen import frozen
from mlbutler.git.objects import Commit, first_parents
from mlbutler.project.metric_history import CommitMetrics, find_declared_metrics, metric_history
from mlbutler.record import MetricHistory, PastValue
from mlbutler.report.history import finite
from mlbutler.report.model import Column, Table, cell
from mlbutler.report.screen import Screen
from mlbutler.report.sparkline import blocks
from mlbutler.settings import Settings
from mlbutler.steps.context import RunContext

_ROWS, _NAMED = 50, 8


@frozen
class _Found:
    """What there is to show.

    `declared`: the metrics files. `problems`: (file or commit, reason). `cut`: the clone's history ends before the
    asked number of commits did.
    """

    branch: str
    tip: str
    declared: tuple[str, ...]
    past: tuple[CommitMetrics, ...]
    metrics: tuple[MetricHistory, ...]
    problems: tuple[tuple[str, str], ...]
    cut: bool


def history(directory: Path, console: Console, metric: str | None, *, branch: str | None, commits: int) -> int:
    """Print the past of one metric commit by commit, or of all of them a line each; return the exit code 0.

    Args:
        metric: ``accuracy``, ``metrics.json:accuracy``, or a glob of the latter; None for all.
        branch: a branch, tag or commit; None for the target branch.
        commits: how many to look at.

    Raises:
        UsageError: there is no such branch or metric.
    """
    with begin(directory, console, watching=True) as context:
        found = _find(context, branch, commits)
        chosen = _select_metrics(found.metrics, metric)
        if console.json:
            print(json.dumps(_history_json(found, chosen), indent=2, ensure_ascii=False))
        elif not console.quiet:
            _show(context.console, context.settings, found, chosen, one_by_one=metric is not None)
    return EXIT_PASSED


def _find(context: RunContext, branch: str | None, commits: int) -> _Found:
    change = context.record.change
    git_history = History(context.git, change.git_remote, fresh=False)
    name = branch or change.target_branch
    if branch is not None:
        tip = git_history.resolve_revision(branch)
    elif name is None or name == context.git.branch():
        tip = change.checkout
    else:
        tip = git_history.tracking_tip(name) or context.git.resolve(f"refs/heads/{name}") or change.checkout
    looked = first_parents(context.git, tip, commits)
    if len(looked) < commits and context.git.is_shallow() and git_history.deepen(commits, tip):
        looked = first_parents(context.git, tip, commits)
    named = find_declared_metrics(context.project.snapshots, context.prefix, looked)
    past = metric_history(context.project.snapshots, context.prefix, tip, commits, remote=context.trusted)
    goals = {
        gate.metric: gate.goal for gate in context.settings.gate if gate.metric is not None and gate.goal is not None
    }
    metrics, problems = metric_histories([MetricsAtCommit(p.commit.oid, p.commit.when, p.metrics) for p in past], goals)
    cut = len(looked) < commits and context.git.is_shallow()
    unread = [(f"commit {commit}", why) for commit, why in named.problems]
    return _Found(name or tip[:10], tip, named.paths, past, metrics, (*unread, *problems), cut)


def _select_metrics(metrics: Sequence[MetricHistory], metric: str | None) -> list[MetricHistory]:
    if metric is None:
        return list(metrics)
    chosen = [h for h in metrics if metric in (h.key, h.name)] or [h for h in metrics if fnmatchcase(h.key, metric)]
    if not chosen:
        names = [name for h in metrics for name in (h.key, h.name)]
        near = list(dict.fromkeys(difflib.get_close_matches(metric, names, n=3)))
        hint = f"Did you mean {', '.join(near)}?" if near else f"There are: {_format_keys(metrics)}."
        raise UsageError(f"No commit measured a metric '{metric}'.", hint)
    return chosen


def _format_keys(metrics: Sequence[MetricHistory]) -> str:
    more = f" and {len(metrics) - _NAMED:,} more" if len(metrics) > _NAMED else ""
    return ", ".join(h.key for h in metrics[:_NAMED]) + more if metrics else "none"


def _history_json(found: _Found, chosen: Sequence[MetricHistory]) -> dict[str, Any]:
    commits = _commits(found)
    return {
        "branch": found.branch,
        "tip": found.tip,
        "commits": len(found.past),
        "cut_off": found.cut,
        "declared": list(found.declared),
        "metrics": [
            {
                "file": h.file,
                "name": h.name,
                "goal": h.goal,
                "values": [
                    {"commit": v.commit, "when": v.when, "value": v.value, "subject": commits[v.commit].subject}
                    for v in h.values
                ],
            }
            for h in chosen
        ],
        "problems": [{"file": file, "reason": reason} for file, reason in found.problems],
    }


def _commits(found: _Found) -> dict[str, Commit]:
    return {past.commit.oid: past.commit for past in found.past}


# ------------------------------------------------------------------------------------------- screen


def _show(
    console: Console, settings: Settings, found: _Found, chosen: Sequence[MetricHistory], *, one_by_one: bool
) -> None:
    screen = Screen(console)
    looked = numbers.count(len(found.past), "commit")
    screen.line(f"{found.branch}, {looked} up to {found.tip[:10]}")
    precision = settings.report.precision
    if one_by_one:
        for one in chosen:
            goal = f" ({one.goal})" if one.goal else ""
            screen.line(f"{one.key}{goal}  {blocks([value for _, value in finite(one)], 60)}")
            screen.table(_single(one, _commits(found), precision), whole=("Commit", "When"))
    elif chosen:
        # What never moved has the least to tell.
        ordered = sorted(chosen, key=lambda one: len({value for _, value in finite(one)}) < 2)
        screen.table(_overview(ordered[:_ROWS], precision))
        if len(ordered) > _ROWS:
            screen.line(f"{len(ordered) - _ROWS:,} more: name some, as in mlbutler history '*accuracy*', or see --json")
    else:
        screen.line(_explain_no_metrics(found))
    for file, reason in found.problems:
        screen.line(f"not read: {file}: {reason}")
    if found.cut:
        screen.line("The clone's history is cut off here (a shallow clone): there is more in the repository.")


def _explain_no_metrics(found: _Found) -> str:
    """Return why there is no number."""
    if not found.declared:
        why = "dvc.yaml cannot be read there" if found.problems else "dvc.yaml there declares no metrics"
    elif found.problems:
        why = "the files could not be read"
    else:
        more = f" and {len(found.declared) - _NAMED} more" if len(found.declared) > _NAMED else ""
        why = f"the files were never committed: {', '.join(found.declared[:_NAMED])}{more}"
    return f"No metric was measured: {why}."


def _overview(chosen: Sequence[MetricHistory], precision: int) -> Table:
    numeric = (Column(name, numeric=True) for name in ("First", "Last", "Lowest", "Highest", "Measured"))
    rows = []
    for one in chosen:
        past = [value for _, value in finite(one)]
        ends = (past[0], past[-1], min(past), max(past)) if past else ()
        shown = [numbers.value(value, precision) for value in ends] or [numbers.ABSENT] * 4
        rows.append(tuple(cell(text) for text in (one.key, blocks(past), *shown, f"{len(one.values):,}")))
    return Table("", (Column("Metric"), Column("Past"), *numeric), tuple(rows))


def _single(one: MetricHistory, commits: dict[str, Commit], precision: int) -> Table:
    before: PastValue | None = None
    rows = []
    for value in one.values:
        difference = numbers.difference(_difference(before, value), precision)
        said = (value.commit[:10], value.when[:16].replace("T", " "), numbers.value(value.value, precision), difference,
                commits[value.commit].subject)  # fmt: skip
        rows.append(tuple(cell(text) for text in said))
        before = value
    columns = (Column("Commit"), Column("When"), Column("Value", numeric=True), Column("Difference", numeric=True),
               Column("Subject"))  # fmt: skip
    return Table("", columns, tuple(reversed(rows)))


def _difference(before: PastValue | None, now: PastValue) -> float | None:
    if before is None or not is_number(before.value) or not is_number(now.value):
        return None
    old, new = numbers.as_float(before.value), numbers.as_float(now.value)
    return None if old is None or new is None else new - old
