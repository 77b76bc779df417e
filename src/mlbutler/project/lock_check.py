"""Is dvc.lock up to date? Answered without data, from the plan and from dvc.lock's own consistency."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mlbutler.project.model import Stages
from mlbutler.record import Finding, StagePlan, StageState

CHECK = "lock"


def check_lock(stages: Stages, plans: Iterable[StagePlan]) -> tuple[Finding, ...]:
    """What is wrong with dvc.lock: stale stages with their causes, and entries of stages that are gone.

    A stage that is only stale because DVC runs it every time is no finding.
    """
    return (*_stale(plans), *_orphans(stages))


def _stale(plans: Iterable[StagePlan]) -> Iterator[Finding]:
    always: set[str] = set()
    for plan in plans:
        if plan.state in (StageState.UP_TO_DATE, StageState.FROZEN):
            continue
        causes = [c for c in plan.causes if c.kind != "always" and not (c.kind == "upstream" and c.subject in always)]
        if not causes:
            always.add(plan.name)
            continue
        problem = "; ".join(f"{c.kind} {c.subject}: {c.detail}" for c in causes)
        yield Finding(check=CHECK, subject=plan.name, problem=problem, remedy=f"dvc repro {_quoted(plan.name)}")


def _orphans(stages: Stages) -> Iterator[Finding]:
    for lock, name in stages.orphans:
        yield Finding(
            check=CHECK,
            subject=name,
            problem=f"{lock} records a stage that no dvc.yaml declares",
            remedy=f"remove the entry {_quoted(name)} from {lock}",
        )


def _quoted(text: str) -> str:
    import shlex

    return shlex.quote(text)
