"""Compare both sides, and put the verdict in one sentence that names the deciding number."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from mlbutler import numbers
from mlbutler.comparison.data import compare_data
from mlbutler.comparison.documents import is_number
from mlbutler.comparison.metrics import NOT_MEASURED, compare_metrics
from mlbutler.comparison.params import compare_params
from mlbutler.comparison.plots import compare_plots
from mlbutler.comparison.snapshot import ArtifactState, Snapshot, Stored
from mlbutler.comparison.stages import compare_stages
from mlbutler.frozen import frozen
from mlbutler.record import (
    DataChange,
    GateResult,
    MetricChange,
    ParamChange,
    PlotChange,
    PredictionChange,
    StageDefinitionChange,
    Verdict,
)
from mlbutler.settings import Predictions

NO_TARGET = "there is nothing to compare with"


@frozen
class Comparison:
    """What differs; `not_judged` holds (subject, reason)."""

    metrics: tuple[MetricChange, ...]
    params: tuple[ParamChange, ...]
    plots: tuple[PlotChange, ...]
    data: tuple[DataChange, ...]
    predictions: tuple[PredictionChange, ...]
    not_judged: tuple[tuple[str, str], ...]
    stages: tuple[StageDefinitionChange, ...] = ()


def compare_snapshots(
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
    if not old.revision:  # against nothing, nothing is new
        metrics = tuple(replace(m, verdict=Verdict.NOT_JUDGED, reason=NO_TARGET) for m in metrics)
    params, param_problems = compare_params(old.params, new.params, new.stage_params)
    plots = charts(compare_plots(old, new))
    data = compare_data(*_artifacts(old, new), old.local_tables, new.local_tables)
    predictions, unpaired = _compare_declared_predictions(old, new, declared, picture) if declared else ((), ())
    sides = (("the target", old), ("this change", new))
    not_judged = [(name, f"{side.problem}; only what Git keeps is compared") for name, side in sides if side.problem]
    stages = _stages(old, new)
    not_judged += new.hidden.items()
    not_judged += [*metric_problems, *param_problems]
    unjudged = (metric for metric in metrics if metric.verdict is Verdict.NOT_JUDGED and metric.reason != NO_TARGET)
    not_judged += [(metric.key, metric.reason) for metric in unjudged]
    not_judged += [(plot.title, plot.reason) for plot in plots if plot.reason]
    not_judged += [(change.path, change.reason) for change in data if change.reason]
    not_judged += unpaired
    return Comparison(metrics, params, plots, data, predictions, tuple(dict.fromkeys(not_judged)), stages)


def _compare_declared_predictions(
    old: Snapshot, new: Snapshot, declared: Sequence[Predictions], picture: Callable[[str], str]
) -> tuple[tuple[PredictionChange, ...], Sequence[tuple[str, str]]]:
    """Return the predictions files compared, and what of them could not be; few projects declare any."""
    from mlbutler.comparison.predictions import compare_predictions, pairing_notes

    nothing = Stored(problem="the file is missing")
    found = tuple(
        compare_predictions(spec, old.tables.get(spec.file, nothing), new.tables.get(spec.file, nothing), picture)
        for spec in declared
    )
    return found, tuple(pairing_notes(found))


def _stages(old: Snapshot, new: Snapshot) -> tuple[StageDefinitionChange, ...]:
    if not old.revision or old.definitions is None or new.definitions is None:
        return ()
    return compare_stages(old.definitions, new.definitions)


def _artifacts(old: Snapshot, new: Snapshot) -> tuple[Mapping[str, ArtifactState], Mapping[str, ArtifactState]]:
    """Return those to compare: where one side could not be read, what it lacks need be neither new nor gone."""
    if not old.problem and not new.problem:
        return {path: a for path, a in old.artifacts.items() if path not in new.hidden}, new.artifacts
    both = old.artifacts.keys() & new.artifacts.keys()
    return {p: a for p, a in old.artifacts.items() if p in both}, {p: a for p, a in new.artifacts.items() if p in both}


def without_stale_outputs(comparison: Comparison, stale_outputs: Mapping[str, str]) -> Comparison:
    """Return the comparison with no verdict on numbers that are not those of the change.

    Args:
        stale_outputs: path of an output, or of a metrics file, that need not be that of the change -> why.
    """

    def why(file: str) -> str:
        return reason_for(file, stale_outputs)

    metrics = tuple(
        replace(m, verdict=Verdict.NOT_JUDGED, reason=reason) if (reason := why(m.file)) else m
        for m in comparison.metrics
    )
    predictions = tuple(
        replace(p, verdict=Verdict.NOT_JUDGED, reason=reason) if (reason := why(p.file)) else p
        for p in comparison.predictions
    )
    files = dict.fromkeys((*(m.file for m in comparison.metrics), *(p.file for p in comparison.predictions)))
    told = [(file, why(file)) for file in files if why(file)]
    kept = [(subject, reason) for subject, reason in comparison.not_judged if not why(subject.rpartition(":")[0])]
    return replace(comparison, metrics=metrics, predictions=predictions, not_judged=(*told, *kept))


def reason_for(path: str, stale_outputs: Mapping[str, str]) -> str:
    """Return why the output `path`, or its folder, need not be that of the change; '' for none."""
    parts = path.split("/")
    return next((stale_outputs[p] for n in range(len(parts), 0, -1) if (p := "/".join(parts[:n])) in stale_outputs), "")


_BROKEN = (("failed", "Failed"), ("waived", "Waived"), ("inconclusive", "Inconclusive"), ("warned", "Warning"))


def conclude(comparison: Comparison, gates: Sequence[GateResult]) -> tuple[Verdict, str]:
    """Return the overall verdict and its sentence: the gravest outcome of a gate decides, then the metrics."""
    for outcome, word in _BROKEN:
        if broken := [gate for gate in gates if gate.outcome == outcome]:
            more = f" (and {len(broken) - 1} more)" if len(broken) > 1 else ""
            waiver = f" (waived {broken[0].waiver})" if broken[0].waiver else ""
            return _overall(comparison), f"{word}: {broken[0].sentence}{waiver}{more}"
    balance = _balance(comparison)
    if balance.gone:
        worse = f"; {balance.bad[0]}" if balance.bad else ""
        return Verdict.GONE, f"Gone: {balance.gone[0]}{worse}."
    if balance.overall is Verdict.CHANGED:
        said = f"{balance.good[0]} better, {(*balance.bad, *balance.lost)[0]}"
        return Verdict.CHANGED, f"{_or_noise('Mixed', balance.unclear)}: {said}."
    if balance.bad:
        more = f", and {balance.lost[0]}" if balance.lost else ""
        word = _or_noise("Worse", balance.unclear)
        return Verdict.WORSE, f"{word}: {balance.bad[0].removesuffix(' worse')}{more}."
    if balance.lost:
        return Verdict.NOT_JUDGED, f"Not judged: {balance.lost[0]}."
    if balance.good:
        return Verdict.BETTER, f"{_or_noise('Better', balance.unclear)}: {balance.good[0]}."
    if noise := _filter_by_verdict(comparison.metrics, Verdict.WITHIN_NOISE):
        return (
            Verdict.WITHIN_NOISE,
            f"Within noise: {describe(noise[0])}, {_MEASURED.get(noise[0].noise_by, '')}.",
        )
    if not comparison.metrics:
        unread = [f"{s}: {why}" for s, why in comparison.not_judged if why.startswith(("here: ", "in the target: "))]
        said = unread[0] if unread else "the project declares no metrics"
        return Verdict.NOT_JUDGED, f"Not judged: {said}."
    if _filter_by_verdict(comparison.metrics, Verdict.SAME) and not any(
        metric.verdict in (Verdict.NEW, Verdict.GONE, Verdict.NOT_JUDGED) for metric in comparison.metrics
    ):
        return Verdict.SAME, "Same: no metric changed."
    first = next((m for m in comparison.metrics if m.verdict is not Verdict.SAME), comparison.metrics[0])
    return Verdict.NOT_JUDGED, f"Not judged: {first.key}: {first.reason}."


_MEASURED = {
    "repeats": "by repeated runs",
    "history": "no more than it moves from commit to commit of the target branch",
}


def _or_noise(word: str, unclear: bool) -> str:
    return f"{word} or noise" if unclear else word


@frozen
class _Balance:
    """What got better, what got worse, and which numbers were lost, each as text, the gravest first.

    `gone` are those of the lost ones that nobody measures any more. `unclear`: all of it may be noise.
    """

    good: tuple[str, ...]
    bad: tuple[str, ...]
    lost: tuple[str, ...]
    gone: tuple[str, ...]
    unclear: bool

    @property
    def overall(self) -> Verdict:
        """Return the verdict on all of them; a number that is lost may have been the worst of all."""
        if self.good and (self.bad or self.lost):
            return Verdict.CHANGED
        if self.bad or self.good:
            return Verdict.WORSE if self.bad else Verdict.BETTER
        return Verdict.NOT_JUDGED


def _balance(comparison: Comparison) -> _Balance:
    changed = [
        *_filter_by_verdict(comparison.metrics, Verdict.BETTER),
        *_filter_by_verdict(comparison.metrics, Verdict.WORSE),
    ]
    better = {unclear: [describe(m) for m in changed if m.verdict is Verdict.BETTER and m.may_be_noise is unclear]
              for unclear in (False, True)}  # fmt: skip
    worse = {unclear: [f"{describe(m)} worse" for m in changed
                       if m.verdict is Verdict.WORSE and m.may_be_noise is unclear]
             for unclear in (False, True)}  # fmt: skip
    lost = [_describe_loss(metric) for metric in comparison.metrics if _is_lost(metric)]
    examples = {
        verdict: [_describe_flips(change) for change in comparison.predictions if change.verdict is verdict]
        for verdict in (Verdict.BETTER, Verdict.WORSE)
    }
    sure = better[False] or worse[False] or lost or any(examples.values())
    return _Balance(
        (*better[False], *examples[Verdict.BETTER], *better[True]),
        (*worse[False], *(f"{text} worse" for text in examples[Verdict.WORSE]), *worse[True]),
        tuple(lost),
        tuple(_describe_loss(metric) for metric in comparison.metrics if _is_gone(metric)),
        unclear=not sure,
    )


def _is_lost(metric: MetricChange) -> bool:
    """Return whether the target had a number that is missing here.

    A number that is new, or was not a number before, is no loss.
    """
    return is_number(metric.old) and not is_number(metric.new) and metric.goal is not None


def _is_gone(metric: MetricChange) -> bool:
    """Return whether the target had the number and nothing here has.

    One without a direction counts only where its file is gone.
    """
    gone = metric.verdict is Verdict.GONE and is_number(metric.old)
    return gone and (metric.goal is not None or metric.reason != NOT_MEASURED)


def _describe_loss(metric: MetricChange) -> str:
    if metric.verdict is Verdict.GONE:
        return f"{metric.key} was {numbers.value(metric.old)} and is gone ({metric.reason})"
    if metric.new is None:
        return f"{metric.key} was {numbers.value(metric.old)} and is not known ({metric.reason})"
    return f"{metric.key} was {numbers.value(metric.old)} and is {metric.new}, not a number"


def _describe_flips(change: PredictionChange) -> str:
    flips = f"{change.broken:,} examples right → wrong, {change.fixed:,} wrong → right"
    return f"{change.file}: {flips}{_format_p_value(change)}"


def _format_p_value(change: PredictionChange) -> str:
    return "" if change.p is None else f", {numbers.in_words(change.p, change.alpha)}"


def _overall(comparison: Comparison) -> Verdict:
    """Return better, worse, or changed when there is both.

    A broken ceiling does not make an improvement worse.
    """
    balance = _balance(comparison)
    if balance.gone:
        return Verdict.GONE
    verdict = balance.overall
    noise = verdict is Verdict.NOT_JUDGED and _filter_by_verdict(comparison.metrics, Verdict.WITHIN_NOISE)
    return Verdict.WITHIN_NOISE if noise else verdict


def describe(metric: MetricChange) -> str:
    """Return ``metrics.json:accuracy 0.91 → 0.95 (+0.04)``."""
    old, new, difference = numbers.sides_and_difference(metric.old, metric.new, noise=metric.noise)
    return (
        f"{metric.key} {old} → {new} ({difference})" if metric.difference is not None else f"{metric.key} {old} → {new}"
    )


def _filter_by_verdict(metrics: Iterable[MetricChange], verdict: Verdict) -> list[MetricChange]:
    """Return the metrics with that verdict, the largest relative change first."""
    found = [metric for metric in metrics if metric.verdict is verdict]
    return sorted(found, key=lambda metric: -abs(metric.relative or 0.0))
