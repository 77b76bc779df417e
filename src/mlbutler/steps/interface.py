"""The interface of steps: a module with a `run` function that takes the working state and returns a result."""

from __future__ import annotations

from typing import Protocol

from mlbutler.record import StepResult
from mlbutler.steps.context import RunContext


class Step(Protocol):
    """Describe one step of the run."""

    def run(self, work: RunContext) -> StepResult:
        """Run the step and return its result.

        Expected external failures are raised as `mlbutler.errors`; a negative verdict is returned with the outcome
        ``failed``, a step that does not apply with ``skipped``.
        """
        ...
