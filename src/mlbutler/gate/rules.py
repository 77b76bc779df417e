"""`[[gate]]` rules applied to metrics. What cannot be measured never passes in silence."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from mlbutler.compare.comparison import short
from mlbutler.compare.documents import is_number
from mlbutler.compare.metrics import guess_goal
from mlbutler.record import GateResult, MetricChange, Verdict
from mlbutler.settings import Gate

_TOLERANCE = 1e-9
"""Relative slack at a limit, so that 0.91 - 0.90 is not more than 0.01 in binary."""


def judge(gates: Sequence[Gate], metrics: Sequence[MetricChange]) -> tuple[GateResult, ...]:
    """One result for every limit of every gate."""
    return tuple(result for gate in gates for result in _judge(gate, metrics))


def _judge(gate: Gate, metrics: Sequence[MetricChange]) -> Iterator[GateResult]:
    found = [metric for metric in metrics if gate.metric in (metric.key, metric.name)]
    exact = [metric for metric in found if metric.key == gate.metric]
    found = exact or found
    for name, limit in _limits(gate):
        rule = f"{name.replace('_', ' ')} {limit:g}"
        if len(found) > 1:
            keys = ", ".join(metric.key for metric in found[:5])
            yield _unmeasured(gate, rule, limit, f"{gate.metric} is ambiguous: {keys}")
        elif not found:
            yield _unmeasured(gate, rule, limit, f"{gate.metric} was not measured")
        else:
            yield _limit(gate, name, rule, limit, found[0])


def _limits(gate: Gate) -> Iterator[tuple[str, float]]:
    for name in ("min", "max", "max_drop", "max_drop_relative"):
        limit = getattr(gate, name)
        if limit is not None:
            yield name, limit


def _unmeasured(gate: Gate, rule: str, limit: float, why: str) -> GateResult:
    return GateResult(
        metric=gate.metric, rule=rule, level=gate.level, outcome=_broken(gate), limit=limit,
        sentence=f"{why}; the gate '{rule}' cannot be judged",
    )  # fmt: skip


def _broken(gate: Gate) -> str:
    return "failed" if gate.level == "fail" else "warned"


def _limit(gate: Gate, name: str, rule: str, limit: float, metric: MetricChange) -> GateResult:
    def result(outcome: str, sentence: str) -> GateResult:
        return GateResult(
            metric=metric.key, rule=rule, level=gate.level, outcome=outcome, sentence=sentence, old=metric.old,
            new=metric.new, limit=limit,
        )  # fmt: skip

    if metric.verdict is Verdict.GONE or not is_number(metric.new):
        shown = "gone" if metric.verdict is Verdict.GONE else f"{metric.new}, which is no number"
        return result(_broken(gate), f"{metric.key} is {shown}; the gate '{rule}' cannot be judged")
    assert isinstance(metric.new, (int, float))
    new = float(metric.new)
    if name in ("min", "max"):
        beyond = limit - new if name == "min" else new - limit
        kept = beyond <= _TOLERANCE * max(abs(limit), abs(new))
        word = "at least" if name == "min" else "at most"
        return result(
            "passed" if kept else _broken(gate), f"{metric.key} is {short(metric.new)} (must be {word} {limit:g})"
        )
    goal = gate.goal or metric.goal or guess_goal(metric.name)
    if goal is None:
        return result(_broken(gate), f"{metric.key} has no known direction: set goal in its gate")
    if not is_number(metric.old):
        return result("not judged", f"{metric.key} has no number in the target to compare with")
    assert isinstance(metric.old, (int, float))
    return _drop(name, limit, metric, goal, float(metric.old), new, _broken(gate), result)


def _drop(
    name: str, limit: float, metric: MetricChange, goal: str, old: float, new: float, broken: str,
    result: Callable[[str, str], GateResult],
) -> GateResult:  # fmt: skip
    worsening = old - new if goal == "maximize" else new - old
    allowed = limit if name == "max_drop" else limit * abs(old)
    kept = worsening <= allowed + _TOLERANCE * max(abs(old), abs(new))
    share = f", limit {limit:g}" if name == "max_drop" else f", limit {limit:.2%} of {short(metric.old)}"
    sentence = f"{metric.key} {short(metric.old)} -> {short(metric.new)} ({new - old:+.5g}{share})"
    return result("passed" if kept else broken, sentence)
