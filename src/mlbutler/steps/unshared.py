"""What a run outside CI would send: there nothing leaves the machine without `--share`."""

from __future__ import annotations

from collections.abc import Iterator

from mlbutler.console import human_bytes
from mlbutler.errors import MlbutlerError
from mlbutler.forge import detect
from mlbutler.numbers import count
from mlbutler.record import Outcome, PublishResult, PushResult
from mlbutler.steps.context import RunContext

SHARE = "mlbutler run --share"
_ASKED = "`--share` does it"


def push(context: RunContext, *, all_there: bool = False) -> PushResult:
    """Say which objects the remotes are missing, without writing to them or to the mirror.

    Args:
        all_there: an earlier step of this run found that they are missing none.
    """
    try:
        lacking = [] if all_there else list(_lacking(context))
    except MlbutlerError as error:
        reason = f"not shared, and not known what there is to push: {error.message}"
        return PushResult(outcome=Outcome.SKIPPED, reason=reason, remedy=error.remedy)
    if not lacking:
        return PushResult(outcome=Outcome.SKIPPED, reason="nothing to push: what is here is on the remote")
    parts = [f"{count(objects, 'object')} ({human_bytes(size)}) to remote '{name}'" for name, objects, size in lacking]
    reason = f"not shared: would push {', '.join(parts)}; {_ASKED}"
    return PushResult(outcome=Outcome.SKIPPED, reason=reason, remedy="mlbutler push")


def _lacking(context: RunContext) -> Iterator[tuple[str, int, int]]:
    """Yield (remote, objects, bytes) that `push` would send.

    Raises:
        StoreError: a remote does not answer what it has.
    """
    from mlbutler.remotes.opening import Remotes, open_cache
    from mlbutler.store.holdings import local_objects
    from mlbutler.store.interface import ObjectId
    from mlbutler.store.send import find_missing

    project = context.project
    project.reload()
    cache = open_cache(project)
    remotes = Remotes(project, project.remote_name, context.environ, context.settings.data.jobs)
    by_remote: dict[str, list[ObjectId]] = {}
    for artifact in project.artifacts():
        name = remotes.name(artifact.remote)
        if artifact.oid is not None and artifact.cached and artifact.pushed and name is not None:
            by_remote.setdefault(name, []).append(artifact.oid)
    for name, oids in by_remote.items():
        store = remotes(name)
        assert store is not None
        missing = find_missing(local_objects(cache, oids), cache, store)
        if missing:
            sizes = [found.st_size for oid in missing if (found := cache.stat(oid)) is not None]
            yield name, len(missing), sum(sizes)


def publish(context: RunContext) -> PublishResult:
    """Say which forge the report would be published to."""
    report = context.settings.report.directory
    there = detect.locate_forge(context.settings.forge, context.environ, context.record.change)
    if there is None:
        return PublishResult(outcome=Outcome.SKIPPED, reason=f"no forge configured; the report is in {report}")
    sent = f"would publish comment and status to {there.url or there.kind}"
    reason = f"not shared: {sent}; {_ASKED}; the report is in {report}"
    return PublishResult(outcome=Outcome.SKIPPED, reason=reason, remedy="mlbutler publish")
