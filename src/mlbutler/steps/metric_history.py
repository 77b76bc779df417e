"""The metrics' history in the target branch, shown beside the comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mlbutler.comparison.documents import is_number
from mlbutler.comparison.history import MetricsAtCommit, metric_histories
from mlbutler.errors import MlbutlerError
from mlbutler.record import MetricChange, MetricHistory, Verdict
from mlbutler.settings import Settings
from mlbutler.steps.context import RunContext

_MOST_METRICS = 30
_ORDER = (Verdict.WORSE, Verdict.BETTER, Verdict.WITHIN_NOISE, Verdict.SAME)


def metric_histories_of(
    context: RunContext, metrics: Sequence[MetricChange], goals: Mapping[str, str]
) -> tuple[tuple[MetricHistory, ...], tuple[tuple[str, str], ...]]:
    """Return the most important metrics' history up to the merge base, and (subject, reason) of what is unreadable.

    It is only shown beside the comparison, so an error stops nothing.
    """
    from mlbutler.project.metric_history import metric_history

    base, limit = context.record.change.base, context.settings.report.history
    if base is None or not limit:
        return (), ()
    try:
        history = metric_history(context.project.snapshots, context.prefix, base, limit)
    except MlbutlerError as error:
        return (), (("the history of the metrics", error.message),)
    found, _ = metric_histories([MetricsAtCommit(p.commit.oid, p.commit.when, p.metrics) for p in history], goals)
    ranks = {metric.key: rank for rank, metric in enumerate(sorted(metrics, key=lambda m: _rank(context.settings, m)))}
    chosen = sorted((h for h in found if h.key in ranks and len(h.values) > 1), key=lambda h: ranks[h.key])
    return tuple(chosen[:_MOST_METRICS]), ()


def _rank(settings: Settings, metric: MetricChange) -> tuple[bool, bool, int]:
    gated = any(gate.metric in (metric.key, metric.name) for gate in settings.gate)
    place = _ORDER.index(metric.verdict) if metric.verdict in _ORDER else len(_ORDER)
    return not is_number(metric.new), not gated, place
