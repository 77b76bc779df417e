"""What the stages of a project in a clone declare: metric files, and outputs that a stage goes on from."""

from __future__ import annotations

from pathlib import Path

from mlbutler.errors import MlbutlerError
from mlbutler.frozen import frozen
from mlbutler.project.project import Project

DVCLIVE = "dvclive/metrics.json"


@frozen
class Declared:
    """Paths from the project's root. `persisted`: outputs that DVC leaves in place when their stage runs again."""

    metrics: tuple[str, ...] = (DVCLIVE,)
    persisted: tuple[str, ...] = ()


def declared(root: Path) -> Declared:
    """Return what the stages of a project declare; what DVCLive writes by default where they cannot be read."""
    try:
        outputs = [out for stage in Project(root, {}).stages.pipeline() for out in stage.outputs if not out.external]
    except MlbutlerError:
        return Declared()
    metrics = dict.fromkeys([out.path for out in outputs if out.kind == "metric"] + [DVCLIVE])
    return Declared(tuple(metrics), tuple(out.path for out in outputs if out.persist))
