"""Find the number that a gate is about, on both sides: a metric, a size, a count, a time."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field

from mlbutler.comparison.comparison import reason_for
from mlbutler.comparison.snapshot import Snapshot
from mlbutler.comparison.tables import UnreadableTable, count_rows
from mlbutler.frozen import frozen
from mlbutler.record import MetricChange, PredictionChange, RepeatResult, StageRun, Verdict
from mlbutler.settings import Gate

_GOALS = {"seconds": "minimize", "memory": "minimize", "broken": "minimize", "worse_slices": "minimize"}


@frozen
class Evidence:
    """What gates are judged by.

    Attributes:
        old, new: both sides; `tables` in them hold the files whose rows are counted.
        before: stage -> seconds of its last recorded run before this one. runs: the stages of this run.
        stale_outputs: path of an output, or of a metrics file, that need not be that of the change -> why.
        repeats: metric key -> what repeated runs gave; gates on it are judged by them.
    """

    metrics: Sequence[MetricChange] = ()
    old: Snapshot = field(default_factory=lambda: Snapshot(""))
    new: Snapshot = field(default_factory=lambda: Snapshot(""))
    predictions: Sequence[PredictionChange] = ()
    before: Mapping[str, float] = field(default_factory=dict)
    runs: Sequence[StageRun] = ()
    stale_outputs: Mapping[str, str] = field(default_factory=dict)
    repeats: Mapping[str, RepeatResult] = field(default_factory=dict)


@frozen
class Measurement:
    """The number, or why there is none.

    `excused`: the change is not to blame for a missing number. `unchanged`: both sides are the same.
    """

    number: MetricChange | None = None
    problem: str = ""
    excused: bool = False
    unchanged: bool = False


def find_measurement(gate: Gate, evidence: Evidence) -> Measurement:
    """Return the number that `gate` judges; a number from before the change does not count."""
    found = _FINDERS[gate.kind](gate, evidence)
    if gate.kind == "stage" or (found.number is not None and found.number.key in evidence.repeats):
        return found
    subject = found.number.file if found.number is not None else gate.subject.rpartition(":")[0]
    if reason := reason_for(subject, evidence.stale_outputs):
        return Measurement(problem=f"{subject}: {reason}", excused=True)
    return found


def _measure_metric(gate: Gate, evidence: Evidence) -> Measurement:
    named = [metric for metric in evidence.metrics if gate.metric in (metric.key, metric.name)]
    found = [metric for metric in named if metric.key == gate.metric] or named
    if len(found) > 1:
        return Measurement(problem=f"{gate.metric} is ambiguous: {', '.join(metric.key for metric in found[:5])}")
    if found:
        return Measurement(found[0])
    if (elsewhere := _unread_measurement(gate, evidence)) is not None:
        return elsewhere
    names = [name for metric in evidence.metrics for name in (metric.key, metric.name)]
    return Measurement(problem=f"{gate.metric} was not measured{_format_suggestion(gate.subject, names)}")


def _unread_measurement(gate: Gate, evidence: Evidence) -> Measurement | None:
    """Return why a metric may be missing although it was measured: its file could not be read."""
    file = gate.subject.rpartition(":")[0]
    for metric in evidence.metrics:
        if not metric.name and file in ("", metric.file):
            return Measurement(problem=f"{metric.file}: {metric.reason}", excused=True, unchanged=bool(file))
    unread = {path: why for path, why in evidence.stale_outputs.items() if path in evidence.new.metrics}
    for path, why in unread.items():
        if file in ("", path):
            return Measurement(problem=f"{gate.metric} was not found, and {path} is not known: {why}", excused=True)
    return None


def _format_suggestion(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def _build_measurement(gate: Gate, old: float | None, new: float | None) -> Measurement:
    goal = _GOALS.get(gate.of, "maximize")
    difference = new - old if old is not None and new is not None else None
    file, _, name = gate.subject.rpartition(":")
    verdict = Verdict.SAME if difference == 0 else Verdict.CHANGED
    return Measurement(
        MetricChange(file=file, name=name, old=old, new=new, difference=difference, goal=goal, verdict=verdict)
    )


def _measure_data(gate: Gate, evidence: Evidence) -> Measurement:
    assert gate.data is not None
    path = gate.data.strip("/")
    if gate.of == "rows":
        return _measure_rows(gate, path, evidence)
    sides = [side.artifacts.get(path) for side in (evidence.old, evidence.new)]
    if sides[1] is None:
        gone = "is gone" if sides[0] is not None else "is not an output of a stage and is not tracked by DVC"
        return Measurement(problem=f"{path} {gone}")
    if gate.of == "files":
        counts = [None if side is None else side.files if side.directory else 1 for side in sides]
    else:
        counts = [None if side is None else side.size for side in sides]
    if counts[1] is None:
        return Measurement(problem=f"the {gate.of} of {path} are not recorded")
    return _build_measurement(gate, counts[0], counts[1])


def _measure_rows(gate: Gate, path: str, evidence: Evidence) -> Measurement:
    sides = [
        {name: stored for name, stored in side.tables.items() if name == path or name.startswith(f"{path}/")}
        for side in (evidence.new, evidence.old)
    ]
    identities = [{name: stored.identity for name, stored in side.items()} for side in sides]
    unchanged: Measurement | None = None
    if identities[0] == identities[1] and identities[0] and all(identities[0].values()):
        unchanged = Measurement(problem=f"{path} is the same on both sides", excused=True, unchanged=True)
        if gate.min is None and gate.max is None:
            return unchanged
    counted: dict[str, int] = {}  # what is the same object on both sides is read once, where it is available
    totals: list[int | None] = []
    for files in sides:
        total = 0
        try:
            for name, stored in files.items():
                if not stored.identity or stored.identity not in counted:
                    counted[stored.identity] = count_rows(name, stored)
                total += counted[stored.identity]
        except UnreadableTable as error:
            if files is sides[0]:
                return unchanged or Measurement(problem=f"the rows of {path} cannot be counted: {error}")
            totals.append(None)
            continue
        totals.append(total if files else None)
    after, before = totals
    if after is None:
        return Measurement(problem=f"{path} holds no table (CSV, TSV, JSON lines, Parquet)")
    return _build_measurement(gate, before, after)


def _measure_stage(gate: Gate, evidence: Evidence) -> Measurement:
    run = next((run for run in evidence.runs if run.name == gate.stage), None)
    if run is None:
        near = _format_suggestion(str(gate.stage), [run.name for run in evidence.runs])
        return Measurement(problem=f"there is no stage {gate.stage} in this run{near}", excused=not evidence.runs)
    if run.outcome != "ran":
        return Measurement(problem=f"stage {gate.stage} did not run ({run.outcome})", excused=run.outcome != "failed")
    if gate.of == "memory":
        if run.peak_memory is None:
            return Measurement(problem=f"the memory of stage {gate.stage} was too small to be measured", excused=True)
        return _build_measurement(gate, None, run.peak_memory)
    return _build_measurement(gate, evidence.before.get(run.name), run.duration)


def _measure_predictions(gate: Gate, evidence: Evidence) -> Measurement:
    change = next((change for change in evidence.predictions if change.file == gate.predictions), None)
    if change is None:
        return Measurement(problem=f"{gate.predictions} is not declared in [[predictions]]")
    if change.verdict is Verdict.SAME and not change.examples:
        if gate.of != "right":
            return _build_measurement(gate, 0, 0)
        return Measurement(problem=f"{change.file} is the same on both sides", excused=True, unchanged=True)
    if not change.examples:
        return Measurement(problem=f"{change.file}: {change.reason}")
    if gate.of == "right":
        return _build_measurement(gate, change.old_right / change.examples, change.new_right / change.examples)
    return _build_measurement(
        gate, 0, change.broken if gate.of == "broken" else sum(part.worse for part in change.slices)
    )


_FINDERS: dict[str, Callable[[Gate, Evidence], Measurement]] = {
    "metric": _measure_metric,
    "data": _measure_data,
    "stage": _measure_stage,
    "predictions": _measure_predictions,
}
