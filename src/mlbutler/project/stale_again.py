"""Explain stages that are stale as soon as they have run: every build would run them again."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from mlbutler.record import Cause, Finding, StagePlan, StageState

CHECK = "stale again"


def stale_again(plans: Iterable[StagePlan], ran: Collection[str]) -> tuple[Finding, ...]:
    """Return what makes these stages stale again, and what to write instead.

    Args:
        plans: judged after the stages ran. ran: their names.
    """
    stale = [plan for plan in plans if plan.name in ran and plan.state is StageState.STALE]
    return tuple(finding for plan in stale for finding in _findings(plan))


def _findings(plan: StagePlan) -> Iterator[Finding]:
    for cause in plan.causes:
        wanted = cause.kind == "always" and not cause.remedy  # dvc.yaml says so
        if not wanted and cause.kind != "upstream":
            yield Finding(
                check=CHECK, subject=plan.name, problem=f"{cause.subject}: {cause.detail}",
                remedy=cause.remedy or _instead(cause),
            )  # fmt: skip


def _instead(cause: Cause) -> str:
    if cause.kind == "output":
        return (
            f"{cause.subject} changed after the stage had ended: let its command wait for all that it starts, and let "
            "nothing else write there."
        )
    file = cause.subject.partition(":")[0]
    return f"Something writes into {file} after the stage has read it: let it write into a copy or elsewhere."
