"""Turn repeated runs into a verdict on a metric, and into the judgement of a limit on it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mlbutler import numbers
from mlbutler.gate.noise import decide_gate, margins, pairs_needed
from mlbutler.record import GateResult, MetricChange, RepeatResult, Verdict
from mlbutler.settings import Gate
from mlbutler.stats.student import t_interval


def summarise(
    metric: MetricChange, seeds: Sequence[int], old: Sequence[float], new: Sequence[float], confidence: float
) -> RepeatResult:
    """Return the paired difference over all seeds, with its interval and what that means.

    Args:
        seeds: at least two. old, new: the metric on both sides, one value for each seed.
    """
    differences = [after - before for before, after in zip(old, new, strict=True)]
    found = t_interval(differences, confidence)
    needed = None
    if not any(differences):
        verdict, reason = Verdict.SAME, ""
    elif found.low <= 0 <= found.high:
        verdict, reason = Verdict.WITHIN_NOISE, ""
        needed = pairs_needed(found.mean, found.deviation, confidence)
    elif metric.goal is None:
        verdict, reason = Verdict.NOT_JUDGED, "no direction is known: set a goal in a [[gate]]"
    else:
        verdict, reason = Verdict.BETTER if (found.mean > 0) == (metric.goal == "maximize") else Verdict.WORSE, ""
    return RepeatResult(
        metric=metric.key, seeds=tuple(seeds), old=tuple(old), new=tuple(new), difference=found.mean, low=found.low,
        high=found.high, confidence=confidence, verdict=verdict, reason=reason,
        more=max(1, needed - len(seeds)) if needed is not None else None,
    )  # fmt: skip


def judge_limit(
    gate: Gate, name: str, rule: str, limit: float, metric: MetricChange, goal: str | None, repeats: RepeatResult
) -> GateResult:
    """Judge one limit by repeated runs: passed, broken, or inconclusive with how many more would decide."""
    broken = "failed" if gate.level == "fail" else "warned"

    def result(outcome: str, sentence: str) -> GateResult:
        return GateResult(
            metric=metric.key, rule=f"{rule}, {len(repeats.new)} repeats", level=gate.level, outcome=outcome,
            sentence=sentence, old=_mean(repeats.old), new=_mean(repeats.new), limit=limit,
        )  # fmt: skip

    if not repeats.new:
        said = f"{metric.key}: {repeats.reason}; the gate '{rule}' cannot be judged by repeats"
        return result("not judged" if repeats.excused else broken, said)
    if goal is None:
        return result(broken, f"{metric.key} has no known direction: set goal in its gate")
    decision = decide_gate(margins(name, limit, goal, repeats.old, repeats.new), repeats.confidence)
    interval = f"{100 * repeats.confidence:.4g} % interval"
    if name in ("min", "max"):
        sign = 1 if name == "min" else -1
        low, high = sorted(limit + sign * bound for bound in (decision.low, decision.high))
        word = "at least" if name == "min" else "at most"
        mean, *ends = (numbers.rounded(number, high - low) for number in (_mean(repeats.new), low, high))
        said = f"{metric.key} is {mean} on average of {len(repeats.new)} seeds ({interval} "
        said += f"{ends[0]} to {ends[1]}, must be {word} {numbers.value(limit)})"
    else:
        bound = numbers.value(limit) if name == "max_drop" else f"{numbers.share(limit)} of the old value"
        old, new, change = numbers.sides_and_difference(_mean(repeats.old), _mean(repeats.new), noise=repeats.noise)
        ends = [numbers.rounded(number, repeats.noise, signed=True) for number in (repeats.low, repeats.high)]
        said = f"{metric.key} {old} → {new} on average of {len(repeats.new)} seeds "
        said += f"({change}, {interval} {ends[0]} to {ends[1]}, limit {bound})"
    if decision.outcome == "inconclusive":
        more = f"needs about {decision.more} more seeds" if decision.more else "too near to the limit to tell"
        return result("inconclusive", f"{said}: {more}")
    return result("passed" if decision.outcome == "passed" else broken, said)


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None
