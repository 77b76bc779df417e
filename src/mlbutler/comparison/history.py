"""Metrics over the commits of a branch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from statistics import median

from mlbutler.comparison.documents import Document, is_number, read_document
from mlbutler.comparison.metrics import guess_goal
from mlbutler.comparison.snapshot import Source
from mlbutler.frozen import frozen
from mlbutler.record import MetricChange, MetricHistory, PastValue, Verdict


@frozen
class MetricsAtCommit:
    """The metrics files of one commit."""

    commit: str
    when: str
    metrics: Mapping[str, Source]


_ENOUGH = 5
_BEYOND = 3.0
"""Of normal noise with the deviation s, two measurements lie s√2 apart on an average, and the median of that is 0.95 s;
1.96 s√2, which one in twenty exceeds, is 2.9 medians."""


def noise(history: MetricHistory) -> float | None:
    """Return up to which difference the target branch itself moves from one measurement to the next.

    Three medians of its steps: a few great leaps of the past do not count. None where there are fewer than five steps.
    """
    past = [float(value.value) for value in history.values if is_number(value.value)]  # type: ignore[arg-type]
    steps = [abs(after - before) for before, after in pairwise(past)]
    found = _BEYOND * median(steps) if len(steps) >= _ENOUGH else math.inf
    return found if math.isfinite(found) else None


def with_noise(metrics: Sequence[MetricChange], histories: Sequence[MetricHistory]) -> tuple[MetricChange, ...]:
    """Return the changes, each with what its history says of noise: a small one is neither better nor worse."""
    by_key = {history.key: noise(history) for history in histories}
    return tuple(_judge_against_noise(metric, by_key.get(metric.key)) for metric in metrics)


def _judge_against_noise(metric: MetricChange, noise: float | None) -> MetricChange:
    if noise is None or metric.difference is None or metric.verdict not in (Verdict.BETTER, Verdict.WORSE):
        return metric
    within = abs(metric.difference) <= noise
    verdict = Verdict.WITHIN_NOISE if within else metric.verdict
    return replace(metric, verdict=verdict, noise=noise, noise_by="history")


def metric_histories(
    moments: Sequence[MetricsAtCommit], goals: Mapping[str, str]
) -> tuple[tuple[MetricHistory, ...], tuple[tuple[str, str], ...]]:
    """Return the numbers of every metric, and (file, reason) where some could not be read.

    A commit counts where its metrics file is another than at the commit before: without that nothing was measured.

    Args:
        moments: newest first. goals: ``file:name`` or name -> ``maximize`` or ``minimize``, before what names tell.
    """
    read: dict[tuple[str, int], Document] = {}
    values: dict[tuple[str, str], list[PastValue]] = {}
    problems: dict[tuple[str, str], int] = {}
    before: dict[str, bytes | None] = {}
    for moment in reversed(moments):
        for file, source in moment.metrics.items():
            if file in before and before[file] == source.content and source.content is not None:
                continue
            before[file] = source.content
            key = (file, id(source))
            if key not in read:
                read[key] = read_document(file, source)
            document = read[key]
            if document.problem:
                problems[file, document.problem] = problems.get((file, document.problem), 0) + 1
            for name, value in document.values.items():
                values.setdefault((file, name), []).append(PastValue(moment.commit, moment.when, value))
    newest = moments[0].metrics if moments else {}
    order = {file: index for index, file in enumerate(newest)}
    found = [
        MetricHistory(
            file=file,
            name=name,
            goal=goals.get(f"{file}:{name}") or goals.get(name) or guess_goal(name),
            values=tuple(measured),
        )
        for (file, name), measured in values.items()
        if any(is_number(value.value) for value in measured)
    ]
    found.sort(key=lambda history: order.get(history.file, len(order)))
    said = tuple(
        (file, f"{reason} ({'1 commit' if count == 1 else f'{count} commits'})")
        for (file, reason), count in problems.items()
    )
    return tuple(found), said
