"""Plan while somebody edits what is planned with: ``python -m tests.integration.edited_meanwhile FILE``."""

from __future__ import annotations

import sys
import time
from collections.abc import Collection
from pathlib import Path

from mlbutler.cli import main
from mlbutler.record import PlanResult
from mlbutler.steps import plan
from mlbutler.steps.context import RunContext

FILE = Path(sys.argv[1])
planned = plan._plan_stages


def slow(context: RunContext, lost: Collection[str]) -> PlanResult:
    result = planned(context, lost)
    with FILE.open("a") as file:
        file.write("# edited while the plan was made")
    time.sleep(0.2)
    return result


if __name__ == "__main__":
    plan._plan_stages = slow
    main(["plan"])
