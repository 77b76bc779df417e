"""Fetching only the artifacts that the plan needs, from the cache, the mirror or the remote."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mlbutler.console import Console
from mlbutler.first_few import first_few
from mlbutler.numbers import count
from mlbutler.record import Moved, Outcome, PlanResult, StepResult, SyncResult
from mlbutler.steps.context import RunContext
from mlbutler.steps.stores import open_stores

if TYPE_CHECKING:
    from mlbutler.project.project import Project
    from mlbutler.state.verified import VerifiedObjects
    from mlbutler.store.engine import Brought
    from mlbutler.store.interface import Need

_MOST_LISTED = 1000
_SHOWN = 3


def run(context: RunContext, *, everything: bool = False, only: Sequence[str] = ()) -> SyncResult:
    """Fetch what stale stages need; with `everything`, every artifact, with `only`, those at or below these paths.

    An output that no store has is made again where its stage can run: the plan in the record then says so.
    If it cannot be made again, the outcome is ``failed``.

    Raises:
        PathRefused, UnsavedWork: an artifact must not be put into the work tree; see `project.overwriting`.
        AccessDenied, StoreError, CorruptObject: a store did not answer, refused, or sent something else.
        DiskFull: no space for what is needed.
    """
    if only:
        return _bring(context, list(_needs_at(context.project, only)))[0]
    plan = context.record.plan
    stale = plan.stale() if plan is not None else ()
    if not everything and plan is not None and not stale:
        which = "no stage is stale" if plan.is_up_to_date() else "no stage that can run is known to be stale"
        return SyncResult(outcome=Outcome.PASSED, reason=f"nothing to bring: {which}")
    if everything and (known := _remembered_result(context)) is not None:
        return known
    if plan is None and not everything:
        from mlbutler.steps import plan as plan_step

        stale = plan_step.run(context).stale()
    if stale:
        _bring_run_cache(context.console, context.project)
    needs = context.project.planning.all_artifacts() if everything else context.project.planning.needs_of_stale(stale)
    if everything and stale:
        needs = (*needs, *(need for need in context.project.planning.needs_of_stale(stale) if not need.checkout))
    if not needs:
        return SyncResult(outcome=Outcome.PASSED, reason="nothing to bring: all that is needed is here")
    result, absent, brought, verified = _bring(context, needs)
    if everything and not absent:
        _remember_in_place(context, needs, brought, verified)
    if absent and not everything and plan is not None:
        result = _make_again(context, plan, result, absent)
    remotes = {need.remote for need in needs}
    if (
        result.outcome is Outcome.FAILED
        and (gone := open_stores(context).remotes.missing_directory_error(remotes)) is not None
    ):
        gone.partial = dataclasses.replace(result, outcome=Outcome.ERROR, reason=gone.message)
        raise gone
    return result


def _needs_at(project: Project, paths: Sequence[str]) -> Iterator[Need]:
    """Yield what is needed for these artifacts, for those below these folders, and for parts of a directory."""
    for need in project.planning.all_artifacts():
        inside = tuple(path for path in paths if path.startswith(f"{need.path}/"))
        if any(need.path == path or need.path.startswith(f"{path}/") for path in paths):
            yield need
        else:
            yield from (replace(need, path=path, inside=(path[len(need.path) + 1 :],)) for path in inside)


def supply(context: RunContext, paths: Sequence[str]) -> None:
    """Put those recorded artifacts into the work tree that can be fetched; only report the others."""
    from mlbutler.errors import MlbutlerError

    context.project.reload()  # stages have run
    needs = tuple(context.project.planning.needs_of(paths))
    if not needs:
        return
    try:
        result, *_ = _bring(context, needs)
    except MlbutlerError as error:
        context.console.line(f"Not brought: {error.message}")
        return
    if (before := context.record.sync) is not None:
        context.record = dataclasses.replace(
            context.record, sync=dataclasses.replace(before, moved=(*before.moved, *result.moved))
        )


def _make_again(context: RunContext, plan: PlanResult, failed: SyncResult, absent: frozenset[str]) -> SyncResult:
    """Plan again, with the stages whose outputs are lost; `failed` where that brings nothing."""
    from mlbutler.steps import plan as plan_step

    owners = context.project.stages.owners
    lost: set[str] = set()
    result = failed
    while absent:
        outputs = {owner[1].path for path in absent if (owner := context.project.stages.owner(path)) is not None}
        if not outputs - lost or any(not owners[path][0].can_run for path in outputs):
            return failed
        lost |= outputs
        context.console.line(f"To be made again, because no store holds it: {', '.join(sorted(outputs))}")
        anew = plan_step.run(context, lost)
        made = {stage.name for stage in anew.stale()}
        if any(owners[path][0].name not in made for path in lost):
            return failed  # not among the targets
        result, absent, *_ = _bring(context, context.project.planning.needs_of_stale(anew.stale()))
        plan = anew
    context.record = dataclasses.replace(context.record, plan=dataclasses.replace(plan, **_times(context.record.plan)))
    named = first_few(sorted(lost), _SHOWN)
    return dataclasses.replace(result, reason=f"{result.reason}; in no store, so made again: {named}")


def _times(result: StepResult | None) -> dict[str, Any]:
    return {"started": result.started, "duration": result.duration} if result is not None else {}


def _bring_run_cache(console: Console, project: Project) -> None:
    from mlbutler.errors import StoreError

    try:
        copied = project.planning.bring_run_cache()
    except StoreError as error:
        console.line(f"The mirror's run cache is not used: {error.message}")
        return
    if copied:
        console.detail(f"{copied} entries of the run cache from the mirror")


def _remembered_result(context: RunContext) -> SyncResult | None:
    """Return the result where all was brought before and nothing has changed since; None where that is not certain."""
    from mlbutler.store.interface import ObjectId

    if not context.progress.plan_held or not context.trusted or context.settings.data.verify == "always":
        return None
    known = context.state.in_place.get()
    if known is None:
        return None
    context.mirror_use.acquire([ObjectId(md5) for md5 in known.artifacts])
    return SyncResult(
        outcome=Outcome.PASSED,
        reason=f"nothing to bring: {count(known.objects, 'object')} here already",
        paths=known.paths,
        moved=(Moved(place="cache", objects=known.objects, bytes=known.bytes),),
    )


def _remember_in_place(context: RunContext, needs: Sequence[Need], brought: Brought, verified: VerifiedObjects) -> None:
    """Remember for the next verb that all is in place."""
    project, paths = context.project, tuple(dict.fromkeys(need.path for need in needs if need.checkout))
    if not context.trusted:
        return
    fingerprints = {path: known for path in paths if (known := project.hashes.fingerprint(path)) is not None}
    artifacts = [need.oid.md5 for need in needs]
    context.state.in_place.put(paths, artifacts, brought.objects, project.cache_dir, verified, fingerprints)


def _bring(context: RunContext, needs: Sequence[Need]) -> tuple[SyncResult, frozenset[str], Brought, VerifiedObjects]:
    """Return the result, the paths that no store has, what was fetched, and the cache's verified objects."""
    from mlbutler.remotes.imports import bring_imports
    from mlbutler.store.engine import BringOptions, bring
    from mlbutler.store.send import worst

    data, project = context.settings.data, context.project
    known = [need.size for need in needs]
    total = sum(size for size in known if size is not None) if None not in known else None
    new = context.mirror is not None and not context.mirror.is_dir()
    if not new:
        context.mirror_use.acquire([need.oid for need in needs])
    context.mirror_use.begin()
    stores = open_stores(context)
    cache, mirror, remotes = stores.cache, stores.mirror, stores.remotes
    verify = data.verify == "always"
    wanted = [need.path for need in needs if need.checkout]
    _check(context.project, wanted)
    with project.checkout.eager_links(wanted if context.trusted and not verify else (), mirror) as early:
        with context.console.progress("objects", total_bytes=total) as progress:
            options = BringOptions(
                jobs=data.jobs, verify=verify, trusted=context.trusted, near=stores.near, opened=early.begin,
                fill=context.trusted and context.options.shares, progress=progress, warn=context.console.line,
            )  # fmt: skip
            brought = bring(needs, cache, mirror, remotes, options)
        if new:  # it came into being with the first object
            context.mirror_use.acquire([need.oid for need in needs])
        context.mirror_use.grew(sum(moved.bytes for moved in brought.moved if moved.place not in ("cache", "mirror")))
        if brought.missing and context.trusted:  # what was said of the remote is not to be believed any more
            context.state.presence.invalidate()
        error = worst(brought.errors)
        absent = brought.incomplete
        if absent and error is None:
            absent -= bring_imports(project, [need for need in needs if need.imported and need.path in absent])
        paths = tuple(dict.fromkeys(path for path in wanted if path not in absent))
        with context.console.progress("files into the work tree") as progress:
            project.checkout.lay_out(paths, progress, cache.verified, early)
    if error is not None:
        error.partial = SyncResult(outcome=Outcome.ERROR, reason=error.message, paths=paths, moved=brought.moved)
        raise error
    return _result(context.console, context.project, brought, absent, paths), frozenset(absent), brought, cache.verified


