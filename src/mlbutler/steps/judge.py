"""Judging a run's gates, and finding the waivers that count."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from mlbutler.comparison.comparison import Comparison
from mlbutler.comparison.snapshot import Snapshot
from mlbutler.errors import SettingsError
from mlbutler.gate import waivers
from mlbutler.gate.rules import judge
from mlbutler.gate.subjects import Evidence
from mlbutler.git import Git
from mlbutler.record import GateResult, RepeatResult
from mlbutler.settings import Settings, settings_at
from mlbutler.steps.context import RunContext

_NOTHING: Mapping[str, str] = {}
Notes = tuple[tuple[str, str], ...]


def tables(settings: Settings) -> tuple[str, ...]:
    """Return the paths of the files that are read row by row."""
    counted = [gate.data.strip("/") for gate in settings.gate if gate.data is not None and gate.of == "rows"]
    return tuple(dict.fromkeys((*(spec.file for spec in settings.predictions), *counted)))


def judge_change(
    context: RunContext,
    old: Snapshot,
    new: Snapshot,
    comparison: Comparison,
    repeats: Sequence[RepeatResult] = (),
    stale_outputs: Mapping[str, str] = _NOTHING,
) -> tuple[tuple[GateResult, ...], Notes]:
    """Return every gate's results after waivers, and remarks for the report.

    Raises:
        SettingsError: the waivers that count cannot be read.
    """
    plan, run = context.record.plan, context.record.reproduce
    evidence = Evidence(
        metrics=comparison.metrics,
        old=old,
        new=new,
        predictions=comparison.predictions,
        before={stage.name: stage.last_duration for stage in plan.stages if stage.last_duration is not None}
        if plan
        else {},
        runs=run.stages if run else (),
        stale_outputs=stale_outputs,
        repeats={result.metric: result for result in repeats},
    )
    known, notes = _waivers(context)
    results, remarks = waivers.apply_waivers(judge(context.settings.gate, evidence), known, datetime.now(UTC).date())
    base = context.record.change.base
    return results, (*notes, *remarks, *_find_loosened_gates(context, base))


def _waivers(context: RunContext) -> tuple[tuple[waivers.Waiver, ...], Notes]:
    """Return the waivers that count: for a pull request those of its target branch, else those of the work tree.

    A pull request must not waive its own failure: its own file counts only where the target
    branch's settings, or the environment, say ``waivers.trust = "change"``, and never for a fork.
    """
    change = context.record.change
    own = _read_own_waivers(context.root)
    if change.kind != "pull-request":
        return waivers.parse_waivers(own), ()
    revisions = list(context.agreed_at)
    content = context.git.show(revisions[0], context.prefix + waivers.FILE_NAME) if revisions else None
    agreed = content.decode("utf-8", "replace") if content else ""
    if own == agreed or (not change.fork and _trusts_changes(context, revisions)):
        return waivers.parse_waivers(own), ()
    if not own:
        return waivers.parse_waivers(agreed), ()
    return waivers.parse_waivers(agreed), (
        (waivers.FILE_NAME, "changed by this pull request: only what is on the target branch counts"),
    )


def _read_own_waivers(root: Path) -> str:
    path = root / waivers.FILE_NAME
    try:
        return "" if path.is_symlink() else path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{waivers.FILE_NAME} cannot be read: {error}.", "Fix or remove it.") from error


def _trusts_changes(context: RunContext, revisions: list[str]) -> bool:
    if context.loaded.sources.get("waivers.trust", "").startswith("MLBUTLER_"):
        return context.settings.waivers.trust == "change"
    before = _settings_at(context.git, context.prefix, revisions[0]) if revisions else None
    return before is not None and before.waivers.trust == "change"


def _settings_at(git: Git, prefix: str, revision: str) -> Settings | None:
    return settings_at(lambda name: git.show(revision, prefix + name))


def _find_loosened_gates(context: RunContext, base: str | None) -> Iterator[tuple[str, str]]:
    """Yield gates of the base that this change removed or altered, which the report has to mention."""
    before = _settings_at(context.git, context.prefix, base) if base else None
    now = context.settings.gate
    if before is not None and before.repeat != context.settings.repeat:
        yield "how runs are repeated", "[repeat] was changed by this pull request"
    for gate in before.gate if before else ():
        if gate not in now:
            changed = any(other.subject == gate.subject for other in now)
            yield f"gate on {gate.subject}", f"{'changed' if changed else 'removed'} by this pull request"
