"""Apply `[[gate]]` rules to numbers. What cannot be measured never passes in silence."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence

from mlbutler import numbers
from mlbutler.comparison.documents import is_number
from mlbutler.comparison.metrics import guess_goal
from mlbutler.console import human_bytes, human_seconds
from mlbutler.gate.repeated import judge_limit
from mlbutler.gate.subjects import Evidence, find_measurement
from mlbutler.record import GateResult, MetricChange, Scalar, Verdict
from mlbutler.settings import Gate

_TOLERANCE = 8 * sys.float_info.epsilon
"""Relative slack at a limit, so that 0.91 - 0.90 is not more than 0.01 in binary; whole numbers have none."""


def judge(gates: Sequence[Gate], evidence: Evidence) -> tuple[GateResult, ...]:
    """Return one result for every limit of every gate."""
    return tuple(result for gate in gates for result in _judge(gate, evidence))


def _judge(gate: Gate, evidence: Evidence) -> Iterator[GateResult]:
    found = find_measurement(gate, evidence)
    for name, limit in limits(gate):
        shown = f"{limit:g}" if name == "max_drop_relative" else _format_value(gate, limit)
        rule = f"{name.replace('_', ' ')} {shown}"
        if found.unchanged and name.startswith("max_drop"):
            yield GateResult(
                metric=gate.subject, rule=rule, level=gate.level, outcome="passed", sentence=found.problem, limit=limit
            )
        elif found.number is None:
            yield GateResult(
                metric=gate.subject, rule=rule, level=gate.level, limit=limit,
                outcome="not judged" if found.excused else _outcome_if_broken(gate),
                sentence=f"{found.problem}; the gate '{rule}' cannot be judged",
            )  # fmt: skip
        elif (repeats := evidence.repeats.get(found.number.key)) is not None:
            goal = gate.goal or found.number.goal or guess_goal(found.number.name)
            yield judge_limit(gate, name, rule, limit, found.number, goal, repeats)
        else:
            yield _judge_single_run(gate, name, rule, limit, found.number)


def limits(gate: Gate) -> Iterator[tuple[str, float]]:
    """Return each limit that is set: the setting's name and its value."""
    for name in ("min", "max", "max_drop", "max_drop_relative"):
        limit = getattr(gate, name)
        if limit is not None:
            yield name, limit


def _format_value(gate: Gate, value: Scalar) -> str:
    """Format a value in the gate's unit."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if gate.of in ("bytes", "memory"):
            return human_bytes(value)
        if gate.of == "seconds":
            return human_seconds(value)
        if gate.of in ("files", "rows", "broken", "worse_slices"):
            return f"{value:,.0f}"
        if gate.of == "right":
            return f"{value:.4g}"
    return numbers.value(value)


def _format_pair(gate: Gate, first: float, second: float) -> tuple[str, str]:
    """Format two values in the gate's unit, in full where they would look the same and are not."""
    if not gate.of:
        return numbers.pair(first, second)
    shown = _format_value(gate, first), _format_value(gate, second)
    if shown[0] == shown[1] and first != second:
        unit = {"bytes": " B", "memory": " B", "seconds": " s"}.get(gate.of, "")
        return f"{first:,.12g}{unit}", f"{second:,.12g}{unit}"
    return shown


def _slack(first: float, second: float) -> float:
    return 0.0 if isinstance(first, int) and isinstance(second, int) else _TOLERANCE * max(abs(first), abs(second))


def _outcome_if_broken(gate: Gate) -> str:
    return "failed" if gate.level == "fail" else "warned"


def _judge_single_run(gate: Gate, name: str, rule: str, limit: float, metric: MetricChange) -> GateResult:
    def result(outcome: str, sentence: str) -> GateResult:
        return GateResult(
            metric=metric.key, rule=rule, level=gate.level, outcome=outcome, sentence=sentence, old=metric.old,
            new=metric.new, limit=limit,
        )  # fmt: skip

    if metric.verdict is Verdict.GONE or not is_number(metric.new):
        return result(
            _outcome_if_broken(gate),
            f"{metric.key} {_describe_missing_number(metric)}; the gate '{rule}' cannot be judged",
        )
    assert isinstance(metric.new, (int, float))
    new = metric.new
    if name in ("min", "max"):
        beyond = limit - new if name == "min" else new - limit
        kept = beyond <= _slack(limit, new)
        word = "at least" if name == "min" else "at most"
        shown, bound = _format_pair(gate, new, limit)
        said = f"{metric.key} is {shown} (must be {word} {bound})"
        return result("passed" if kept else _outcome_if_broken(gate), said)
    goal = gate.goal or metric.goal or guess_goal(metric.name)
    if goal is None:
        return result(_outcome_if_broken(gate), f"{metric.key} has no known direction: set goal in its gate")
    if not is_number(metric.old):
        return result("not judged", f"{metric.key} has no number in the target to compare with")
    assert isinstance(metric.old, (int, float))
    return _judge_drop(gate, name, limit, metric, goal, metric.old, new, result)


def _describe_missing_number(metric: MetricChange) -> str:
    """Return why a metric holds no number, as the rest of a sentence."""
    if metric.verdict is Verdict.GONE:
        return f"is gone ({metric.reason})" if metric.reason else "is gone"
    if metric.new is None:
        return f"is not known ({metric.reason})" if metric.reason else "has no value"
    return f"is {metric.new}, which is not a number"


def _judge_drop(
    gate: Gate, name: str, limit: float, metric: MetricChange, goal: str, old: float, new: float,
    result: Callable[[str, str], GateResult],
) -> GateResult:  # fmt: skip
    worsening = old - new if goal == "maximize" else new - old  # of whole numbers exact
    allowed = limit if name == "max_drop" else limit * abs(old)
    kept = worsening <= allowed + _slack(old, new)
    before, after = _format_pair(gate, old, new)
    share = (
        f", limit {_format_value(gate, limit)}" if name == "max_drop" else f", limit {numbers.share(limit)} of {before}"
    )
    if gate.of:
        change = f"{numbers.MINUS if new < old else '+'}{_format_value(gate, abs(new - old))}"
    else:
        change = numbers.sides_and_difference(old, new)[2]
    return result("passed" if kept else _outcome_if_broken(gate), f"{metric.key} {before} → {after} ({change}{share})")