def _check(project: Project, paths: Sequence[str]) -> None:
    """Raise where an artifact must not be put into the work tree, before anything is fetched."""
    from mlbutler.errors import UnsavedWork

    try:
        project.checkout.check_laying_out(paths)
    except UnsavedWork as error:
        error.partial = SyncResult(outcome=Outcome.FAILED, reason=error.message, unsaved=error.paths)
        raise


def _result(
    console: Console, project: Project, brought: Brought, absent: frozenset[str], paths: tuple[str, ...]
) -> SyncResult:
    if not absent:
        arrived = sum(moved.objects for moved in brought.moved if moved.place != "cache")
        here = sum(moved.objects for moved in brought.moved if moved.place == "cache")
        places = ", ".join(f"{m.objects} from {m.place}" for m in brought.moved if m.place != "cache")
        brought_now = f"{count(arrived, 'object')} brought ({places}), {here} here already"
        reason = brought_now if arrived else f"nothing to bring: {count(here, 'object')} here already"
        return SyncResult(outcome=Outcome.PASSED, reason=reason, paths=paths, moved=brought.moved)
    missing = tuple(found.path for found in brought.missing) or tuple(sorted(absent))
    shown = first_few(missing, _SHOWN)
    targets = " ".join(_quoted(path) for path in sorted(absent)[:_SHOWN])
    remote = project.remote_name
    where = "mirror and cache" if remote is None else f"remote '{remote}' and the mirror"
    command = f"dvc push -r {remote} {targets}" if remote else "dvc remote add --default NAME URL, then dvc push"
    owners = [owner for path in sorted(absent) if (owner := project.stages.owner(path)) is not None]
    others = [stage.how_to_get(out, remote) for stage, out in owners if stage.imported or not out.can_push]
    console.line(f"missing: {shown}")
    return SyncResult(
        outcome=Outcome.FAILED,
        reason=f"{count(len(missing), 'object')} in no store ({where} were asked): {shown}",
        remedy=others[0] if others else f"Push it from where it was made: {command}",
        paths=paths,
        moved=brought.moved,
        missing=missing[:_MOST_LISTED],
    )


def _quoted(path: str) -> str:
    import shlex

    return shlex.quote(path)
