"""Detect a stage that changes every time it runs: a results commit would ask for the next one, forever."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from mlbutler.commitback.earlier import REPRODUCED, holds_results_of
from mlbutler.frozen import frozen
from mlbutler.git import Git
from mlbutler.record import Cause, PlanResult

_MOST_COMMITS = 20


@frozen
class ResultsCommits:
    """The results commits of ours that end with HEAD: several pipelines of one project commit theirs in turn.

    Attributes:
        below: the commit that they stand on, None when there is none.
    """

    trailers: tuple[Mapping[str, str], ...]
    below: str | None

    def hold(self, stage: str) -> bool:
        """Return whether one of them may hold the stage's results."""
        return any(holds_results_of(stage, trailers) for trailers in self.trailers)


def results_commits(git: Git) -> ResultsCommits | None:
    """Return the results commits at HEAD, None where it is none or files were changed since.

    What they hold should not be stale.
    """
    found: list[Mapping[str, str]] = []
    commit: str | None = "HEAD"
    while commit is not None and len(found) < _MOST_COMMITS and REPRODUCED in (trailers := git.trailers(commit)):
        found.append(trailers)
        commit = next(iter(git.parents(commit)), None)
    return ResultsCommits(tuple(found), commit) if found and not git.dirty() else None


def verdict(
    git: Git, settled: ResultsCommits | None, plan: PlanResult, changed: Sequence[str], reason: str
) -> dict[str, Any]:
    """Return fields of the step's result for the stages that ran right after our own commit and changed outputs.

    Args:
        settled: `results_commits` before the stages ran. changed: stages that ran and made other outputs.
    """
    changed = [name for name in changed if settled is not None and settled.hold(name)]
    if settled is None or not changed:
        return {}
    authored = frozenset(git.changed_paths(settled.below, "HEAD")) if settled.below else frozenset()
    causes = {stage.name: stage.causes for stage in plan.stages}
    always = tuple(name for name in changed if not _is_explained(causes[name], authored))
    if not always:
        return {}
    return {"always_changes": always, "reason": f"{reason}; not deterministic: always changes: {', '.join(always)}"}


def _is_explained(causes: Sequence[Cause], authored: Collection[str]) -> bool:
    """Return whether somebody amended our commit.

    Ours never holds code, nor the files that define stages.
    """
    files = {path.rpartition("/")[2] for path in authored}
    return any(
        (cause.kind == "code" and any(path == cause.subject or path.endswith(f"/{cause.subject}") for path in authored))
        or (cause.kind in ("command", "never run") and "dvc.yaml" in files)
        for cause in causes
    )
