"""Both sides compared, and the verdict in one sentence that names the deciding number."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from mlbutler.compare.data import compare_data
from mlbutler.compare.metrics import compare_metrics
from mlbutler.compare.params import compare_params
from mlbutler.compare.plots import compare_plots
from mlbutler.compare.predictions import compare_predictions, unpaired
from mlbutler.compare.snapshot import Snapshot, Stored
from mlbutler.record import (
    DataChange,
    GateResult,
    MetricChange,
    ParamChange,
    PlotChange,
    PredictionChange,
    Verdict,
)
from mlbutler.settings import Predictions


@dataclass(frozen=True)
class Comparison:
    """What differs; `not_judged` holds (subject, reason)."""

    metrics: tuple[MetricChange, ...]
    params: tuple[ParamChange, ...]
    plots: tuple[PlotChange, ...]
    data: tuple[DataChange, ...]
    predictions: tuple[PredictionChange, ...]
    not_judged: tuple[tuple[str, str], ...]


def compare(
    old: Snapshot,
    new: Snapshot,
    goals: Mapping[str, str],
    declared: Sequence[Predictions] = (),
    picture: Callable[[str], str] = lambda path: "",
    charts: Callable[[tuple[PlotChange, ...]], tuple[PlotChange, ...]] = lambda plots: plots,
) -> Comparison:
    """Compare two snapshots.

    Args:
        goals: ``file:name`` or name -> ``maximize`` or ``minimize``, from the gates.
        declared: the predictions files. picture: an image's path here -> a data URI, '' when it cannot be shown.
        charts: adds the specifications of plots that have a template.
    """
    metrics, metric_problems = compare_metrics(old.metrics, new.metrics, goals)
    params, param_problems = compare_params(old.params, new.params, new.stage_params)
    plots = charts(compare_plots(old, new))
    data = compare_data(old.artifacts, new.artifacts, old.at_hand, new.at_hand)
    nothing = Stored(problem="the file is missing")
    predictions = tuple(
        compare_predictions(spec, old.tables.get(spec.file, nothing), new.tables.get(spec.file, nothing), picture)
        for spec in declared
    )
    not_judged = [*metric_problems, *param_problems]
    not_judged += [(metric.key, metric.reason) for metric in metrics if metric.verdict is Verdict.NOT_JUDGED]
    not_judged += [(plot.title, plot.reason) for plot in plots if plot.reason]
    not_judged += [(change.path, change.reason) for change in data if change.reason]
    not_judged += unpaired(predictions)
    return Comparison(metrics, params, plots, data, predictions, tuple(dict.fromkeys(not_judged)))


_BROKEN = (("failed", "Failed"), ("waived", "Waived"), ("inconclusive", "Inconclusive"), ("warned", "Warning"))


def conclude(comparison: Comparison, gates: Sequence[GateResult]) -> tuple[Verdict, str]:
    """The verdict on the whole and its sentence: the gravest outcome of a gate decides, then the metrics."""
    for outcome, word in _BROKEN:
        if broken := [gate for gate in gates if gate.outcome == outcome]:
            more = f" (and {len(broken) - 1} more)" if len(broken) > 1 else ""
            waiver = f" (waived {broken[0].waiver})" if broken[0].waiver else ""
            return _overall(comparison.metrics), f"{word}: {broken[0].sentence}{waiver}{more}"
    hint = "" if gates else " No gate is set, so nothing can stop a worse result."
    worse, better = _of(comparison.metrics, Verdict.WORSE), _of(comparison.metrics, Verdict.BETTER)
    if worse and better:
        return Verdict.CHANGED, f"Mixed: {describe(better[0])} better, {describe(worse[0])} worse.{hint}"
    if worse:
        return Verdict.WORSE, f"Worse: {describe(worse[0])}.{hint}"
    if better:
        return Verdict.BETTER, f"Better: {describe(better[0])}.{hint}"
    if decided := _by_examples(comparison.predictions):
        return decided[0], f"{decided[1]}{hint}"
    if noise := _of(comparison.metrics, Verdict.WITHIN_NOISE):
        return Verdict.WITHIN_NOISE, f"Within noise: {describe(noise[0])}, by repeated runs.{hint}"
    if not comparison.metrics:
        return Verdict.NOT_JUDGED, f"Not judged: the project declares no metrics.{hint}"
    if _of(comparison.metrics, Verdict.SAME) and not any(
        metric.verdict in (Verdict.NEW, Verdict.GONE, Verdict.NOT_JUDGED) for metric in comparison.metrics
    ):
        return Verdict.SAME, f"Same: no metric changed.{hint}"
    first = next((m for m in comparison.metrics if m.verdict is not Verdict.SAME), comparison.metrics[0])
    return Verdict.NOT_JUDGED, f"Not judged: {first.key}: {first.reason}.{hint}"


def _by_examples(predictions: Sequence[PredictionChange]) -> tuple[Verdict, str] | None:
    """What predictions say where no metric got better or worse; a file that got worse goes first."""
    for verdict, word in ((Verdict.WORSE, "Worse"), (Verdict.BETTER, "Better")):
        for change in predictions:
            if change.verdict is verdict:
                flips = f"{change.broken:,} examples right -> wrong, {change.mended:,} wrong -> right"
                return verdict, f"{word}: {change.file}: {flips} (p = {change.p:.2g})."
    return None


def _overall(metrics: Sequence[MetricChange]) -> Verdict:
    """Better, worse, or changed when there is both; a broken ceiling does not make an improvement worse."""
    worse, better = _of(metrics, Verdict.WORSE), _of(metrics, Verdict.BETTER)
    if worse and better:
        return Verdict.CHANGED
    if worse or better:
        return Verdict.WORSE if worse else Verdict.BETTER
    return Verdict.WITHIN_NOISE if _of(metrics, Verdict.WITHIN_NOISE) else Verdict.NOT_JUDGED


def describe(metric: MetricChange) -> str:
    """``metrics.json:accuracy 0.91 -> 0.95 (+0.04)``."""
    difference = f" ({metric.difference:+.5g})" if metric.difference is not None else ""
    return f"{metric.key} {short(metric.old)} -> {short(metric.new)}{difference}"


def short(value: object) -> str:
    """A number with five significant digits, other values as they are."""
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def _of(metrics: Iterable[MetricChange], verdict: Verdict) -> list[MetricChange]:
    """The metrics with that verdict, the largest relative change first."""
    found = [metric for metric in metrics if metric.verdict is verdict]
    return sorted(found, key=lambda metric: -abs(metric.relative or 0.0))
