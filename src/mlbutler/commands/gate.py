"""`mlbutler gate calibrate`: the target compared with itself, to measure the gate's own errors."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

from mlbutler.commands.start import begin
from mlbutler.comparison.comparison import compare_snapshots
from mlbutler.comparison.documents import is_number
from mlbutler.console import Console
from mlbutler.errors import OutsideError, UsageError
from mlbutler.frozen import frozen
from mlbutler.gate.calibrate import Calibration, calibrate
from mlbutler.gate.noise import pairs_needed
from mlbutler.gate.rules import limits
from mlbutler.record import MetricChange
from mlbutler.report.model import Column, Table, cell
from mlbutler.report.screen import Screen
from mlbutler.settings import Gate
from mlbutler.steps.context import RunContext
from mlbutler.steps.repeat import measure, seeds_for

_REPEATS, _LEAST_RUNS = 5, 20


@frozen
class CalibrationOutcome:
    """One limit of one gate, and how it did. `needed`: pairs that tell an effect of the limit's size from none."""

    metric: str
    rule: str
    goal: str
    values: tuple[float, ...]
    found: Calibration
    needed: int | None


def calibrate_gates(
    directory: Path, console: Console, metric: str | None, *, against: str | None, repeats: int | None, runs: int | None
) -> int:
    """Run the stages behind the gated metrics (or `metric` alone) of the target with `runs` seeds, and resample.

    Returns the exit code: 0, for nothing is judged here.

    Raises:
        UsageError: no such metric, or none with a gate. SettingsError: repeat.seed is not set.
        OutsideError: a run failed, or the seeds change nothing.
    """
    with begin(directory, console, against) as context:
        revision = context.record.change.base or context.record.change.checkout
        chosen = _select_gates(context, revision, metric)
        most = max(repeats or gate.repeats or _REPEATS for gate, _ in chosen)
        count = runs or max(_LEAST_RUNS, 4 * most)
        names = list(dict.fromkeys((found.file, found.name) for _, found in chosen))
        series = measure(context, revision, names, seeds_for(context, count), "in the target")
        if series.problem:
            raise OutsideError(f"The gate cannot be calibrated: {series.problem}.", "Fix the stage, or repeat.seed.")
        confidence = context.settings.repeat.confidence
        outcomes = []
        for gate, found in chosen:
            values, goal = series.values[found.file, found.name], gate.goal or found.goal
            if goal is None:
                raise UsageError(f"{found.key} has no known direction.", "Set goal in its gate.")
            for name, limit in limits(gate):
                rates = calibrate(values, name, limit, goal, repeats or gate.repeats or _REPEATS, confidence)
                rule = f"{name.replace('_', ' ')} {limit:g}"
                needed = pairs_needed(rates.unit, rates.deviation * math.sqrt(2), confidence)
                outcomes.append(CalibrationOutcome(found.key, rule, goal, tuple(values), rates, needed))
        if not console.quiet:
            for one in outcomes:
                _show(console, one)
        if console.json:
            print(json.dumps({"gates": [dataclasses.asdict(one) for one in outcomes]}, indent=2, ensure_ascii=False))
        return 0


def _select_gates(context: RunContext, revision: str, metric: str | None) -> list[tuple[Gate, MetricChange]]:
    old, _ = context.project.snapshots.read_snapshots(revision, context.prefix)
    metrics = [found for found in compare_snapshots(old, old, {}).metrics if is_number(found.new)]
    pairs = [
        (gate, found)
        for gate in context.settings.gate
        for found in metrics
        if gate.metric in (found.key, found.name) and metric in (None, found.key, found.name)
    ]
    if not pairs and metric is not None:
        bare = [found for found in metrics if metric in (found.key, found.name)]
        pairs = [(Gate(metric=found.key, max_drop=0.0), found) for found in bare[:1]]
    if not pairs:
        known = ", ".join(found.key for found in metrics[:8]) or "none"
        what = f"There is no metric '{metric}' in the target" if metric else "No metric of the target has a gate"
        raise UsageError(f"{what}.", f"Name one of its metrics: {known}.")
    return pairs


def _show(console: Console, one: CalibrationOutcome) -> None:
    found = one.found
    screen = Screen(console)
    mean = sum(one.values) / len(one.values)
    average = f"{mean:.5g} on average of {len(one.values)} seeds, standard deviation {found.deviation:.3g}"
    screen.line(f"{one.metric}: {average}")
    names = ("Worse by", "Fails", "Inconclusive", "Passes", "One run, same limit: fails", "Any drop: fails")
    rows = []
    for rate in found.rates:
        shares = (rate.failed, 1 - rate.failed - rate.passed, rate.passed, rate.single, rate.any_drop)
        rows.append(tuple(cell(text) for text in (f"{rate.effect:.3g}", *(f"{share:.1%}" for share in shares))))
    columns = tuple(Column(name, numeric=True) for name in names)
    screen.table(Table(f"{one.rule}, {found.repeats} repeats", columns, tuple(rows)))
    none = found.rates[0]
    said = f"False alarms: {none.failed:.1%} (at most {found.nominal:.1%} promised)."
    if one.needed:
        said += f" To tell a worsening of {found.unit:.3g} from none takes about {one.needed} repeats."
    screen.line(said)
