"""Paths that the stages of a project declare: metric files, and outputs that a stage goes on from."""

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
class DeclaredPaths:
    """Paths from the project's root. `persisted`: outputs that DVC leaves in place when their stage runs again."""

    metrics: tuple[str, ...] = (DVCLIVE,)
    persisted: tuple[str, ...] = ()


def collect_declared(stages: Stages) -> DeclaredPaths:
    """Return what these stages declare."""
    outputs = [out for stage in stages.pipeline() for out in stage.outputs if not out.external]
    metrics = dict.fromkeys([out.path for out in outputs if out.kind == "metric"] + [DVCLIVE])
    return DeclaredPaths(tuple(metrics), tuple(out.path for out in outputs if out.persist))


def read_declared(root: Path) -> DeclaredPaths:
    """Return what the stages of a project declare; what DVCLive writes by default where they cannot be read."""
    from mlbutler.project.project import Project

    try:
        return collect_declared(Project(root, {}).stages)
    except MlbutlerError:
        return DeclaredPaths()


def dump_declared(found: DeclaredPaths) -> bytes:
    """Return it as JSON."""
    return json.dumps(dataclasses.asdict(found)).encode()


def parse_declared(content: bytes) -> DeclaredPaths:
    """Return what `dump_declared` wrote; what DVCLive writes by default where it cannot be read."""
    try:
        found = parse_json(content)
        return DeclaredPaths(*(tuple(str(path) for path in found[name]) for name in ("metrics", "persisted")))
    except (ProjectError, KeyError, TypeError):
        return DeclaredPaths()
