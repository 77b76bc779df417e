"""What stages logged with experiment trackers in this build, and its numbers where DVC declares none."""

from __future__ import annotations

import json
import posixpath
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from mlbutler.comparison.snapshot import Snapshot, Source
from mlbutler.errors import MlbutlerError
from mlbutler.first_few import first_few
from mlbutler.frozen import frozen
from mlbutler.git import Git
from mlbutler.project.revision_reader import LARGEST, TOO_LARGE
from mlbutler.record import Record, TrackedRun
from mlbutler.steps.context import RunContext
from mlbutler.trackers import git_files, offline
from mlbutler.trackers.offline import LoggedRun

_SERVER = "MLFLOW_TRACKING_URI"
_FILES = {offline.MLFLOW: "mlflow", offline.WANDB: "wandb"}
"""What stands for a metrics file in a metric's key."""


@frozen
class LoggedRuns:
    """The runs of this build.

    Attributes:
        notes: (subject, what could not be found out, or is odd).
        old, new: the target's side and this one, with the runs' numbers where DVC declares none.
        files: what stands for metrics files there.
    """

    runs: tuple[TrackedRun, ...]
    notes: tuple[tuple[str, str], ...]
    old: Snapshot
    new: Snapshot
    files: frozenset[str] = frozenset()


def with_logged_runs(context: RunContext, old: Snapshot, new: Snapshot) -> LoggedRuns:
    """Return both sides with what the trackers' runs of this build say.

    Where DVC declares no metrics, the runs' last numbers are this side's. The target's are those of `trackers.git`,
    which holds what earlier results commits brought; without that folder there are none.
    """
    since = _began(context.record)
    runs, notes = _find_runs(context, since) if since is not None else ([], [])
    listed, declared = tuple(one.run for one in runs), bool(old.metrics or new.metrics)
    if declared:
        return LoggedRuns(listed, tuple(notes), old, new)
    twice = [name for name, count in Counter(name for one in runs for name in one.metrics).items() if count > 1]
    if twice:
        notes.append(("logged runs", f"several of them measured {first_few(twice)}: the last one counts"))
    before, after = (
        _read_tracked_metrics(context, runs)
        if context.settings.trackers.git is not None
        else ({}, _group_by_tracker(runs))
    )
    return LoggedRuns(
        listed, tuple(notes), replace(old, metrics=before), replace(new, metrics=after), frozenset((*before, *after))
    )


def _began(record: Record) -> float | None:
    """Return when stages began to run in this build, None where none did."""
    reproduce = record.reproduce
    if reproduce is None or not reproduce.started or not _ran(record):
        return None
    return datetime.fromisoformat(reproduce.started).timestamp()


def _ran(record: Record) -> list[str]:
    reproduce = record.reproduce
    return [stage.name for stage in (reproduce.stages if reproduce else ()) if stage.outcome == "ran"]


def _find_runs(context: RunContext, since: float) -> tuple[list[LoggedRun], list[tuple[str, str]]]:
    names = _ran(context.record)
    folders = ["", *(stage.directory for stage in context.project.stages.pipeline() if stage.name in names)]
    runs, notes = offline.find_logged_runs(context.root, folders, since, context.environ), []
    try:
        runs += _find_server_runs(context, since)
    except MlbutlerError as error:
        notes.append(("logged runs", f"those on the MLflow server are not known: {error.message.rstrip('.')}"))
    return sorted(runs, key=lambda one: one.when), notes


def _find_server_runs(context: RunContext, since: float) -> list[LoggedRun]:
    """Return the runs on the MLflow server that the team agreed on, where this step can ask it.

    Raises:
        MlbutlerError: see `mlbutler.trackers.mlflow_server.query_logged_runs`.
    """
    from mlbutler.steps import tracked

    url = tracked.settings(context).mlflow if context.trusted else None
    if url is None:
        return []
    from mlbutler.trackers import mlflow_server

    server = tracked.server(context, url)
    if not (server.user or server.token or context.environ.get(_SERVER)):
        return []  # a step of its own that is given no credentials
    return mlflow_server.query_logged_runs(server, context.record.change.checkout, since)


def _group_by_tracker(runs: Sequence[LoggedRun]) -> dict[str, Source]:
    found = {}
    for tracker, file in _FILES.items():
        if numbers := offline.numbers(one for one in runs if one.run.tracker == tracker):
            found[file] = Source(json.dumps(numbers).encode())
    return found


def _read_tracked_metrics(
    context: RunContext, runs: Iterable[LoggedRun]
) -> tuple[dict[str, Source], dict[str, Source]]:
    """Return both sides of the file that results commits have for trackers that read Git."""
    path = posixpath.normpath(posixpath.join(context.settings.trackers.git or ".", git_files.METRICS))
    change, numbers = context.record.change, offline.numbers(runs)
    before = _read_source(context.git, context.prefix, change.base, path) if change.base else None
    after = (
        Source(git_files.metrics_csv(numbers, 0))
        if numbers
        else _read_source(context.git, context.prefix, change.checkout, path)
    )
    return ({path: before} if before else {}), ({path: after} if after else {})


def _read_source(git: Git, prefix: str, revision: str, path: str) -> Source | None:
    content = git.show(revision, f"{prefix}{path}")
    if content is None:
        return None
    return Source(content) if len(content) <= LARGEST else Source(None, TOO_LARGE)
