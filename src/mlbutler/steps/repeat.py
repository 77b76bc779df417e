"""Repeated runs for `compare`: the stages behind a metric, on both sides, with one seed after another."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from mlbutler.comparison.documents import LARGEST, is_number, read_document
from mlbutler.comparison.snapshot import Source
from mlbutler.errors import SettingsError
from mlbutler.frozen import frozen
from mlbutler.gate.repeated import summarise
from mlbutler.process import project_environment
from mlbutler.project.model import Stages
from mlbutler.project.paths import result_paths
from mlbutler.record import MetricChange, Outcome, RepeatResult
from mlbutler.reproduce.scratch import scratch_clone
from mlbutler.reproduce.seeds import series, set_params, split
from mlbutler.settings import Gate, Settings
from mlbutler.steps.context import RunContext
from mlbutler.steps.scratch_context import scratch_context

if TYPE_CHECKING:
    from mlbutler.project.project import Project

Metric = tuple[str, str]
"""File and dotted name."""


@dataclass
class Series:
    """Hold the repeated measurements of one side.

    Attributes:
        values: (file, name) of a metric -> its value for each seed. stages: what was run.
        runs, restored: stages that were run, and that the run cache restored. problem: why it is incomplete, else ''.
    """

    values: dict[Metric, list[float]] = field(default_factory=dict)
    runs: int = 0
    restored: int = 0
    stages: tuple[str, ...] = ()
    problem: str = ""


@frozen
class RepeatOptions:
    """Hold the command line's repeats: how many, and of which metrics (empty: all that have a gate)."""

    count: int
    only: tuple[str, ...] = ()


def repeat_measurements(
    context: RunContext, metrics: Sequence[MetricChange], asked: RepeatOptions | None = None
) -> tuple[RepeatResult, ...]:
    """Measure again what gates with `repeats`, or the command line, ask for; nothing when no stage's record differs.

    Raises:
        SettingsError: a metric or the seed is unknown. Also those of `measure`.
    """
    base = context.record.change.base
    wanted = _count_repeats(context.settings.gate, metrics, asked)
    if not wanted and asked is not None:
        context.console.line("No repeats: no metric with a gate is on both sides. Name others: --only METRIC.")
    if not wanted or base is None:
        return ()
    if _is_lock_unchanged(context, base):
        context.console.line("No repeats: dvc.lock is that of the target, so no stage differs.")
        return ()
    done = context.record.reproduce
    if context.options.pipeline and (done is None or done.outcome is not Outcome.PASSED):
        why = done.reason if done is not None else "the step reproduce was not run"
        return tuple(
            RepeatResult(metric=metric.key, reason=f"nothing was run, so nothing is repeated: {why}", excused=True)
            for metric in metrics
            if metric.key in wanted
        )
    results = []
    for count in sorted({*wanted.values()}):
        chosen = [metric for metric in metrics if wanted.get(metric.key) == count]
        seeds = seeds_for(context, count)
        named = [(metric.file, metric.name) for metric in chosen]
        old = measure(context, base, named, seeds, "in the target")
        new = Series(problem=old.problem) if old.problem else measure(context, None, named, seeds, "here")
        results += [_result(context.settings, metric, seeds, old, new) for metric in chosen]
    return tuple(results)


def _count_repeats(
    gates: Sequence[Gate], metrics: Sequence[MetricChange], asked: RepeatOptions | None
) -> dict[str, int]:
    """Return metric key -> how many repeats."""
    both = {metric.key: metric for metric in metrics if is_number(metric.old) and is_number(metric.new)}
    counts: dict[str, int] = {}
    for gate in gates:
        count = asked.count if asked is not None else gate.repeats
        for key, metric in both.items():
            if count is not None and gate.metric in (key, metric.name):
                counts[key] = max(count, counts.get(key, 0))
    if asked is None or not asked.only:
        return counts
    for name in asked.only:
        if not any(name in (key, metric.name) for key, metric in both.items()):
            known = ", ".join(list(both)[:8]) or "none"
            raise SettingsError(f"There is no metric '{name}' on both sides.", f"There are: {known}.")
    return {key: asked.count for key, metric in both.items() if {key, metric.name} & set(asked.only)}


def _is_lock_unchanged(context: RunContext, base: str) -> bool:
    """Return whether dvc.lock records every stage the same on both sides."""
    locks = [path for path in result_paths(context.project.stages) if path.endswith(".lock")]
    try:
        return all(
            context.git.show(base, context.prefix + lock) == (context.root / lock).read_bytes() for lock in locks
        )
    except OSError:
        return False


def _result(settings: Settings, metric: MetricChange, seeds: Sequence[int], old: Series, new: Series) -> RepeatResult:
    params, problem = settings.repeat.seed, new.problem
    if problem:
        return RepeatResult(metric=metric.key, stages=old.stages, params=params, seeds=tuple(seeds), reason=problem,
                            excused=bool(old.problem))  # fmt: skip
    key = metric.file, metric.name
    found = summarise(metric, seeds, old.values[key], new.values[key], settings.repeat.confidence)
    return dataclasses.replace(
        found, stages=new.stages, params=params, runs=old.runs + new.runs, restored=old.restored + new.restored
    )


