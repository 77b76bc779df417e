"""Implement `mlbutler train list` and `mlbutler train show`."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mlbutler.commands.train.cost import describe_cost
from mlbutler.commands.train.list_options import ORDER, ListedExperiment, ListOptions, select_experiments
from mlbutler.commands.train.opening import Training, explain_interrupt, open_training, print_experiments
from mlbutler.console import Console, human_seconds
from mlbutler.errors import EXIT_PASSED
from mlbutler.experiments import log_progress
from mlbutler.experiments.choices import JENKINS, LOCAL
from mlbutler.experiments.experiment import Experiment, Measure
from mlbutler.experiments.measures import baseline_values
from mlbutler.experiments.ranking import best_first, main_metric, metric_of
from mlbutler.experiments.scheduling import is_standing_still, open_searches, trials_of
from mlbutler.experiments.state import ENDED, UNDER_WAY, State
from mlbutler.first_few import first_few
from mlbutler.live_lines import clean
from mlbutler.numbers import as_float, count, difference, value
from mlbutler.settings import Gate

_METRICS, _DIGITS = 3, 4
_EVERY, _EVERY_REMOTE = 1.0, 2.0


def list_experiments(directory: Path, console: Console, wanted: ListOptions, *, watch: bool = False) -> int:
    """Show the experiments, those under way first; return the exit code.

    Args:
        watch: go on until all have ended.
    """
    training = open_training(directory, console)
    if console.json:
        found = [one for _, one in _find_experiments(training, wanted)]
        damaged = [dataclasses.asdict(one) for one in training.experiments.damaged]  # as they were read for that
        print_experiments(training, found, damaged=damaged)
    elif watch and not console.quiet:
        with explain_interrupt("list", "-w", *wanted.names):
            _watch(training, wanted)
    else:
        for line in _lines(training, _find_experiments(training, wanted)):
            console.line(line)
        for one in training.experiments.damaged:
            console.line(f"damaged: {one.problem} {one.remedy}")
    return EXIT_PASSED


def _find_experiments(training: Training, wanted: ListOptions) -> list[ListedExperiment]:
    found = training.select(wanted.names) if wanted.names else training.all()
    if wanted.mine:
        names = training.users()
        found = [kept for kept in found if training.is_sent_by(kept.experiment, names)]
    shown = [(training.engines.effective_state(kept.experiment), kept.experiment) for kept in found]
    return select_experiments(wanted, shown, training.settings.gate)


def _lines(training: Training, shown: Sequence[ListedExperiment]) -> Iterator[str]:
    if not shown:
        yield "There are no such experiments."
        return
    best = _describe_best([one for state, one in shown if state is State.DONE], training.settings.gate)
    experiments = [one for _, one in shown]
    counts = _counts([state for state, _ in shown])
    yield "; ".join(
        filter(None, (*_search_progress(experiments), counts, best, *describe_cost(experiments, time.time())))
    )
    given = differing_overrides([one for _, one in shown])
    rows = [(one.name, str(state), " ".join(given[one.id]), state_text(training, one, state)) for state, one in shown]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for *columns, last in rows:
        aligned = (text.ljust(width) for text, width in zip(columns, widths, strict=True))
        yield "  ".join((*aligned, last)).rstrip()
    yield from stuck_lines(training, shown)


def _search_progress(experiments: Sequence[Experiment]) -> Iterator[str]:
    """Yield how far a search is, where nothing else is listed."""
    one = experiments[-1]
    if one.search is not None and {each.grid for each in experiments} == {one.grid}:
        last = trials_of(experiments, one.grid)[-1]
        assert last.search is not None
        yield f"trial {last.number} of {last.search.trials} to {last.search.goal} {last.search.metric}"


def differing_overrides(experiments: Sequence[Experiment]) -> dict[str, list[str]]:
    """Return the overrides of each experiment, by its id, without those that all of them have."""
    every = [set(one.overrides) for one in experiments]
    common = set.intersection(*every) if len(every) > 1 else set()
    return {one.id: [text for text in one.overrides if text not in common] for one in experiments}


def _describe_best(done: Sequence[Experiment], gates: Sequence[Gate]) -> str:
    """Return which of several is best by the metric that they are ranked by."""
    name = main_metric(done, gates)
    ranked = [one for one in best_first(done, name, gates) if metric_of(one, name) is not None] if name else []
    if name is None or len(ranked) < 2:
        return ""
    named = (metric for metric in ranked[0].metrics if name in (metric.name, f"{metric.file}:{metric.name}"))
    return f"best: {ranked[0].name}, {metric_text(next(named))}"


def _watch(training: Training, wanted: ListOptions) -> None:
    """Show the list again and again on a terminal, and elsewhere a line for each change, until all have ended."""
    with _screen(training.console) as put:
        while True:
            shown = _find_experiments(training, wanted)
            put(list(_lines(training, shown)), [_change(training, one, state) for state, one in shown])
            if all(state in (*ENDED, State.LOST) for state, _ in shown) and not open_searches(one for _, one in shown):
                from mlbutler.commands.train.desktop_notice import notify_desktop

                notify_desktop(training, [one for _, one in shown])
                return
            time.sleep(_EVERY_REMOTE if any(training.engines.runs_on_jenkins(one) for _, one in shown) else _EVERY)


def _change(training: Training, experiment: Experiment, state: State) -> str:
    """Return a line that differs once the state has changed."""
    text = state_text(training, experiment, state) if state in ENDED else ""
    return ": ".join(filter(None, (experiment.name, str(state), text)))


Put = Callable[[Sequence[str], Sequence[str]], None]
"""Takes the lines of a list, and a line for each experiment that is another one when it has changed."""


@contextmanager
def _screen(console: Console) -> Iterator[Put]:
    if not sys.stdout.isatty():
        seen: set[str] = set()

        def put(lines: Sequence[str], changes: Sequence[str]) -> None:
            for change in changes:
                if change not in seen:
                    console.line(change)
            seen.clear()
            seen.update(changes)

        yield put
        return
    from rich.console import Console as Terminal
    from rich.live import Live
    from rich.text import Text

    with Live(console=Terminal(), auto_refresh=False) as live:
        yield lambda lines, changes: live.update(Text(clean("\n".join(lines))), refresh=True)


def state_text(training: Training, experiment: Experiment, state: State) -> str:
    """Return a state in a few words: how far the experiment is, its metrics, why it waits or ended."""
    if state is State.WAITING and training.engines.runs_on_jenkins(experiment):
        return training.engines.jenkins.waiting_reason(experiment)
    if state in UNDER_WAY:
        since = human_seconds(max(time.time() - (experiment.started or time.time()), 0))
        asked = ["is being cancelled"] if experiment.cancel is not None else []
        where = [f"on {experiment.agent}"] if experiment.agent else []
        where += [count(experiment.gpus, "GPU")] if experiment.gpus else []
        where += [f"attempt {experiment.attempt}"] if experiment.attempt > 1 else []
        silent = [experiment.reason] if state is State.STALLED else []
        return ", ".join([f"for {since}", *where, *_current_progress(training, experiment), *silent, *asked])
    if state is State.DONE and experiment.metrics:
        shown = [metric_text(metric) for metric in experiment.metrics[:_METRICS]]
        return ", ".join(shown) + (" ..." if len(experiment.metrics) > _METRICS else "")
    return experiment.reason


def _current_progress(training: Training, experiment: Experiment) -> Iterator[str]:
    """Yield how far it is: its stage, and its metrics as they went until now."""
    if training.engines.runs_on_jenkins(experiment):
        found, stage = training.engines.jenkins.progress(experiment), ""
    else:
        found = log_progress.read_progress(log_progress.last_lines(training.folder.log_file(experiment.id)))
        stage = log_progress.current_stage(training.folder.scratch(experiment.id) / "clone" / experiment.project)
    if stage or found.stage:
        yield clean(stage or found.stage)
    for path, values in list(found.metrics.items())[:_METRICS]:
        file, _, name = path.rpartition(":")
        before = baseline_values(training.git, experiment, file).get(name)
        shown = metric_text(Measure(file=file, name=name, value=values[-1], before=as_float(before)))
        yield clean(" ".join(filter(None, (shown, log_progress.sparkline(values)))))


def metric_text(metric: Measure) -> str:
    """Return a metric in a few words, with the difference to the baseline."""
    shown = f"{metric.name} {value(metric.value, _DIGITS)}"
    if metric.before is None or metric.before == metric.value:
        return shown
    return f"{shown} ({difference(metric.value - metric.before, _DIGITS)})"


def stuck_lines(training: Training, shown: Sequence[ListedExperiment]) -> Iterator[str]:
    """Yield which experiments wait or are lost while no process works at them."""
    again = "`mlbutler train wait` takes it up again."
    for engine, what in ((LOCAL, "process that ran"), (JENKINS, "build of")):
        lost = [one.name for state, one in shown if state is State.LOST and one.engine == engine]
        if lost:
            yield f"The {what} {first_few(lost, 5)} is gone: {again}"
    for grid, found in open_searches(one for _, one in shown).items():
        if is_standing_still(found):
            yield f"The search {grid} is not running: `mlbutler train wait {grid}` continues it."
    local = [one for state, one in shown if state is State.WAITING and one.engine == LOCAL]
    if local and not any(state is State.LOST for state, _ in shown) and training.engines.local.is_idle():
        yield "No worker runs the waiting experiments: `mlbutler train wait` starts them."


def _counts(states: Sequence[State]) -> str:
    order = dict.fromkeys((*ORDER, *ENDED))
    return ", ".join(f"{states.count(state)} {state}" for state in order if state in states)
