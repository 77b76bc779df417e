"""The run's steps as generated pipelines take them: from the table of the run, whatever the CI server."""

from __future__ import annotations

from mlbutler.record import REPORTING_STEPS
from mlbutler.run_table import NAMES, STEPS, run_after

PLAN = "plan"
SIDE_BY_SIDE = tuple(
    step.name for step in STEPS if not (step.needs or step.after) and step.name not in (PLAN, *REPORTING_STEPS)
)
"""Steps that wait for no other, besides `PLAN`, which comes first."""
OWN_CODE = ("test", "lint", "reproduce")
"""Steps that run the project's own code: without credentials, and limited in time."""
IN_ORDER = tuple(name for name in NAMES if name not in (PLAN, *SIDE_BY_SIDE, *REPORTING_STEPS))
"""Those between these and the ones that tell of the others."""
ALL = (PLAN, *SIDE_BY_SIDE, *IN_ORDER)
"""All but those that tell of the others."""


def binds_data(name: str) -> bool:
    """Return whether a step is given the credentials of Git and of the DVC remote."""
    return name not in OWN_CODE and name not in REPORTING_STEPS


def goes_on(name: str) -> bool:
    """Return whether steps that do not only tell are taken although this one failed."""
    return bool(set(run_after(name)) - set(REPORTING_STEPS))
