"""Sending what the run produced, and what the remote is missing, to the mirror and the remote.

The mirror comes first: it is near, and keeps what was computed even when the remote fails.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mlbutler.errors import MlbutlerError
from mlbutler.first_few import first_few
from mlbutler.numbers import count
from mlbutler.record import CheckResult, Moved, Outcome, PushResult, Record
from mlbutler.report.findings import grouped
from mlbutler.reproduce.progress import read_ended_stages
from mlbutler.steps import unshared
from mlbutler.steps.context import RunContext, StepOptions
from mlbutler.steps.sending import (
    keeps_runs,
    runs_of_build,
    send_objects,
    send_runs,
    send_to_mirror,
    send_to_near_remote,
)
from mlbutler.steps.stores import open_stores

if TYPE_CHECKING:
    from mlbutler.project.artifact import Artifact
    from mlbutler.store.interface import ObjectId
    from mlbutler.store.local import LocalStore
    from mlbutler.store.runs import RunCacheEntry

_SMALL = 1 << 20
_NOTHING_HERE = "nothing to push: none of the project's data is here"
_DONE = ("ran", "restored")


def run(context: RunContext) -> PushResult:
    """Send objects and run cache. Outputs of finished stages are sent even when another stage failed.

    Raises:
        AccessDenied, StoreError: the remote refused or failed; the mirror has been written by then.
    """
    if not context.trusted:
        return PushResult(outcome=Outcome.SKIPPED, reason="a fork's change: nothing is written to remote or mirror")
    nothing = _has_nothing_to_push(context.record)
    if not context.options.shares:
        return unshared.push(
            context, all_there=nothing and context.record.plan is not None and context.record.plan.is_up_to_date()
        )
    if nothing:
        return PushResult(outcome=Outcome.PASSED, reason="nothing to push: no stage ran and all is on the remote")
    project = context.project
    project.reload()
    artifacts = [artifact for artifact in project.artifacts() if artifact.oid is not None]
    pushed = [artifact for artifact in artifacts if artifact.cached and artifact.pushed]
    context.mirror_use.begin()
    stores = open_stores(context)
    cache, mirror = stores.cache, stores.mirror
    if mirror is None and context.project.remote_name is None and all(artifact.remote is None for artifact in pushed):
        return PushResult(
            outcome=Outcome.SKIPPED,
            reason="no DVC remote is configured, and no mirror",
            remedy="dvc remote add --default NAME URL",
        )
    ran = _ran(context.record, context.root)
    runs = runs_of_build(context, cache, artifacts, ran)
    moved: list[Moved] = []
    kept, mirrored = "", False
    if mirror is not None:
        done = send_to_mirror(context, cache, mirror, artifacts, runs)
        if done is not None:
            mirrored = True
            moved.append(done)
            kept = "mirror" if runs else ""
    nearby = send_to_near_remote(context, cache, stores.near, artifacts, runs, moved) if stores.near is not None else ""
    try:
        notes, place = _send_to_remotes(context, cache, artifacts, pushed, runs, moved)
        place = place or nearby
    except MlbutlerError as error:
        context.state.push_checks.invalidate()  # it lacks what it did not take
        error.remedy = " ".join(filter(None, (error.remedy, _where_results_are(context.record, mirrored, kept))))
        error.partial = PushResult(
            outcome=Outcome.ERROR, reason=error.message, moved=tuple(m for m in moved if m.objects), run_cache=kept
        )
        raise
    away = [artifact for artifact in pushed if artifact.oid and not project.objects.holds_whole(artifact.oid)]
    result = _result(context.options, context.record, moved, notes, place or kept, away, len(pushed))
    if runs and not place and _has_failed_reproduction(context.record):
        result = _with_run_cache_remark(result)
    return result if context.options.pipeline else _whole(context, result, away)


def _ran(record: Record, root: Path) -> set[str]:
    """Return the stages that this build ran; of a run that was killed, those that had ended."""
    reproduce = record.reproduce
    runs = reproduce.stages if reproduce is not None else read_ended_stages(root)
    return {stage.name for stage in runs if stage.outcome == "ran"}


def _where_results_are(record: Record, mirrored: bool, kept: str) -> str:
    """Return how to get what this run made while the remote does not accept it; '' where it made nothing.

    Args:
        mirrored: the mirror took them. kept: not '' where their run cache is there too.
    """
    reproduce = record.reproduce
    made = [stage.name for stage in reproduce.stages if stage.outcome in _DONE] if reproduce is not None else []
    if not made:
        return ""
    host = record.environment.host
    if mirrored:
        way = "a new build that shares it restores them and pushes" if kept else f"mlbutler push on {host} sends them"
        return f"Until then the results of {first_few(made)} are in the mirror of {host}: {way}."
    return (
        f"Until then the results of {first_few(made)} are in this workspace on {host} and nowhere else: "
        "run mlbutler push there before it is cleaned, or the next build makes them again."
    )


def _whole(context: RunContext, result: PushResult, away: Sequence[Artifact]) -> PushResult:
    """Check that what is not here is on the remote; in a whole run the step `check` does so.

    Raises:
        StoreError: the remote does not answer.
    """
    from mlbutler.errors import StoreError
    from mlbutler.project.pushed import check_pushed

    if not away:
        return result
    remotes = open_stores(context).remotes
    with context.console.progress("asking the remote") as progress:
        found = check_pushed(
            away,
            remotes,
            context.project.objects.manifest,
            presence=context.state.presence,
            address=remotes.address,
            progress=progress,
            size_here=context.project.objects.size,
        )
    for finding in (*grouped(found.findings), *grouped(found.undetermined)):
        context.console.line(f"{finding.subject}: {finding.problem}")
    if found.findings:
        lacking = first_few([finding.subject for finding in found.findings])
        return dataclasses.replace(
            result,
            outcome=Outcome.FAILED,
            reason=f"neither here nor on the remote: {lacking} ({result.reason})",
            remedy="Push from where they were made, or make them again: dvc repro, then mlbutler push.",
        )
    if found.undetermined:
        first = found.undetermined[0]
        error = StoreError(f"Of what is not here: {first.problem.removesuffix('.')}.", first.remedy)
        error.partial = dataclasses.replace(result, outcome=Outcome.ERROR, reason=error.message)
        raise error
    there = f"{count(len(away), 'artifact')} not here but there already"
    return dataclasses.replace(result, reason=there if result.reason == _NOTHING_HERE else f"{result.reason}; {there}")


def _has_nothing_to_push(record: Record) -> bool:
    reproduce, check = record.reproduce, record.check
    if reproduce is not None and any(stage.outcome in _DONE for stage in reproduce.stages):
        return False
    return _is_all_on_remote(check)


def _is_all_on_remote(check: CheckResult | None) -> bool:
    """Return whether the step `check` found everything on the remote."""
    return check is not None and check.checked > 0 and not (check.findings or check.pending or check.undetermined)


def _has_failed_reproduction(record: Record) -> bool:
    reproduce = record.reproduce
    return reproduce is not None and reproduce.outcome in (Outcome.FAILED, Outcome.ERROR)


def _with_run_cache_remark(result: PushResult) -> PushResult:
    """Return the result with a remark where the remote cannot hold the run cache.

    An agent that continues the run finds finished stages by the run cache alone: no commit names them.
    """
    where = "only this mirror keeps" if result.run_cache else "nothing keeps"
    return dataclasses.replace(
        result,
        reason=f"{result.reason}; {where} which stages finished, for the remote cannot hold DVC's run cache",
        remedy="So that another agent need not run them again, share one data.mirror between the agents, or use a DVC "
        "remote that can hold a run cache: a directory, S3, SSH, Google or Azure storage, not HTTP.",
    )


def _result(
    options: StepOptions,
    record: Record,
    moved: Sequence[Moved],
    notes: Sequence[str],
    kept: str,
    away: Sequence[Artifact],
    wanted: int,
) -> PushResult:
    """Return what was sent, with a remark on artifacts that were neither here nor asked for.

    Args:
        away: artifacts that are not here. wanted: how many there are in all.
    """
    sent = [item for item in moved if item.objects]
    parts = [f"{count(item.objects, 'object')} sent to {item.place}" for item in sent]
    unknown = away and not (options.pipeline and _is_all_on_remote(record.check))
    if not parts and unknown and len(away) == wanted:
        parts = [_NOTHING_HERE]
    parts = parts or [f"nothing to push: {'what is here' if unknown else 'all'} is there already"]
    if unknown and options.pipeline:
        paths = first_few([artifact.path for artifact in away])
        parts.append(f"not verified for {count(len(away), 'artifact')} without data here ({paths})")
    return PushResult(outcome=Outcome.PASSED, reason="; ".join([*parts, *notes]), moved=tuple(sent), run_cache=kept)


# ------------------------------------------------------------------------------------------- remotes


def _send_to_remotes(
    context: RunContext,
    cache: LocalStore,
    artifacts: Sequence[Artifact],
    pushed: Iterable[Artifact],
    runs: Sequence[RunCacheEntry],
    moved: list[Moved],
) -> tuple[list[str], str]:
    """Send to each artifact's remote; return (remarks, name of the remote with the run cache or '')."""
    from mlbutler.store.holdings import is_complete

    remotes = open_stores(context).remotes
    by_remote: dict[str | None, list[ObjectId]] = {}
    for artifact in pushed:
        assert artifact.oid is not None
        by_remote.setdefault(remotes.name(artifact.remote), []).append(artifact.oid)
    notes = []
    if unplaced := by_remote.pop(None, None):
        notes.append(f"{count(len(unplaced), 'artifact')} without a DVC remote")
    kept = ""
    private = {a.oid for a in artifacts if a.cached and not a.pushed}
    if context.project.remote_name is not None:
        by_remote.setdefault(context.project.remote_name, [])
    for name, oids in by_remote.items():
        store = remotes(name)
        assert store is not None
        entries: list[RunCacheEntry] = []
        outputs: list[ObjectId] = []
        if name == context.project.remote_name:
            entries = [run for run in runs if is_complete(cache, run.outputs) and not run.outputs & private]
            outputs = [oid for entry in entries for oid in entry.outputs]
            if not keeps_runs(store):
                # The run cache comes another way, from the mirror or from agent to agent; what is small and not in
                # dvc.lock's own artifacts, metrics above all, has to be there for it.
                entries, outputs = [], [oid for oid in outputs if _is_small(cache, oid)]
        seen = send_objects(context, cache, store, [*oids, *outputs], moved)
        notes += [f"{count(seen, 'object')} read back from {store.name} and whole"] if seen else []
        if entries:
            send_runs(cache, store, entries)
            kept = store.name
    return notes, kept


def _is_small(cache: LocalStore, oid: ObjectId) -> bool:
    found = cache.stat(oid)
    return found is not None and found.st_size <= _SMALL
