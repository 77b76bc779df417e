"""Metrics over the commits of a branch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mlbutler.comparison.documents import Document, is_number, read_document
from mlbutler.comparison.metrics import guess_goal
from mlbutler.comparison.snapshot import Source
from mlbutler.record import MetricHistory, PastValue


@dataclass(frozen=True)
class MetricsAtCommit:
    """The metrics files of one commit."""

    commit: str
    when: str
    metrics: Mapping[str, Source]


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
