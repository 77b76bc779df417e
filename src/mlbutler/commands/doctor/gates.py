"""Check that there are gates, and that the names they give exist."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping

from mlbutler.commands.doctor.examined import MISSING, NOTE, OK, Examined
from mlbutler.comparison.metrics import compare_metrics
from mlbutler.comparison.snapshot import Snapshot, Source
from mlbutler.settings import Gate
from mlbutler.steps.context import RunContext

_SAID = 5


def gates(context: RunContext) -> Examined:
    """Say which numbers can stop a change, and which of the gates would find none.

    Raises:
        MlbutlerError: the project cannot be read.
    """
    configured = context.settings.gate
    if not configured:
        return Examined(
            "gates", NOTE, "none: no number can stop a pull request", "Add a [[gate]] (`mlbutler help settings`)."
        )
    if any(gate.repeats for gate in configured) and not context.settings.repeat.seed:
        remedy = "Set repeat.seed (`mlbutler help compare`)."
        return Examined("gates", MISSING, "a gate has repeats, and no seed is named", remedy)
    committed, here = context.project.snapshots.read_snapshots(context.record.change.checkout, context.prefix)
    sources = _available_metrics(here.metrics, committed.metrics)
    numbers = compare_metrics({}, sources, {})[0]
    keys = {name for metric in numbers for name in (metric.key, metric.name)}
    unread = {file: source.problem for file, source in sources.items() if source.content is None and not source.absent}
    lacking, unknown = [], []
    for gate in configured:
        if gate.metric is not None and gate.metric not in keys and (why := _unread(gate.metric, unread)):
            unknown.append(f"{gate.subject}: {why}")
        elif gate.metric is not None and not keys:
            unknown.append(f"{gate.subject}: nothing is measured yet")
        elif problem := _problem(context, gate, keys, here):
            lacking.append(problem)
    if lacking:
        return Examined("gates", MISSING, "; ".join(lacking[:_SAID]), "Name what there is, or remove the gate.")
    if unknown:
        return Examined("gates", NOTE, f"not known whether there is a number: {'; '.join(unknown[:_SAID])}")
    return Examined("gates", OK, f"{len(configured)} on {', '.join(gate.subject for gate in configured)}")


def _available_metrics(here: Mapping[str, Source], committed: Mapping[str, Source]) -> dict[str, Source]:
    """Return the metrics files of the work tree; one that is not in it as it was committed."""
    return {
        file: committed[file] if source.content is None and file in committed else source
        for file, source in here.items()
    }


def _unread(metric: str, unread: Mapping[str, str]) -> str:
    """Return why the metric may exist although it was not found."""
    file = metric.rpartition(":")[0]
    return next((f"{path}: {why}" for path, why in unread.items() if file in ("", path)), "")


def _problem(context: RunContext, gate: Gate, keys: Collection[str], here: Snapshot) -> str:
    """Return what is wrong with the name that a gate gives, '' when something by that name exists."""
    stages = here.definitions or ()
    if gate.metric is not None:
        return "" if gate.metric in keys else f"no metric is called {gate.metric}{_near(gate.metric, keys)}"
    if gate.data is not None:
        path, paths = gate.data.strip("/"), set(context.project.stages.owners)
        owned = context.project.stages.owner(path) is not None if gate.of == "rows" else path in paths
        return "" if owned else f"DVC tracks no {path}{_near(path, paths)}"
    if gate.stage is not None:
        names = {stage.name for stage in stages}
        return "" if gate.stage in names else f"there is no stage {gate.stage}{_near(gate.stage, names)}"
    declared = {spec.file for spec in context.settings.predictions}
    file = str(gate.predictions)
    return "" if file in declared else f"no [[predictions]] declares {file}{_near(file, declared)}"


def _near(name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name, known, n=2)
    return f" (did you mean {' or '.join(near)}?)" if near else ""