def seeds_for(context: RunContext, count: int) -> tuple[int, ...]:
    """Return the seeds of a series; the first is the project's current one.

    Raises:
        SettingsError: repeat.seed is not set, or is not a param.
    """
    names = context.settings.repeat.seed
    if not names:
        raise SettingsError(
            "Repeats need to know the seed, and repeat.seed is not set.",
            'Set it under [repeat] in mlbutler.toml, such as seed = "params.yaml:train.seed".',
        )
    for name in names:
        split(name)
    file, dotted = split(names[0])
    return series(read_document(file, _small_file(context.root / file)).values.get(dotted), count)


def _small_file(path: Path) -> Source:
    """Read a file that the change's code may have made; a device or a pipe in its place is not read."""
    try:
        if not path.is_file() or path.stat().st_size > LARGEST:
            return Source(None, "it is missing" if not path.exists() else "it is not a file, or too large")
        return Source(path.read_bytes())
    except OSError as error:
        return Source(None, f"it cannot be read: {error.strerror}")


def measure(
    context: RunContext, revision: str | None, metrics: Sequence[Metric], seeds: Sequence[int], side: str
) -> Series:
    """Run the stages that make `metrics` in a clone, once for each seed, and read the metrics.

    What an earlier run with the same inputs made comes from DVC's run cache. The author's work tree is not touched.

    Args:
        revision: a commit, None for the work tree. metrics: file and name. side: "in the target" or "here".

    Raises:
        Interrupted: a signal asked mlbutler to stop. MlbutlerError: git, DVC or a store failed; not when a stage did.
    """
    found = Series(values={metric: [] for metric in metrics})
    git = context.git.at(context.git.toplevel())
    environ = project_environment(context.environ)
    cache = context.project.cache_dir
    with (
        scratch_clone(git, revision, context.root, context.prefix, cache, environ) as root,
        contextlib.chdir(root),  # DVC names stages relative to the current directory
    ):
        scratch = scratch_context(context, root, mirror=context.mirror, timeout=context.settings.repeat.timeout)
        targets = _targets(scratch.project.stages, metrics)
        if isinstance(targets, str):
            found.problem = f"{side}: {targets}"
            return found
        scratch = _with_targets(scratch, targets)
        identities: set[tuple[tuple[str, str], ...]] = set()
        for number, seed in enumerate(seeds, 1):
            context.console.heading(f"run {number} of {len(seeds)} {side}, seed {seed}: {', '.join(targets)}")
            set_params(root, context.settings.repeat.seed, seed)
            problem = _once(scratch, found) or _read_metrics(scratch.project, found)
            if problem:
                found.problem = f"{side}, seed {seed}: {problem}"
                return found
            identities.add(_outputs(scratch.project.stages, found.stages))
    if len(identities) == 1:
        named = ", ".join(context.settings.repeat.seed)
        found.problem = f"{side} the seed {named} does not change the outcome: identical bytes with {len(seeds)} seeds"
    return found


def _with_targets(scratch: RunContext, targets: Sequence[str]) -> RunContext:
    reproduce = msgspec.structs.replace(scratch.settings.reproduce, targets=tuple(targets))
    settings = msgspec.structs.replace(scratch.settings, reproduce=reproduce)
    scratch.loaded = dataclasses.replace(scratch.loaded, settings=settings)
    return scratch


def _targets(stages: Stages, metrics: Sequence[Metric]) -> tuple[str, ...] | str:
    """Return the stages that make the metrics' files, or a sentence on the file that no stage makes."""
    names = []
    for file in dict.fromkeys(file for file, _ in metrics):
        owner = stages.owner(file)
        if owner is None or not owner[0].can_run:
            return f"no stage makes {file}, so no run of one can be repeated"
        names.append(owner[0].name)
    return tuple(dict.fromkeys(names))


def _once(scratch: RunContext, found: Series) -> str:
    """Run the stages once; return why that failed, '' when it did not."""
    from mlbutler.steps import plan, reproduce, sync
    from mlbutler.steps.sending import keep_in_mirror

    scratch.project.reload()
    scratch.record = dataclasses.replace(scratch.record, plan=plan.run(scratch))
    assert scratch.record.plan is not None
    found.stages = tuple(stage.name for stage in scratch.record.plan.stages)
    brought = sync.run(scratch)
    if brought.outcome is not Outcome.PASSED:
        return brought.reason
    done = reproduce.run(scratch)
    found.runs += sum(run.outcome in ("ran", "restored") for run in done.stages)
    found.restored += sum(run.outcome == "restored" for run in done.stages)
    if done.outcome in (Outcome.FAILED, Outcome.NOT_KNOWN):
        return done.reason
    if ran := {run.name for run in done.stages if run.outcome == "ran"}:
        keep_in_mirror(scratch, ran)
    scratch.project.reload()
    return ""


def _read_metrics(project: Project, found: Series) -> str:
    """Read the metrics of the run that just ended; return why one is missing, '' when none is."""
    for (file, name), values in found.values.items():
        owner = project.stages.owner(file)
        if owner is not None and not project.tree.exists(owner[1].path):
            project.checkout.lay_out([owner[1].path])
        document = read_document(file, _small_file(project.root / file))
        value = document.values.get(name)
        if not is_number(value):
            missing = f"{file}:{name} is {'missing' if value is None else 'not a number'}"
            return f"{file}: {document.problem}" if document.problem else missing
        assert isinstance(value, (int, float))
        values.append(float(value))
    return ""


def _outputs(stages: Stages, names: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Return every output of the stages with its hash."""
    return tuple(
        (out.path, out.recorded.value if out.recorded else "")
        for stage in stages.pipeline()
        if stage.name in names
        for out in stage.outputs
    )
