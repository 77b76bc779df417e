"""The experiments of a sweep beside one another, the best first: as text, Markdown or HTML."""

from __future__ import annotations

import html
from collections.abc import Sequence

from mlbutler.console import human_seconds
from mlbutler.escape import escape_invisible, markdown
from mlbutler.experiments.experiment import Experiment
from mlbutler.experiments.notices import judge_metrics
from mlbutler.experiments.ranking import best_first, goal_of, main_metric
from mlbutler.experiments.state import State
from mlbutler.frozen import frozen
from mlbutler.numbers import difference, value
from mlbutler.settings import Gate

_DIGITS = 4
_MOST_METRICS = 6


@frozen
class Leaderboard:
    """A table: what it is ordered by, its head, and a row for each experiment."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def text(self) -> list[str]:
        """Return it as aligned lines."""
        table = [self.head, *self.rows]
        widths = [max(len(row[column]) for row in table) for column in range(len(self.head))]
        lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in table)
        return [self.title, "", *(line.rstrip() for line in lines)]

    def markdown(self) -> list[str]:
        """Return it as a table in Markdown in which no text has a meaning."""
        lines = [f"| {' | '.join(markdown(cell) for cell in row)} |" for row in (self.head, *self.rows)]
        return [markdown(self.title), "", lines[0], f"|{'---|' * len(self.head)}", *lines[1:]]

    def html(self) -> list[str]:
        """Return it as a page."""

        def row(cells: Sequence[str], tag: str) -> str:
            return f"<tr>{''.join(f'<{tag}>{html.escape(escape_invisible(cell))}</{tag}>' for cell in cells)}</tr>"

        title = html.escape(escape_invisible(self.title))
        return [
            "<!doctype html>", '<html lang="en">', f'<head><meta charset="utf-8"><title>{title}</title></head>',
            "<body>", f"<h1>{title}</h1>", "<table>", f"<thead>{row(self.head, 'th')}</thead>",
            "<tbody>", *(row(cells, "td") for cells in self.rows), "</tbody>", "</table>", "</body>", "</html>",
        ]  # fmt: skip


def rank_experiments(experiments: Sequence[Experiment], gates: Sequence[Gate]) -> tuple[list[Experiment], str | None]:
    """Return the experiments with a result, the best first, then the others; and by which metric that is."""
    done = [one for one in experiments if one.state is State.DONE]
    metric = main_metric(done, gates)
    first = best_first(done, metric, gates) if metric is not None else done
    return [*first, *(one for one in experiments if one.state is not State.DONE)], metric


def build_leaderboard(name: str, experiments: Sequence[Experiment], gates: Sequence[Gate]) -> Leaderboard:
    """Return the table of several experiments."""
    order, metric = rank_experiments(experiments, gates)
    params = list(dict.fromkeys(key for one in order for key in _parse_overrides(one)))
    params = [key for key in params if len({_parse_overrides(one).get(key) for one in order}) > 1]
    metrics = list(dict.fromkeys(each.name for one in order for each in one.metrics))
    if metric is not None:
        main = metric.rpartition(":")[2]
        metrics = [main, *(each for each in metrics if each != main)]
    metrics = metrics[:_MOST_METRICS]
    states = [one.state for one in order]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    by = f"; by {metric} ({goal_of(metric, gates, order)})" if metric is not None else ""
    rows = (
        (
            str(place) if one.state is State.DONE else "", one.name,
            *(_parse_overrides(one).get(key, "") for key in params),
            *(_format_metric(one, each) for each in metrics), _describe_state(one, gates), _took(one),
        )
        for place, one in enumerate(order, 1)
    )  # fmt: skip
    return Leaderboard(f"{name}: {counts}{by}", ("#", "name", *params, *metrics, "verdict", "took"), tuple(rows))


def _parse_overrides(experiment: Experiment) -> dict[str, str]:
    pairs = (text.partition("=") for text in experiment.overrides)
    return {key: given for key, _, given in pairs}


def _format_metric(experiment: Experiment, name: str) -> str:
    metric = next((each for each in experiment.metrics if each.name == name), None)
    if metric is None:
        return ""
    shown = value(metric.value, _DIGITS)
    if metric.before is None or metric.before == metric.value:
        return shown
    return f"{shown} ({difference(metric.value - metric.before, _DIGITS)})"


def _describe_state(experiment: Experiment, gates: Sequence[Gate]) -> str:
    if experiment.state is State.DONE:
        return judge_metrics(experiment, gates)[0]
    return ": ".join(filter(None, (str(experiment.state), experiment.reason)))


def _took(experiment: Experiment) -> str:
    if experiment.started is None or experiment.ended is None:
        return ""
    return human_seconds(max(experiment.ended - experiment.started, 0))
