"""The run as a table: its steps in order, and which of them run after another has failed."""

from __future__ import annotations

from mlbutler.frozen import frozen
from mlbutler.record import RESULTS, Outcome, StepResult


@frozen
class Step:
    """One line of the table: the step's module is `mlbutler.steps.<name>`.

    `needs`: steps that must not have failed before it. `after`: steps that may have failed, but must have come to
    their end: what they finished is worth pushing and comparing. `title`: what a reader of the log sees.
    """

    name: str
    title: str
    needs: tuple[str, ...] = ()
    after: tuple[str, ...] = ()

    @property
    def result(self) -> type[StepResult]:
        """Return the type of its result in the record."""
        return RESULTS[self.name]


STEPS: tuple[Step, ...] = (
    Step("test", "test: the project's tests"),
    Step("lint", "lint: the project's linters"),
    Step("plan", "plan: which stages are stale"),
    Step("sync", "sync: bring the data they need", needs=("test", "lint", "plan")),
    Step("check", "check: dvc.lock, and what is on the remote", needs=("plan",)),
    Step("reproduce", "reproduce: run what is stale", needs=("test", "lint", "plan", "sync")),
    Step("push", "push: results to the remote and the mirror", needs=("test", "lint", "plan", "sync")),
    Step("compare", "compare: with the target branch", after=("reproduce",)),
    Step("commit", "commit: results onto the branch", needs=("test", "lint", "plan", "sync", "reproduce", "push")),
    Step("report", "report"),
    Step("publish", "publish: notify the reviewers"),
)

NAMES = tuple(step.name for step in STEPS)


_PREVENTS = {Outcome.FAILED: "failed", Outcome.ERROR: "could not be done"}
"""Outcomes that prevent the steps that need this one. After "not known" they do what they can."""
_FAILS_IN_PART = ("plan",)
"""Steps that fail for the stages that cannot run; the others can."""


def prevents(name: str, outcome: Outcome) -> str:
    """Return what became of a step so that those that need it cannot be run, '' where they can."""
    return "" if name in _FAILS_IN_PART and outcome is Outcome.FAILED else _PREVENTS.get(outcome, "")


def run_after(failed: str, outcome: Outcome = Outcome.FAILED) -> tuple[str, ...]:
    """Return the later steps that are run although `failed` failed; generated pipelines must match this."""
    later = STEPS[NAMES.index(failed) + 1 :]
    return tuple(step.name for step in later if failed not in step.needs or not prevents(failed, outcome))
