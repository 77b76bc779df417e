"""What the stages of a project declare: metric files, and outputs that a stage goes on from."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING

from mlbutler.errors import MlbutlerError, ProjectError
from mlbutler.frozen import frozen
from mlbutler.parsing import parse_json

if TYPE_CHECKING:  # on an agent, what runs the stages is given the answer: DVC is not imported once more for it
    from mlbutler.project.model import Stages

DVCLIVE = "dvclive/metrics.json"


@frozen
class Declared:
    """Paths from the project's root. `persisted`: outputs that DVC leaves in place when their stage runs again."""

    metrics: tuple[str, ...] = (DVCLIVE,)
    persisted: tuple[str, ...] = ()


def declared_by(stages: Stages) -> Declared:
    """Return what these stages declare."""
    outputs = [out for stage in stages.pipeline() for out in stage.outputs if not out.external]
    metrics = dict.fromkeys([out.path for out in outputs if out.kind == "metric"] + [DVCLIVE])
    return Declared(tuple(metrics), tuple(out.path for out in outputs if out.persist))


def declared(root: Path) -> Declared:
    """Return what the stages of a project declare; what DVCLive writes by default where they cannot be read."""
    from mlbutler.project.project import Project

    try:
        return declared_by(Project(root, {}).stages)
    except MlbutlerError:
        return Declared()


def dumps(found: Declared) -> bytes:
    """Return it as JSON."""
    return json.dumps(dataclasses.asdict(found)).encode()


def loads(content: bytes) -> Declared:
    """Return what `dumps` wrote; what DVCLive writes by default where it cannot be read."""
    try:
        found = parse_json(content)
        return Declared(*(tuple(str(path) for path in found[name]) for name in ("metrics", "persisted")))
    except (ProjectError, KeyError, TypeError):
        return Declared()
