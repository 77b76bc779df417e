"""Compare metrics of both sides: difference, direction, verdict."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from mlbutler.comparison.documents import ODD, Document, is_number, read_both
from mlbutler.comparison.snapshot import Source
from mlbutler.record import MetricChange, Scalar, Verdict

_MAXIMIZE = {
    "accuracy",
    "acc",
    "f1",
    "auc",
    "auroc",
    "roc",
    "precision",
    "recall",
    "r2",
    "map",
    "iou",
    "miou",
    "bleu",
    "rouge",
    "score",
    "dice",
    "sensitivity",
    "specificity",
    "throughput",
    "ndcg",
    "mrr",
    "kappa",
    "mcc",
}
_MINIMIZE = {
    "loss",
    "error",
    "err",
    "rmse",
    "mse",
    "mae",
    "mape",
    "perplexity",
    "ppl",
    "latency",
    "time",
    "duration",
    "seconds",
    "wer",
    "cer",
    "fid",
    "brier",
    "nll",
    "logloss",
    "rmsle",
}


NOT_MEASURED = "not measured any more"
"""Why a metric is gone whose file is there."""


def compare_metrics(
    old: Mapping[str, Source], new: Mapping[str, Source], goals: Mapping[str, str]
) -> tuple[tuple[MetricChange, ...], tuple[tuple[str, str], ...]]:
    """Return every number on either side, and (file, reason) for files that could not be read.

    Args:
        goals: ``file:name`` or a bare name -> ``maximize`` or ``minimize``; goes before what names tell.
    """
    changes: list[MetricChange] = []
    problems: list[tuple[str, str]] = []
    for file in dict.fromkeys((*new, *old)):
        if _is_same_unread(old.get(file), new.get(file)):
            changes.append(_unread_change(file, new[file].problem))
            continue
        before, after, said = read_both(file, old, new)
        problems += said
        changes += _changes(file, before, after, goals)
    return tuple(changes), tuple(problems)


def _is_same_unread(old: Source | None, new: Source | None) -> bool:
    """Return whether both sides have the same object, whose content is not available here."""
    return old is not None and new is not None and new.content is old.content is None and new.is_same_as(old)


def _unread_change(file: str, problem: str) -> MetricChange:
    """Return one entry for all numbers of a file that is the same on both sides and could not be read."""
    reason = f"the same object on both sides; its numbers are not available here ({problem})"
    return MetricChange(file=file, name="", verdict=Verdict.SAME, reason=reason)


def _changes(file: str, before: Document, after: Document, goals: Mapping[str, str]) -> Iterator[MetricChange]:
    for name in dict.fromkeys((*after.values, *before.values)):
        goal = goals.get(f"{file}:{name}") or goals.get(name) or guess_goal(name)
        yield _judge_metric(file, name, before, after, goal)


def guess_goal(name: str) -> str | None:
    """Return the direction that a well-known name has; a minimizing word wins (``accuracy_error``).

    ``valLoss`` holds loss, ``accuracy_2`` and ``accuracy2`` accuracy, ``mAP50`` map.
    """
    parts = (*re.split(r"[^a-z0-9]+", re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()),
             *re.split(r"[^a-z0-9]+", name.lower()))  # fmt: skip
    words = {*parts, *(part.rstrip("0123456789") for part in parts)}
    if words & _MINIMIZE:
        return "minimize"
    return "maximize" if words & _MAXIMIZE else None


def _judge_metric(file: str, name: str, before: Document, after: Document, goal: str | None) -> MetricChange:
    old, new = before.values.get(name), after.values.get(name)

    def change(verdict: Verdict, reason: str = "", difference: float | None = None) -> MetricChange:
        relative = (
            difference / abs(float(old)) if difference is not None and isinstance(old, (int, float)) and old else None
        )
        return MetricChange(
            file=file, name=name, old=old, new=new, difference=difference, relative=relative, goal=goal,
            verdict=verdict, reason=reason,
        )  # fmt: skip

    if name not in after.values:
        if not after.known:
            return change(Verdict.NOT_JUDGED, f"here: {after.problem}")
        return change(Verdict.GONE, after.problem or NOT_MEASURED)
    if name not in before.values:
        if not before.known:
            return change(Verdict.NOT_JUDGED, f"in the target: {before.problem}")
        return change(Verdict.NEW, before.problem or "not measured in the target")
    alike = old == new and is_number(old) == is_number(new)  # True equals 1, and is no number
    if not is_number(new) and not alike:
        return change(Verdict.NOT_JUDGED, f"{_kind(new)} here")
    if isinstance(old, str) and old in ODD:
        return change(Verdict.NOT_JUDGED, f"{old} in the target")
    if alike:
        return change(Verdict.SAME, difference=0.0 if is_number(old) else None)
    if not is_number(old):
        return change(Verdict.NOT_JUDGED, f"{_kind(old)} in the target")
    assert isinstance(old, (int, float))
    assert isinstance(new, (int, float))
    difference = float(new - old)  # whole numbers are exact up to here
    if goal is None:
        return change(Verdict.NOT_JUDGED, "no direction is known: set a goal in a [[gate]]", difference)
    better = (difference > 0) == (goal == "maximize")
    return change(Verdict.BETTER if better else Verdict.WORSE, difference=difference)


def _kind(value: Scalar) -> str:
    if value is None:
        return "no value"
    if isinstance(value, bool):
        return "true or false, not a number"
    return value if isinstance(value, str) and value in ODD else "not a number"
