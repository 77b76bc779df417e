"""Is dvc.lock up to date? Answered without data, from the plan and from dvc.lock's own consistency."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence

from mlbutler.frozen import frozen
from mlbutler.record import Cause, Finding, StagePlan, StageState

CHECK = "lock"


@frozen
class LockCheck:
    """What dvc.lock says of the stages.

    Attributes:
        findings: stages that it does not describe as they are now. undetermined: stages of which that is not known.
    """

    findings: tuple[Finding, ...] = ()
    undetermined: tuple[Finding, ...] = ()


def check_lock(plans: Iterable[StagePlan]) -> LockCheck:
    """Return what is wrong with dvc.lock, stage by stage, with the causes.

    A stage that is only stale because dvc.yaml wants it run every time is no finding.
    """
    findings: list[Finding] = []
    undetermined: list[Finding] = []
    wanted: set[str] = set()
    remedies: dict[str, str] = {}  # of stages that no `dvc repro` of a later one helps
    for plan in plans:
        if plan.state in (StageState.UP_TO_DATE, StageState.FROZEN):
            continue
        causes = [cause for cause in plan.causes if not _is_wanted(cause, wanted)]
        if not causes:
            wanted.add(plan.name)
        elif all(cause.kind == "not known" for cause in causes):
            remedies[plan.name] = _remedy(causes, remedies) or "Run again when it can be found out."
            undetermined.append(_finding(plan, causes, remedies[plan.name]))
        else:
            remedy = _remedy([cause for cause in causes if cause.kind != "not known"], remedies)
            if plan.state is StageState.CANNOT_RUN:
                remedies[plan.name] = remedy
            findings.append(_finding(plan, causes, remedy or f"dvc repro {shlex.quote(plan.name)}"))
    return LockCheck(tuple(findings), tuple(undetermined))


def leftovers(entries: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Return a sentence for each dvc.lock that keeps stages which no dvc.yaml declares any more: DVC never drops them.

    Args:
        entries: (dvc.lock's path, stage).
    """
    by_lock: dict[str, list[str]] = {}
    for lock, name in entries:
        by_lock.setdefault(lock, []).append(name)
    return tuple(
        f"{lock} keeps what no dvc.yaml declares any more, which harms nothing: {', '.join(names)}"
        for lock, names in by_lock.items()
    )


def _is_wanted(cause: Cause, wanted: set[str]) -> bool:
    """Tell whether the only reason is that dvc.yaml asks for it."""
    return (cause.kind == "always" and not cause.remedy) or (cause.kind == "upstream" and cause.subject in wanted)


def _remedy(causes: Iterable[Cause], before: Mapping[str, str]) -> str:
    """Return the remedy of the first cause that has one, itself or through the stage before this one."""
    return next((said for cause in causes if (said := cause.remedy or before.get(cause.subject, ""))), "")


def _finding(plan: StagePlan, causes: Sequence[Cause], remedy: str) -> Finding:
    problem = "; ".join(f"{cause.kind} {cause.subject}: {cause.detail}" for cause in causes)
    return Finding(check=CHECK, subject=plan.name, problem=problem, remedy=remedy)
