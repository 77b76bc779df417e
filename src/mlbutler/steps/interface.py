"""What a step is: a module with a `run` function that takes the working state and returns a result."""

from __future__ import annotations

from typing import Protocol

from mlbutler.record import StepResult
from mlbutler.steps.work import Work


class Step(Protocol):
    """One entry of the run."""

    def run(self, work: Work) -> StepResult:
        """Do the step. Expected failures of the outside are raised as `mlbutler.errors`; judgements are
        returned as a result whose outcome is ``failed``; what does not apply as ``skipped``."""
        ...
